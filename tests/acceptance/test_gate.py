"""The gate fails every hostile bundle with every tamper file planted, and passes what is honest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from auditing import ROOT, exhaustive
from hostile_files import Host, copy, plant_special_files
from planting import plant_everything

from pytest_mecheval.sandbox.backends import available

HOSTILE = ("hostile_conftest", "hostile_verdict", "hostile_host", "hostile_files")
HONEST = ("examples/induction_heads", "examples/modular_addition")
SECONDS = 500


def gate(bundle, start, *arguments, **variables):
    """Run `mecheval gate` as a user would, from `start`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
    return subprocess.run(  # noqa: S603 - our own command
        [str(Path(sys.executable).with_name("mecheval")), "gate", str(bundle), *arguments],
        cwd=start,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.mark.skipif(not available(), reason="no sandbox works on this machine")
@pytest.mark.parametrize(
    "name", [*HOSTILE[:2], *(pytest.param(each, marks=exhaustive) for each in HOSTILE[2:])]
)
def test_hostile_bundle_that_is_the_repository_itself_with_every_tamper_file(name, tmp_path):
    bundle = copy(name, tmp_path)
    marker = tmp_path / "planted_code_ran"
    host = Host(tmp_path, bundle)
    try:
        if name == "hostile_files":
            plant_special_files(bundle, host.secret, marker)
        plant_everything(bundle, marker)
        before = host.files()
        done = gate(
            ".", bundle, "--out", str(tmp_path / "mecheval-out"), "--script-seconds", "10",
            **host.environment, PYTEST_ADDOPTS="-p evilplug", PYTEST_PLUGINS="evilplug",
            HOSTILE_MARK=str(marker),
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stdout.startswith("mecheval gate: FAILED")
        assert not marker.exists(), marker.read_text()
        assert host.files() == before
        assert host.heard == []
        assert host.left_over() == []
    finally:
        host.close()
    body = json.loads((tmp_path / "mecheval-out/gate.json").read_text())
    codes = {reason["code"] for reason in body["reasons"]}
    # It falls for what it claims, not because the run was disturbed.
    assert codes <= {"verdicts", "tested", "coverage", "measured"}, done.stdout
    assert "measured" in codes
    assert body["decided_again"] == len(body["plan"]["decided"])
    if name != "hostile_conftest":
        assert "SUPPORTED" not in body["verdicts"].values()


@pytest.mark.parametrize("name", [pytest.param(HONEST[0], marks=exhaustive), HONEST[1]])
def test_honest_example(name, tmp_path):
    done = gate(ROOT / name, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    body = json.loads((tmp_path / "mecheval-gate/gate.json").read_text())
    assert body["passed"]
    assert set(body["verdicts"].values()) <= {"SUPPORTED", "NOT_TESTABLE"}


def test_shadowing_modules_on_the_import_path_change_nothing(tmp_path):
    bundle = copy("hostile_conftest", tmp_path)
    marker = tmp_path / "planted_code_ran"
    plant_everything(bundle, marker, start_up=False)
    # Both would stand in for the command itself, and nothing can help against that.
    (bundle / "pytest_mecheval.py").unlink()
    (bundle / "sitecustomize.py").unlink()
    done = gate(".", bundle, "--out", str(tmp_path / "out"), PYTHONPATH=str(bundle))
    assert done.returncode == 1, done.stdout + done.stderr
    assert not marker.exists(), marker.read_text()
