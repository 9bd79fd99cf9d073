"""Move single heads between clean and counterfactual runs, and one path: a0.h1 into the keys of a1.h3."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import EVALUATION_SEED, Study, save

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

# %%
save("patching", record)
