"""Progress is shown only when a measurement takes long, and only while it is not finished."""

import json

import pytest

from pytest_mecheval.cases import progress


@pytest.fixture
def lines(tmp_path, monkeypatch):
    shown = []
    watcher = progress.Progress(tmp_path, shown.append)
    clock = [watcher._last]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])

    def after(seconds, **body):
        (tmp_path / "batch-1.progress.json").write_text(json.dumps(body))
        clock[0] += seconds
        watcher.look()
        return list(shown)

    return after


def test_short_measurements_are_silent(lines):
    assert lines(progress.SAY_EVERY_SECONDS / 2, done=1, total=9) == []


def test_long_ones_say_how_far_they_are(lines):
    shown = lines(progress.SAY_EVERY_SECONDS, done=1, total=9)
    assert shown == ["mecheval: 1 of 9 measurements done"]
    assert lines(1, done=2, total=9) == shown


def test_finished_or_unreadable_ones_are_not_mentioned(lines):
    assert lines(progress.SAY_EVERY_SECONDS, done=9, total=9) == []
    assert lines(progress.SAY_EVERY_SECONDS, done="x") == []
