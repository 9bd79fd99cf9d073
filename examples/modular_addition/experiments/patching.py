"""Move parts between clean and counterfactual runs; direct attribution to the logit difference."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import HEADS_HOOK, MLP_HOOK, PARTS, ROOT, Study, save

study = Study()
clean = study.logit_diff(study.clean_logits).mean()
other = study.logit_diff(study.other_logits).mean()
gap = clean - other

# %%
record = {"gap": round(gap.item(), 3), "denoising": {}, "noising": {}, "attribution": {}}
for parts in [[part] for part in PARTS] + [list(PARTS[:4])]:
    name = "+".join(parts)
    into_other = study.logit_diff(study.edited(parts, "clean", base="counterfactual")).mean()
    into_clean = study.logit_diff(study.edited(parts, "resample")).mean()
    record["denoising"][name] = round(((into_other - other) / gap).item(), 4)
    record["noising"][name] = round(((clean - into_clean) / gap).item(), 4)

# %% what each part writes along answer minus foil
weights = study.model.state_dict()
direction = weights["unembed.weight"][study.answer] - weights["unembed.weight"][study.foil]
for head in range(4):
    out = weights["blocks.0.attn.o.weight"][:, head * 16 : (head + 1) * 16]
    written = study.clean[HEADS_HOOK][:, -1, head] @ out.T
    record["attribution"][f"a0.h{head}"] = round(((written * direction).sum(-1).mean() / clean).item(), 4)
written = study.clean[MLP_HOOK][:, -1]
record["attribution"]["m0"] = round(((written * direction).sum(-1).mean() / clean).item(), 4)
save("patching", record)

# %% the circuit as a node list
listing = {"nodes": ["input", *PARTS], "metadata": {"task": "modular addition", "write_dimensions": 128}}
(ROOT / "results" / "real_circuits_1.json").write_text(json.dumps(listing, indent=1) + "\n")
