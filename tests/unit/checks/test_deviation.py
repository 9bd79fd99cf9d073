"""Deviations from a plan: named, excused only by a report that names them, and never by a plan written later."""

import numpy as np
import pytest

from pytest_mecheval.checks.kinds.plan_step import CHECK, PlanStepSpec
from pytest_mecheval.checks.worked import SUBJECT, ran_facts
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import Verdict

PLANNED = {
    "event": "ablate",
    "sites": ["attn.o"],
    "heads": [2],
    "value": "zero",
    "min_prompts": 100,
}
ROW = {
    "site": "blocks.0.attn.o.input",
    "kind": "zero",
    "heads": "2",
    "prompts": 128,
    "places": ["run.py:3"],
    "positions": ["all"],
}


def decide(text="", *, stands=True, planned=PLANNED, written_in="", inputs=None, **row):
    told = {"disclosed": {"file": "report.md", "text": text}} if text else {}
    spec = PlanStepSpec.model_validate(
        {"entry": "run.py", "requires": [{**planned, **told}], "written_in": written_in}
    )
    run = ran_facts(edits=[{**ROW, **row}], **({"inputs": inputs} if inputs else {}))
    prose = {"paragraphs": [{"line": 1, "text": text}] if stands else []}
    measured = {
        step: Measurement(np.empty(0), facts=run if step.probe.type == "rerun" else prose)
        for step in CHECK.plan(spec, SUBJECT)
    }
    return CHECK.decide(spec, SUBJECT, Evidence(measured))


@pytest.mark.parametrize(
    ("row", "code", "told", "vague"),
    [
        ({"kind": "mean"}, "another value", "It was mean-ablated.", "It was ablated."),
        ({"prompts": 48}, "too few prompts", "We used 48 prompts.", "We used 148 prompts."),
        ({"heads": "1"}, "other heads", "We ablated a0.h1.", "We ablated head 11."),
        ({"site": "blocks.0.mlp"}, "another site", "We zeroed the mlp.", "We zeroed it."),
    ],
)
def test_planned_and_actual_are_named_and_disclosure_must_name_what_was_done(
    row, code, told, vague
):
    silent = decide(**row)
    assert (silent.verdict, silent.code) == (Verdict.REFUTED, code)
    assert ": planned " in silent.measured
    assert decide(vague, **row).code == code
    assert decide(told, stands=False, **row).code == code
    disclosed = decide(told, **row)
    assert disclosed.verdict is Verdict.SUPPORTED
    assert any(
        note.startswith("deviation disclosed in report.md: planned") for note in disclosed.notes
    )


def test_one_disclosed_deviation_does_not_excuse_another():
    both = {"kind": "mean", "prompts": 48}
    assert decide("We mean-ablated.", **both).code == "too few prompts"
    assert decide("We mean-ablated on 48 prompts.", **both).verdict is Verdict.SUPPORTED


def test_positions_are_compared_when_they_are_planned():
    planned = {**PLANNED, "positions": [7]}
    assert decide(planned=planned, positions=["7"]).verdict is Verdict.SUPPORTED
    for changed in (["all"], ["0-7"], ["6"], ["7", "all"], ["6", ""]):
        assert decide(planned=planned, positions=changed).code == "other positions"
    for unknown in ([""], ["7", ""]):
        assert decide(planned=planned, positions=unknown).verdict is Verdict.INCONCLUSIVE
    told = "Positions 6 and 7 were patched."
    assert decide(told, planned=planned, positions=["6-7"]).verdict is Verdict.SUPPORTED


def inputs(*calls, writes=()):
    listed = [{"stack": [f], "written": w, "rows": "0", "edits": e} for f, w, e in calls]
    return {"rows": ["r"], "complete": True, "writes": list(writes), "calls": listed}


def test_a_plan_the_run_writes_after_its_edits_plans_nothing():
    late = inputs(("run.py:9", 0, 1), writes=["logs/plan.md"])
    decision = decide(written_in="logs/plan.md", inputs=late)
    assert (decision.verdict, decision.code) == (Verdict.REFUTED, "plan written after")
    first = inputs(("run.py:4", 0, 0), ("run.py:9", 1, 1), writes=["logs/plan.md"])
    assert decide(written_in="logs/plan.md", inputs=first).verdict is Verdict.SUPPORTED
    untouched = inputs(("run.py:9", 0, 1))
    assert decide(written_in="logs/plan.md", inputs=untouched).verdict is Verdict.SUPPORTED


def test_a_plan_cell_must_stand_above_the_cells_that_carry_it_out():
    facts = inputs(("nb.ipynb:cell3:2", 0, 1))
    assert decide(written_in="nb.ipynb:cell2", inputs=facts).verdict is Verdict.SUPPORTED
    assert decide(written_in="nb.ipynb:cell5", inputs=facts).code == "plan written after"


def stacked(*frames):
    call = {"stack": list(frames), "written": 0, "rows": "0", "edits": 1}
    return {"rows": ["r"], "complete": True, "writes": [], "calls": [call]}


def test_a_function_defined_above_the_plan_and_called_below_it_is_no_early_run():
    called_below = stacked("nb.ipynb:cell2:4", "nb.ipynb:cell7:1")
    assert decide(written_in="nb.ipynb:cell5", inputs=called_below).verdict is Verdict.SUPPORTED
    called_above = stacked("nb.ipynb:cell2:4", "nb.ipynb:cell3:1")
    assert decide(written_in="nb.ipynb:cell5", inputs=called_above).code == "plan written after"
    deep = stacked(*(f"nb.ipynb:cell2:{line}" for line in range(4)))
    assert decide(written_in="nb.ipynb:cell5", inputs=deep).verdict is Verdict.INCONCLUSIVE
