"""How the two heads are connected: patches between clean and counterfactual runs, paths, and the pair alone."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
from measure import EVALUATION_SEED, ROOT, Study, save

CIRCUIT = [(0, 1), (1, 3)]
N_PAIRS = 20
study = Study(EVALUATION_SEED)
clean = study.logit_diff(study.clean_logits).mean()
other = study.logit_diff(study.other_logits).mean()
gap = clean - other


def restored(logits):
    """Share of the gap that a patch into the counterfactual run restores."""
    return round(((study.logit_diff(logits).mean() - other) / gap).item(), 4)


def destroyed(logits):
    """Share of the gap that a patch into the clean run destroys."""
    return round(((clean - study.logit_diff(logits).mean()) / gap).item(), 4)


# %% one head at a time
record = {"n": len(study.rows), "gap": round(gap.item(), 4), "denoising": {}, "noising": {}, "path": {}}
for layer, head in study.heads():
    name = f"a{layer}.h{head}"
    record["denoising"][name] = restored(study.edited([(layer, head)], "clean", base="counterfactual"))
    record["noising"][name] = destroyed(study.edited([(layer, head)], "resample"))

# %% every layer-0 head into one input of a1.h3
for side in ("q", "k", "v"):
    for head in range(study.n_heads):
        logits = study.path_patched((0, head), (1, 3), side)
        record["path"][f"a0.h{head} -> a1.h3.{side}"] = destroyed(logits)
save("patching", record)

# %% the pair, each half of it, and random pairs of one other head per layer
empty = study.logit_diff(study.edited(study.heads(), "resample")).mean()


def faithfulness(kept):
    """(circuit - empty) / (model - empty), the complement resampled."""
    rest = [head for head in study.heads() if head not in kept]
    left = study.logit_diff(study.edited(rest, "resample")).mean()
    return round(((left - empty) / (clean - empty)).item(), 4)


rng = np.random.default_rng(3)
free = [[h for h in range(study.n_heads) if (layer, h) not in CIRCUIT] for layer in range(2)]
pairs = [[(0, int(rng.choice(free[0]))), (1, int(rng.choice(free[1])))] for _ in range(N_PAIRS)]
record = {
    "n": len(study.rows),
    "circuit": faithfulness(CIRCUIT),
    "only a0.h1": faithfulness(CIRCUIT[:1]),
    "only a1.h3": faithfulness(CIRCUIT[1:]),
    "random pairs": N_PAIRS,
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
