"""What a reader sees of a run of a script: its end, its ledger, the numbers nearest to the stated one."""

import numpy as np

from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.report.testimony import MAX_NUMBERS, MAX_ROWS, accounts_of_runs
from pytest_mecheval.wire import PlanStep, Rerun, Slice

FACTS = {
    "standing": "complete",
    "status": "finished",
    "exit_code": 0,
    "failed_cells": [],
    "last_words": "",
    "forwards": 4,
    "prompts": 64,
    "edits": [
        {"site": f"s{i}", "kind": "zero", "heads": "3", "prompts": 8, "places": ["run.py:9"]} for i in range(9)
    ],
    "reads": [{"site": "r", "prompts": 2, "place": ""}],
    "idle_hooks": ["never"],
    "attempts": [],
    "numbers": [*map(str, range(40)), "0.91406", "nan"],
}  # fmt: skip


def told(spec, **facts):
    step = PlanStep(Slice("", "evaluation", n=0), Rerun("run.py", "shuffle"))
    return accounts_of_runs(Evidence({step: Measurement(np.array([]), facts=FACTS | facts)}), spec)


def test_a_stated_number_is_found_at_its_precision() -> None:
    (found,) = told({"number": "0.914"})
    assert (found.run, found.agrees, found.numbers) == (
        "run.py on shuffled weights",
        True,
        ("0.91406",),
    )
    assert (found.ending, found.count) == ("the run ended well", 42)
    assert found.ledger[0] == "4 forward passes on 64 prompts"
    assert found.ledger[1] == "changed s0 heads 3 (zero), 8 prompts at run.py:9"
    assert f"and {9 - MAX_ROWS} more changed sites" in found.ledger
    assert found.ledger[-1] == "hook at never was never called"


def test_without_it_the_nearest_numbers_are_shown() -> None:
    (found,) = told({"number": "7.2"})
    assert found.agrees is False
    assert found.numbers[:3] == ("7", "8", "6")
    assert len(found.numbers) == MAX_NUMBERS
    assert "nan" not in found.numbers


def test_without_a_stated_number_nothing_is_compared() -> None:
    (found,) = told({}, exit_code=3, last_words="ValueError: x")
    assert (found.stated, found.agrees) == ("", None)
    assert found.numbers == ("0", "1", "2", "3", "4", "5", "6", "7")
    assert found.ending == "the run ended with exit code 3: ValueError: x"
