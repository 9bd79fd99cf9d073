"""Ablate every head in turn, three ways: selection on one set of prompts, numbers on another."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import EVALUATION_SEED, SELECTION_SEED, Study, save

VALUES = ("zero", "mean", "resample")


def sweep(study):
    """Drop of the logit difference, accuracy and loss per head and ablation value."""
    clean = study.logit_diff(study.clean_logits)
    record = {}
    for layer, head in study.heads():
        cell = record[f"a{layer}.h{head}"] = {}
        for value in VALUES:
            logits = study.edited([(layer, head)], value)
            cell[value] = study.summary(logits)
            cell[value]["logit_diff_drop"] = round((clean - study.logit_diff(logits)).mean().item(), 4)
    return record


# %% selection: the most damaging head of each layer under resample ablation
selection = sweep(Study(SELECTION_SEED))
chosen = [
    max((h for h in selection if h.startswith(f"a{layer}.")), key=lambda h: selection[h]["resample"]["logit_diff_drop"])
    for layer in range(2)
]
print("chosen on selection prompts:", chosen)

# %% evaluation, on prompts the choice never saw
study = Study(EVALUATION_SEED)
record = {
    "n": len(study.rows),
    "chosen": chosen,
    "clean": study.summary(study.clean_logits),
    "counterfactual": study.summary(study.other_logits),
    "heads": sweep(study),
}
pair = [tuple(int(part[1:]) for part in name.split(".")) for name in chosen]
others = [head for head in study.heads() if head not in pair]
clean = study.logit_diff(study.clean_logits)
for value in VALUES:
    drop = clean - study.logit_diff(study.edited(others, value))
    record[f"all_others_together_{value}_logit_diff_drop"] = round(drop.mean().item(), 4)
save("ablation", record)
