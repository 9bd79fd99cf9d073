"""Texts and generated claims shared with other folders."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]
