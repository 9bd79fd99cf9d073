"""The unedited model: accuracy over all inputs, seen and unseen in training, and where heads look from `=`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from data import train_mask
from measure import PATTERN_HOOK, Study, save

study = Study()
seen = torch.from_numpy(train_mask())
right = (study.clean_logits.argmax(-1) == study.answer).float()

# %%
record = {
    "inputs": len(right),
    "unseen_inputs": int((~seen).sum()),
    **study.summary(study.clean_logits),
    "accuracy_seen": right[seen].mean().item(),
    "accuracy_unseen": right[~seen].mean().item(),
}
save("baseline", record)

# %%
record = {}
for head in range(4):
    mass = study.clean[PATTERN_HOOK][:, head, -1].mean(0)
    record[f"a0.h{head}"] = {to: round(mass[i].item(), 4) for i, to in enumerate(("a", "b", "equals"))}
save("attention", record)
