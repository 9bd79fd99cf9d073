"""How well the unedited model does, on trained and on longer periods, and behind a prefix."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import EVALUATION_SEED, Study, save

# %% trained periods, then what the model never saw (more prompts: accuracy there is not a flat 1)
N, N_SHIFTED = 2048, 8192
conditions = {
    "trained": {},
    "prefix": {"prefix": 4},
    "period_21": {"min_period": 21, "max_period": 21},
    "period_22": {"min_period": 22, "max_period": 22},
    "period_23": {"min_period": 23, "max_period": 23},
    "period_22_23": {"min_period": 22, "max_period": 23},
}
record = {}
for name, prompts in conditions.items():
    n = N_SHIFTED if prompts else N
    study = Study(EVALUATION_SEED, n=n, **prompts)
    record[name] = {"n": n, **study.summary(study.clean_logits)}
    for head in ((0, 1), (1, 3)):
        drop = study.logit_diff(study.clean_logits) - study.logit_diff(study.edited([head], "resample"))
        record[name][f"resample_a{head[0]}.h{head[1]}_logit_diff_drop"] = round(drop.mean().item(), 4)

# %%
save("baseline", record)
