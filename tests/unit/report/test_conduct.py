"""How scripts behaved, as notes: isolation, attempts, events; bounded."""

import numpy as np

from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.report.conduct import MAX_SHOWN, conduct_notes
from pytest_mecheval.wire import PlanStep, Rerun, Slice


def evidence(*facts) -> Evidence:
    return Evidence(
        {
            PlanStep(Slice("", "evaluation", n=0), Rerun("run.py", repeat=number)): Measurement(
                np.empty(0), facts=each
            )
            for number, each in enumerate(facts)
        }
    )


def test_a_claim_without_a_script_has_no_notes():
    assert conduct_notes(evidence({})) == ()


def test_two_runs_say_it_once():
    facts = {
        "isolation": {"backend": "landlock"},
        "attempts": ["os.kill 1 0 (run.py:3)"],
        "notes": ["disk: too much"],
    }
    assert conduct_notes(evidence(facts, facts)) == (
        "the bundle's code ran under isolation: landlock",
        "the bundle's code tried to: os.kill 1 0 (run.py:3)",
        "in its run: disk: too much",
    )


def test_many_attempts_are_counted():
    (note,) = conduct_notes(evidence({"attempts": [f"a{number}" for number in range(20)]}))
    assert note.endswith(f"; and {20 - MAX_SHOWN} more")
