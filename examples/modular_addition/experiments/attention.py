"""Where every head looks from the `=` position."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from measure import PATTERN_HOOK, Study, save

study = Study()
record = {}
for head in range(4):
    mass = study.clean[PATTERN_HOOK][:, head, -1].mean(0)
    record[f"a0.h{head}"] = {to: round(mass[i].item(), 4) for i, to in enumerate(("a", "b", "equals"))}
save("attention", record)
