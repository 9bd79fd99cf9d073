"""A small bundle and a claim file beside it that is right in every respect."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mecheval.bundle.discovery import discover

sys.path[:0] = [str(Path(__file__).parents[2] / "handmade")]

DOCUMENTATION = """\
# Findings

Ablating head 1.6 destroys induction: the logit
difference drops by 2.1 nats.

The circuit is elegant.
"""
PLAN = """\
# Plan

1. Ablate each layer-1 head and measure the loss.
"""

CLAIMS = """\
# written by hand; comments must survive a restamp
format: 1
bundle: induction_heads
documents:
  logs/plan.md: sha256:PLANHASH   # reviewed
  logs/documentation.md: "sha256:DOCHASH"
subject:
  model: {loader: transformer_lens, config: model/config.json, weights: model/model.safetensors}
  tasks:
    repeated: {generator: induction, vocab: 64, length: 24}
    theirs: {file: data/prompts.jsonl}
claims:
- id: l1h6-necessary
  kind: ablation
  quote: {file: logs/documentation.md, line: 3, text: "Ablating head 1.6 destroys induction"}
  spec: {components: [a1.h6], value: resample, positions: all, metric: logit_diff, task: repeated}
  operationalised: [value]
  headline: true
- id: drop-size
  kind: reported_number
  quote: {file: logs/documentation.md, line: 3, text: "the logit difference drops by 2.1 nats"}
  spec: {value: "2.1"}
plan:
- id: plan-1
  quote: {file: logs/plan.md, line: 3, text: "Ablate each layer-1 head"}
  spec: {requires: [{event: ablate}]}
not_testable:
- id: elegance
  quote: {file: logs/documentation.md, line: 6, text: "The circuit is elegant."}
  reason: "no operational meaning: 'elegant'"
"""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "induction_heads"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "plan.md").write_text(PLAN)
    (folder / "logs" / "documentation.md").write_text(DOCUMENTATION)
    return folder


@pytest.fixture
def bundle(root):
    return discover(root)


@pytest.fixture
def fresh() -> str:
    """The text of a claim file without problems."""
    return CLAIMS.replace("PLANHASH", sha256(PLAN)).replace("DOCHASH", sha256(DOCUMENTATION))


@pytest.fixture
def claim_file(tmp_path) -> Callable[[str | bytes], Path]:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "induction_heads.claims.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
