"""The unedited model: how well it does, on trained and longer periods and behind a prefix, and where heads look."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import EVALUATION_SEED, Study, save

# %% trained periods, then what the model never saw; there the two heads are ablated again
conditions = {
    "trained": (512, {}),
    "prefix": (512, {"prefix": 4}),
    "period_21": (128, {"min_period": 21, "max_period": 21}),
    "period_22_23": (512, {"min_period": 22, "max_period": 23}),
}
baseline, attention = {}, {}
for name, (n, prompts) in conditions.items():
    study = Study(EVALUATION_SEED, n=n, **prompts)
    row = baseline[name] = {"n": n, **study.summary(study.clean_logits)}
    if prompts:
        for layer, head in ((0, 1), (1, 3)):
            drop = study.logit_diff(study.clean_logits) - study.logit_diff(study.edited([(layer, head)], "resample"))
            row[f"resample_a{layer}.h{head}_logit_diff_drop"] = round(drop.mean().item(), 4)
        continue
    # END -> target (induction) and target -> previous occurrence (previous token)
    read, target, previous = (study.data[place] for place in ("read", "target", "previous"))
    for layer, head in study.heads():
        pattern = study.clean[f"blocks.{layer}.attn.hook_pattern"][:, head]
        attention[f"a{layer}.h{head}"] = {
            "end_to_target": round(pattern[study.rows, read, target].mean().item(), 4),
            "target_to_previous": round(pattern[study.rows, target, previous].mean().item(), 4),
        }

# %%
save("baseline", baseline)
save("attention", attention)
