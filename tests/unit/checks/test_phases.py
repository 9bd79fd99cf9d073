"""Phases are told apart by places alone, and nothing counts as separate that was not seen."""

import pytest
from pydantic import ValidationError

from pytest_mecheval.checks.kinds.data_separation import CHECK, DataSeparationSpec
from pytest_mecheval.checks.phases import phase_of
from pytest_mecheval.checks.worked import SUBJECT

CODE = {"functions": [{"place": "run.py:select", "first": 10, "last": 20}]}
CELL_CODE = {"functions": [{"place": "nb.ipynb:cell2:score", "first": 1, "last": 3}]}


def run(*calls, writes=()):
    rows = [f"row{number}" for number in range(10)]
    listed = [{"stack": s, "written": w, "rows": r, "edits": 0} for s, w, r in calls]
    return {"inputs": {"rows": rows, "complete": True, "writes": list(writes), "calls": listed}}


def rows(places, facts, code=CODE):
    return sorted(phase_of(places, facts, code).rows)


TWO = run(
    (["lib.py:3", "run.py:12"], 0, "0-1"), (["lib.py:3", "run.py:30"], 1, "2"), writes=["a.json"]
)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("run.py:select", ["row0", "row1"]),
        ("run.py:10-20", ["row0", "row1"]),
        ("run.py:30", ["row2"]),
        ("lib.py", ["row0", "row1", "row2"]),
        ("before a.json", ["row0", "row1"]),
        ("after a.json", ["row2"]),
    ],
)
def test_each_way_of_naming_a_place(place, expected):
    assert rows([place], TWO) == expected


def test_cells_and_functions_in_cells():
    facts = run((["nb.ipynb:cell2:3", "nb.ipynb:cell4:1"], 0, "0"), (["nb.ipynb:cell5:1"], 0, "1"))
    assert rows(["nb.ipynb:cell4"], facts) == ["row0"]
    assert rows(["nb.ipynb:cell2:score"], facts, CELL_CODE) == ["row0"]
    assert rows(["nb.ipynb:cell4-5"], facts) == ["row0", "row1"]
    assert rows(["other.ipynb:cell4"], facts) == []


def test_no_place_is_the_whole_run_and_unknown_places_are_named():
    assert rows([], TWO) == ["row0", "row1", "row2"]
    missing = phase_of(["run.py:evaluate", "before b.json"], TWO, CODE).missing
    assert missing == ("run.py:evaluate", "before b.json")


def test_stacks_as_long_as_the_ledger_keeps_are_unclear_elsewhere():
    deep = run(([f"run.py:{n}" for n in (40, 41, 42, 43)], 0, "5"))
    found = phase_of(["run.py:select"], deep, CODE)
    assert (found.rows, dict(found.unclear)) == (frozenset(), {0: frozenset({"row5"})})


@pytest.mark.parametrize(
    "place", ["select", "run.py:", "run.sh", "before", "run.py:3-x", "nb.ipynb:4"]
)
def test_what_is_no_place_is_refused_with_what_is_allowed(place):
    with pytest.raises(ValidationError, match=r"is no place \(allowed: run\.py, "):
        DataSeparationSpec(entry="run.py", selection=(place,), evaluation=("run.py:evaluate",))


def test_phases_that_cannot_differ_are_usage_errors():
    same = DataSeparationSpec(entry="run.py", selection=("run.py",), evaluation=("run.py",))
    assert CHECK.problems(same, SUBJECT) == ("selection and evaluation name the same place",)
    one = DataSeparationSpec(entry="run.py", selection=("run.py:select",))
    assert "needs places for both" in CHECK.problems(one, SUBJECT)[0]
    two = DataSeparationSpec(entry="find.py", evaluation_entry="evaluate.py")
    assert CHECK.problems(two, SUBJECT) == ()
    assert [step.probe.type for step in CHECK.plan(two, SUBJECT)] == ["rerun", "rerun", "code"]
