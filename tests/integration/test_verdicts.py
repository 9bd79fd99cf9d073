"""The same verdicts however pytest is run, and nothing measured twice."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from toy_bundle import EXPECTED, verdicts, write_bundle

pytestmark = pytest.mark.usefixtures("toy")


def test_verdicts_table_and_exit_status(pytester, run, plugin_args):
    result = run("--mecheval=toy", *plugin_args)
    assert result.ret == 1
    result.assert_outcomes(passed=2, failed=1, skipped=2)
    assert verdicts(pytester) == EXPECTED
    text = result.stdout.str()
    assert "decoy: REFUTED" in text
    assert '"Head 1.1 is needed for induction"' in text
    assert "Traceback" not in text
    assert "2 of 3 tested claims supported" in text
    assert "3 of 5 stated findings tested" in text


def test_threads_workers_and_repetition_change_no_decision(pytester, tmp_path, run):
    def decisions(name: str, *arguments: str) -> dict:
        run("--mecheval=toy", f"--mecheval-evidence={tmp_path / name}", *arguments)
        body = json.loads((pytester.path / "mecheval-out/toy/decisions.json").read_text())
        del body["run"]
        return body

    once = decisions("a", "-n", "0")
    assert decisions("a", "-n", "2") == once
    fresh = decisions("b", "-n", "2", "--mecheval-threads=2")
    assert [(d["claim"], d["verdict"], d["code"]) for d in fresh["decisions"]] == [
        (d["claim"], d["verdict"], d["code"]) for d in once["decisions"]
    ]


def _records(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in store.glob("??/*.json")}


def test_killed_halfway_then_run_again(pytester, tmp_path):
    store = tmp_path / "evidence"
    command = [
        *(sys.executable, "-m", "pytest", "--mecheval=toy", f"--mecheval-evidence={store}"),
        *("-p", "no:allure_pytest", "-n", "0"),
    ]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        deadline = time.monotonic() + 120
        while not _records(store) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    finished = _records(store)
    assert finished
    time.sleep(1.5)  # the orphaned child has to notice
    finished = _records(store)
    again = subprocess.run(command, cwd=pytester.path, capture_output=True, text=True, timeout=180)  # noqa: S603
    assert again.returncode == 1, again.stdout
    after = _records(store)
    assert {name: after[name] for name in finished} == finished
    assert verdicts(pytester) == EXPECTED


@pytest.mark.parametrize("arguments", [["-n", "0"], ["-n", "2"]], ids=["n0", "n2"])
def test_no_worker_imports_torch(pytester, run, arguments):
    pytester.makepyfile(
        spy="""
        import os, pathlib, sys

        def pytest_sessionfinish():
            heavy = sorted({"torch", "transformer_lens", "transformers"} & set(sys.modules))
            pathlib.Path(f"spy-{os.getpid()}.txt").write_text(",".join(heavy) or "none")
        """
    )
    pytester.syspathinsert()
    run("--mecheval=toy", "-p", "spy", *arguments)
    notes = [path.read_text() for path in pytester.path.glob("spy-*.txt")]
    assert len(notes) == (3 if "2" in arguments else 1)
    assert set(notes) == {"none"}


def test_two_bundles_of_one_name(pytester, run):
    write_bundle(pytester.path / "other" / "toy")
    result = run("--mecheval=toy", "--mecheval=other/toy", "--mecheval=toy")
    result.assert_outcomes(passed=4, failed=2, skipped=4)
    folders = sorted(
        path.name for path in (pytester.path / "mecheval-out").iterdir() if path.is_dir()
    )
    assert len(folders) == 2
    assert all(name.startswith("toy_") for name in folders)


def test_from_another_directory(pytester, toy, evidence):
    elsewhere = pytester.path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-m", "pytest", f"--mecheval={toy}", evidence, "-k", "needed"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=180)  # noqa: S603
    assert done.returncode == 0, done.stdout
    assert (elsewhere / "mecheval-out/toy/decisions/needed.json").exists()
    assert not (elsewhere / ".mecheval").exists()


@pytest.mark.parametrize(
    "start",
    [[str(Path(sysconfig.get_path("scripts"), "pytest"))], [sys.executable, "-P", "-m", "pytest"]],
    ids=["pytest", "python -P -m pytest"],
)
def test_from_inside_the_bundle_its_conftest_is_not_imported(toy, evidence, start):
    (toy / "conftest.py").write_text("raise SystemExit('imported')")
    command = [*start, "--mecheval=.", evidence, "-k", "needed", "-n", "0"]
    done = subprocess.run(command, cwd=toy, capture_output=True, text=True, timeout=180)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


def test_from_inside_the_bundle_python_m_would_import_its_modules_and_is_refused(toy, evidence):
    (toy / "conftest.py").write_text("raise SystemExit('imported')")
    command = [sys.executable, "-m", "pytest", "--mecheval=.", evidence, "-k", "needed", "-n", "0"]
    done = subprocess.run(command, cwd=toy, capture_output=True, text=True, timeout=180)  # noqa: S603
    text = done.stdout + done.stderr
    assert done.returncode == 4, text
    assert f"import path: {toy}" in text
    assert "imported" not in text
