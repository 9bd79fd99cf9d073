"""Ablate every head in turn, three ways, to choose two; then these two on prompts the choice never saw."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import EVALUATION_SEED, SELECTION_SEED, Study, save

VALUES = ("zero", "mean", "resample")


def ablated(study, heads):
    """Drop of the logit difference, accuracy and loss per ablation value, these heads together."""
    record = {}
    for value in VALUES:
        logits = study.edited(heads, value)
        drop = study.logit_diff(study.clean_logits) - study.logit_diff(logits)
        record[value] = {**study.summary(logits), "logit_diff_drop": round(drop.mean().item(), 4)}
    return record


# %% selection: the most damaging head of each layer under resample ablation
study = Study(SELECTION_SEED)
n_selection = len(study.rows)
selection = {(layer, head): ablated(study, [(layer, head)]) for layer, head in study.heads()}
chosen = [
    max((h for h in selection if h[0] == layer), key=lambda h: selection[h]["resample"]["logit_diff_drop"])
    for layer in range(study.n_layers)
]
print("chosen on selection prompts:", [f"a{layer}.h{head}" for layer, head in chosen])

# %% evaluation: each of the two, and all others together
study = Study(EVALUATION_SEED, n=1024)
save(
    "ablation",
    {
        "n_selection": n_selection,
        "selection": {f"a{layer}.h{head}": record for (layer, head), record in selection.items()},
        "n": len(study.rows),
        "clean": study.summary(study.clean_logits),
        "counterfactual": study.summary(study.other_logits),
        "heads": {f"a{layer}.h{head}": ablated(study, [(layer, head)]) for layer, head in chosen},
        "all_others_together": ablated(study, [head for head in study.heads() if head not in chosen]),
    },
)
