"""Ablate every head and the MLP over all inputs, and the heads at the operand positions only."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import PARTS, Study, save

study = Study()
clean = study.logit_diff(study.clean_logits)
record = {"inputs": len(clean), "clean": study.summary(study.clean_logits), "parts": {}}

# %% one part at a time
for part in PARTS:
    cell = record["parts"][part] = {}
    for value in ("zero", "mean", "resample"):
        logits = study.edited([part], value)
        cell[value] = study.summary(logits)
        cell[value]["logit_diff_drop"] = round((clean - study.logit_diff(logits)).mean().item(), 3)

# %% all heads at the positions of a and b, where nothing reads them any more
record["heads_at_operands"] = {}
for value in ("zero", "resample"):
    logits = study.edited(PARTS[:4], value, position=slice(0, 2))
    record["heads_at_operands"][value] = (logits - study.clean_logits).abs().max().item()

# %%
save("ablation", record)
