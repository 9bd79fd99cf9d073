"""Keep only the two chosen heads, resample all others; compare with random pairs; direct attribution."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
from measure import EVALUATION_SEED, ROOT, Study, save

CIRCUIT = [(0, 1), (1, 3)]
study = Study(EVALUATION_SEED)
clean = study.logit_diff(study.clean_logits).mean()
empty = study.logit_diff(study.edited(study.heads(), "resample")).mean()


def faithfulness(kept):
    """(circuit - empty) / (model - empty), the complement resampled."""
    rest = [head for head in study.heads() if head not in kept]
    left = study.logit_diff(study.edited(rest, "resample")).mean()
    return round(((left - empty) / (clean - empty)).item(), 4)


# %% the pair, each half of it, and fifty random pairs of one head per layer
rng = np.random.default_rng(3)
free = [[h for h in range(study.n_heads) if (layer, h) not in CIRCUIT] for layer in range(2)]
pairs = [[(0, int(rng.choice(free[0]))), (1, int(rng.choice(free[1])))] for _ in range(50)]
record = {
    "n": len(study.rows),
    "circuit": faithfulness(CIRCUIT),
    "only a0.h1": faithfulness(CIRCUIT[:1]),
    "only a1.h3": faithfulness(CIRCUIT[1:]),
    "best random pair": max(faithfulness(pair) for pair in pairs),
}

# %% direct logit attribution: what each head writes along answer minus foil, as a share of the total
weights = study.model.state_dict()
direction = weights["unembed.weight"][study.data["answer"]] - weights["unembed.weight"][study.data["foil"]]
size = study.model.cfg.d_head
record["attribution"] = {}
for layer, head in study.heads():
    z = study.clean[f"blocks.{layer}.attn.hook_z"][study.rows, study.data["read"], head]
    out = weights[f"blocks.{layer}.attn.o.weight"][:, head * size : (head + 1) * size]
    written = ((z @ out.T) * direction).sum(-1)
    record["attribution"][f"a{layer}.h{head}"] = round((written.mean() / clean).item(), 4)
save("circuit", record)

# %% the circuit as a node list
nodes = ["input", *(f"a{layer}.h{head}" for layer, head in CIRCUIT)]
write = sum(size for _ in CIRCUIT)
listing = {"nodes": nodes, "metadata": {"task": "induction", "write_dimensions": write}}
(ROOT / "results" / "real_circuits_1.json").write_text(json.dumps(listing, indent=1) + "\n")
