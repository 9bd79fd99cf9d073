"""Entry points found by name alone, on the layouts that agents leave behind."""

import json

import pytest

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.bundle.entry_points import entry_points

GUARDED = "def main():\n    pass\n\nif __name__ == '__main__':\n    main()\n"
CELLS = "# %%\nprint(1)\n"
LIBRARY = "def helper():\n    return 1\n"


def notebook(*cells: str, kind: str = "code") -> str:
    return json.dumps(
        {
            "cells": [
                {"cell_type": kind, "metadata": {}, "source": [cell], "outputs": []}
                if kind == "code"
                else {"cell_type": kind, "metadata": {}, "source": [cell]}
                for cell in cells
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


@pytest.fixture
def found(tmp_path):
    def find(**files: str):
        for name, text in {"logs/documentation.md": "# Findings\n", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return [
            (point.entry, point.origin, point.problem) for point in entry_points(discover(tmp_path))
        ]

    return find


def test_a_manifest_is_the_whole_list(found):
    points = found(
        **{
            "mecheval.yaml": "entry_points: [src/b.py --device cuda:0, 'src/data.py:make', a.py]\n",
            "a.py": GUARDED,
            "src/b.py": LIBRARY,
            "src/data.py": LIBRARY,
            "run_all.sh": "python a.py\n",
        }
    )
    assert points == [
        ("src/b.py --device cuda:0", "mecheval.yaml", ""),
        ("a.py", "mecheval.yaml", ""),
    ]


def test_run_all_and_the_notebooks_it_leaves_out(found):
    points = found(
        **{
            "run_all.sh": "set -e\npython src/train.py\njupyter nbconvert --execute notebooks/one.ipynb\n",
            "src/train.py": GUARDED,
            "src/other.py": GUARDED,
            "notebooks/one.ipynb": notebook("print(1)"),
            "notebooks/two.ipynb": notebook("print(2)"),
            "notebooks/plan_Md.ipynb": notebook("# Plan", kind="markdown"),
        }
    )
    assert points == [("run_all.sh", "its name", ""), ("notebooks/two.ipynb", "a notebook", "")]


def test_a_shell_script_that_cannot_be_read_is_told_and_the_next_name_counts(found):
    points = found(**{"run_all.sh": "make all\n", "main.py": GUARDED, "experiments/a.py": GUARDED})
    assert points == [
        ("run_all.sh", "its name", "run_all.sh:1: `make` is not read"),
        ("main.py", "its name", ""),
    ]


def test_notebooks_in_order_of_their_names(found):
    points = found(
        **{
            "notebooks/2025-10-02-09-00_Late.ipynb": notebook("print(2)"),
            "notebooks/2025-10-01-09-00_Early.ipynb": notebook("print(1)"),
            "src/lib.py": LIBRARY,
        }
    )
    assert [entry for entry, _, _ in points] == [
        "notebooks/2025-10-01-09-00_Early.ipynb",
        "notebooks/2025-10-02-09-00_Late.ipynb",
    ]


def test_scripts_in_the_order_of_the_walkthrough(found):
    points = found(
        **{
            "logs/code_walk.md": "# Code\n\nFirst `second.py`, then ./experiments/first.py.\n"
            "Helpers are in lib.py; second.py again; gone.py is not there.\n",
            "experiments/first.py": CELLS,
            "experiments/second.py": GUARDED,
            "experiments/unnamed.py": GUARDED,
            "experiments/lib.py": LIBRARY,
        }
    )
    assert points == [
        ("experiments/second.py", "logs/code_walk.md:3", ""),
        ("experiments/first.py", "logs/code_walk.md:3", ""),
    ]


def test_a_file_name_that_two_scripts_have_names_neither(found):
    points = found(
        **{
            "code_walk.md": "See run_it.py.\n",
            "x/run_it.py": GUARDED,
            "y/run_it.py": GUARDED,
        }
    )
    assert [origin for _, origin, _ in points] == ["a script with a main guard or cells"] * 2


def test_scripts_made_to_be_started_when_nothing_names_any(found):
    points = found(
        **{"experiments/a.py": CELLS, "experiments/b.py": GUARDED, "src/lib.py": LIBRARY}
    )
    assert [entry for entry, _, _ in points] == ["experiments/a.py", "experiments/b.py"]


def test_prose_alone_has_none(found):
    assert found(**{"src/lib.py": LIBRARY}) == []


def test_examples_and_fixtures():
    from pathlib import Path

    root = Path(__file__).parents[3]
    known = {
        path: [point.entry for point in entry_points(discover(root / path))]
        for path in ("fixtures/runs_through", "fixtures/seeded")
    }
    assert known == {"fixtures/runs_through": ["run.py"], "fixtures/seeded": ["run.py"]}
