"""Progress is shown only when work takes long, only while it goes on, and only on a terminal."""

import json
import os
import pty
import sys

import pytest

from pytest_mecheval.cases import progress
from pytest_mecheval.run.activity import announced


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Lines shown so far, after some seconds; the second value moves the clock."""
    shown = []
    clock = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(progress.time, "time", lambda: clock[0])
    watcher = progress.Progress(tmp_path, shown.append)

    def after(seconds):
        clock[0] += seconds
        watcher.look()
        return list(shown)

    return after


def says(folder, name, written, **body):
    path = folder / name
    path.write_text(json.dumps(body))
    os.utime(path, (written, written))


def measuring(folder, **body):
    body = {"done": 10, "total": 40, "what": "16 measurements on repeated", "seconds": 5.0} | body
    says(folder, "batch-1.progress.json", 1000.0, **body)


def test_short_work_is_silent(watched, tmp_path):
    measuring(tmp_path)
    assert watched(progress.FIRST_AFTER_SECONDS / 2) == []


def test_long_work_says_what_it_is_and_how_long_it_will_take(watched, tmp_path):
    measuring(tmp_path)
    shown = watched(progress.FIRST_AFTER_SECONDS)
    assert shown == [
        "mecheval: measured 10 of 40, now 16 measurements on repeated; 9 s, about 15 s left"
    ]
    assert watched(1) == shown
    assert len(watched(progress.SAY_EVERY_SECONDS)) == 2


def test_nothing_is_foretold_from_nothing(watched, tmp_path):
    measuring(tmp_path, done=0, what="loading the model")
    assert watched(4) == ["mecheval: measured 0 of 40, now loading the model; 9 s"]


@pytest.mark.parametrize("body", [{"done": 40}, {"done": "x"}, {"seconds": None}])
def test_finished_or_unreadable_files_are_not_mentioned(watched, tmp_path, body):
    measuring(tmp_path, **body)
    (tmp_path / "other.progress.json").write_text("{")
    assert watched(progress.FIRST_AFTER_SECONDS) == []


def test_a_run_of_the_bundles_script_is_named_while_it_runs(watched, tmp_path):
    with announced(tmp_path, "running run.py in the sandbox"):
        (path,) = tmp_path.iterdir()
        os.utime(path, (1000.0, 1000.0))
        assert watched(12) == ["mecheval: running run.py in the sandbox, 12 s"]
    assert list(tmp_path.iterdir()) == []
    assert len(watched(99)) == 1


def test_an_announcement_ends_with_its_process(watched, tmp_path):
    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)
    says(tmp_path, "x.activity.json", 1000.0, what="running run.py", pid=gone)
    assert watched(12) == []


def test_names_of_the_bundle_are_inert(watched, tmp_path):
    measuring(tmp_path, what="1 measurements on \x1b[2J\n::error::x")
    (line,) = watched(4)
    assert "\x1b" not in line
    assert "\n" not in line


def test_only_a_terminal_gets_progress(monkeypatch):
    read_end, write_end = os.pipe()
    with os.fdopen(read_end), os.fdopen(write_end, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert progress.terminal_writer() is None
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, os.fdopen(master, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stdout", terminal)
        progress.terminal_writer()("mecheval: here")
        assert screen.read(100).split() == [b"mecheval:", b"here"]
