"""Runs the product on a bundle in a process of its own, and reads what it left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

exhaustive = pytest.mark.skipif(
    not os.environ.get("MECHEVAL_TEST_EXHAUSTIVE"),
    reason="shown on other bundles in every run, on this one by make test-all",
)


class Audited:
    """One run of `pytest --mecheval=BUNDLE` and what it left behind."""

    def __init__(self, bundle: str, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "pytest", f"--mecheval={ROOT / bundle}", "-q", *options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        self.process = subprocess.run(  # noqa: S603 - our own interpreter and options
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500
        )
        self.folder = folder
        self.name = Path(bundle).name

    @property
    def document(self):
        return json.loads((self.folder / "mecheval-out" / self.name / "decisions.json").read_text())

    @property
    def decided(self):
        return {d["claim"]: d for d in self.document["decisions"] if d["verdict"] != "NOT_TESTABLE"}


def expected(bundle: str):
    return yaml.safe_load((ROOT / f"{bundle}.expected.yaml").read_text())["claims"]
