"""Makes `hand_written`, `answering` and `handmade_model` importable beside the tests."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "handmade")]


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    """No test finds a key of the person who runs it."""
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        monkeypatch.delenv(name)
