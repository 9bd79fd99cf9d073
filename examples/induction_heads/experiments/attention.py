"""Where every head looks: END -> target (induction) and target -> previous occurrence (previous token)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import EVALUATION_SEED, Study, save

study = Study(EVALUATION_SEED)
read, target, previous = (study.data[name] for name in ("read", "target", "previous"))

# %%
record = {}
for layer, head in study.heads():
    pattern = study.clean[f"blocks.{layer}.attn.hook_pattern"][:, head]
    record[f"a{layer}.h{head}"] = {
        "end_to_target": round(pattern[study.rows, read, target].mean().item(), 4),
        "target_to_previous": round(pattern[study.rows, target, previous].mean().item(), 4),
    }

# %%
save("attention", record)
