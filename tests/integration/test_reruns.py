"""A bundle judged by its own scripts' runs: one run per script, and a killed session leaves nothing behind."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pytest_mecheval.sandbox.backends import available

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")

DOCUMENTATION = """# Findings

The quick script gives 17.25 and 3.5.
The slow script gives 42.125.
"""
SLEEP = 4
QUICK = "import time\nprint('quick', 17.25, 3.5)\n"
SLOW = f"import time\nfrom pathlib import Path\nPath('left.bin').write_bytes(b'0' * 1024)\ntime.sleep({SLEEP})\nprint(42.125)\n"
CLAIMS = (
    ("first-number", 3, "provenance", {"entry": "quick.py", "number": "17.25"}),
    ("second-number", 3, "provenance", {"entry": "quick.py", "number": "3.5"}),
    ("quick-runs", 3, "runnable", {"entry": "quick.py"}),
    ("slow-number", 4, "provenance", {"entry": "slow.py", "number": "42.125"}),
    ("slow-runs", 4, "runnable", {"entry": "slow.py"}),
)
SPY = """
import os, pathlib

from pytest_mecheval.run.execution import Execution

def counted(execution, original=Execution.facts):
    with open(pathlib.Path(os.environ["RUNS"]), "a") as stream:
        stream.write(execution.probe.entry + "\\n")
    return original(execution)

Execution.facts = counted
"""


@pytest.fixture
def bundle(pytester) -> Path:
    """The bundle `scripts` in the directory pytest is started in."""
    root = pytester.path / "scripts"
    (root / "logs").mkdir(parents=True)
    (root / "logs" / "documentation.md").write_text(DOCUMENTATION)
    (root / "quick.py").write_text(QUICK)
    (root / "slow.py").write_text(SLOW)
    lines = DOCUMENTATION.splitlines()
    claims = [
        {
            "id": name,
            "kind": kind,
            "quote": {"file": "logs/documentation.md", "line": line, "text": lines[line - 1]},
            "spec": spec,
        }
        for name, line, kind, spec in CLAIMS
    ]
    digest = hashlib.sha256(DOCUMENTATION.encode()).hexdigest()
    documents = {"logs/documentation.md": f"sha256:{digest}"}
    body = {"format": 1, "bundle": "scripts", "documents": documents, "subject": {}}
    path = pytester.path / "scripts.claims.yaml"
    path.write_text(yaml.safe_dump({**body, "claims": claims}))
    return root


def verdicts(folder: Path) -> dict[str, str]:
    """Verdict by claim of the last session."""
    body = json.loads((folder / "mecheval-out/scripts/decisions.json").read_text())
    return {d["claim"]: d["verdict"] for d in body["decisions"]}


@pytest.mark.parametrize("arguments", [["-n", "0"], ["-n", "2"]], ids=["n0", "n2"])
def test_one_run_per_script_however_many_claims_and_workers(
    pytester, bundle, monkeypatch, arguments
):
    runs = pytester.path / "runs.txt"
    monkeypatch.setenv("RUNS", str(runs))
    pytester.makepyfile(spy=SPY)
    pytester.syspathinsert()
    for _ in range(2):  # and none at all the second time
        result = pytester.runpytest_subprocess(
            f"--mecheval={bundle.name}", "-p", "spy", "-p", "no:allure_pytest", *arguments
        )
        assert result.ret == 0
        assert sorted(runs.read_text().split()) == ["quick.py", "slow.py"]
    assert set(verdicts(pytester.path).values()) == {"SUPPORTED"}


def test_killed_during_a_run_then_run_again(pytester, bundle, tmp_path, monkeypatch):
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    monkeypatch.setenv("TMPDIR", str(rooms))
    store = tmp_path / "evidence"
    command = [
        *(sys.executable, "-m", "pytest", f"--mecheval={bundle.name}"),
        *(f"--mecheval-evidence={store}", "-p", "no:allure_pytest", "-n", "0"),
    ]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        _wait(lambda: _reruns(store) and _in_the_middle(rooms))
        os.kill(process.pid, signal.SIGKILL)
    (finished,) = _reruns(store)
    written = finished.stat().st_mtime_ns
    _wait(lambda: not _processes_in(rooms))

    again = subprocess.run(command, cwd=pytester.path, capture_output=True, text=True, timeout=180)  # noqa: S603
    assert again.returncode == 0, again.stdout
    assert set(verdicts(pytester.path).values()) == {"SUPPORTED"}
    assert finished.stat().st_mtime_ns == written
    assert not list(rooms.glob("run-*"))
    assert len(_reruns(store)) == 2
    assert {path.suffix for path in store.glob("??/*")} == {".json", ".lock"}
    assert not _processes_in(rooms)


def _reruns(store: Path) -> list[Path]:
    """Records of runs; what was only read in the code has none of a ledger's facts."""
    return [path for path in store.glob("??/*.json") if '"standing"' in path.read_text()]


def _wait(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def _in_the_middle(rooms: Path) -> bool:
    """Whether the slow script has begun: its file lies in the scratch copy."""
    return bool(list(rooms.glob("run-*/scratch/bundle/left.bin")))


def _processes_in(rooms: Path) -> list[str]:
    """Command lines that name the folder of temporary files."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(rooms) in line:
            found.append(line)
    return found
