"""What traced and plain runs leave is compared; a second plain run only where they differ."""

import os
from pathlib import Path

import pytest

from pytest_mecheval.run.plain_runs import _text_files, compared, left_behind
from pytest_mecheval.sandbox.backend import remove_tree
from pytest_mecheval.sandbox.differential import Output


def asked(*outputs: str):
    """Plain runs in turn, and how many were asked for."""
    left = list(outputs)
    return lambda: Output(0, left.pop(0), {}), left


def test_equal_runs_need_one_plain_run():
    plain, left = asked("acc 0.5", "unused")
    facts = compared(Output(0, "acc 0.5", {}), plain)
    assert (facts["differences"], facts["unstable"], facts["compared"]) == ([], [], 2)
    assert left == ["unused"]


def test_plain_runs_that_agree_give_the_watched_one_away():
    plain, left = asked("acc 0.6", "acc 0.6")
    facts = compared(Output(0, "acc 0.5", {}), plain)
    assert "0.5 traced, 0.6 plain" in facts["differences"][0]
    assert left == []


def test_plain_runs_that_differ_say_nothing_about_watching():
    plain, _ = asked("acc 0.6", "acc 0.7")
    facts = compared(Output(0, "acc 0.5", {}), plain)
    assert facts["differences"] == []
    assert facts["unstable_numbers"] == ["0.5"]
    assert "0.6, then 0.7" in facts["unstable"][0]


@pytest.fixture
def place(tmp_path: Path):
    for name in ("original", "work/bundle"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def left_by(place: Path, stdout: str = "", copied: tuple[str, ...] = ()) -> Output:
    folder = place / "work"
    return left_behind(0, stdout, folder, folder / "bundle", place / "original", frozenset(copied))


def test_folder_addresses_and_clock_are_taken_out(place):
    text = f"{place}/work/bundle at 0x7f03a2b4c0 on 2026-11-23 10:02:03, 10:02:03.5: acc 0.5"
    assert (
        left_by(place, text).stdout == "<folder>/bundle at <moment> on <moment>, <moment>: acc 0.5"
    )


def test_only_what_was_written_counts(place):
    bundle = place / "work" / "bundle"
    for folder in (bundle, place / "original"):
        (folder / "given.txt").write_text("given 1")
        (folder / "changed.txt").write_text("before 1")
        (folder / "results.json").write_text("7")
    (bundle / "changed.txt").write_text("after 2")
    (bundle / "weights.pt").write_bytes(b"no text")
    found = left_by(place, copied=("given.txt", "changed.txt")).files
    assert found == {"changed.txt": "after 2", "results.json": "7"}


def test_links_and_pipes_a_script_leaves_behind_are_not_read(place):
    (place / "secret.txt").write_text("secret 1")
    bundle = place / "work" / "bundle"
    (bundle / "link.txt").symlink_to(place / "secret.txt")
    (bundle / "folder").symlink_to(place, target_is_directory=True)
    os.mkfifo(bundle / "pipe.txt")
    assert left_by(place).files == {}


def test_folders_without_end_are_not_followed(tmp_path):
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    (tmp_path / "d/out.txt").write_text("7")
    assert _text_files(tmp_path) == ["d/out.txt"]
    assert remove_tree(tmp_path / "d")
