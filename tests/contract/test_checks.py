"""What every kind promises, tested for each kind the registry finds."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.checks.check import AnyCheck, Check, Example
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.checks.worked import CLEAN, SUBJECT, edit_scores, evidence
from pytest_mecheval.errors import CheckError
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import Rung, Verdict
from pytest_mecheval.wire import Intervention, PlanStep, Run

EVERY = [pytest.param(check, id=kind) for kind, check in checks().items()]
EXAMPLES = [
    pytest.param(check, example, id=f"{kind}-{example.title.replace(' ', '-')}")
    for kind, check in checks().items()
    for example in check.examples
]
WITH_EVIDENCE = [p for p in EXAMPLES if p.values[1].evidence.measurements]
MEASURED = [p for p in WITH_EVIDENCE if p.values[0].needs_model]
"""Examples that rest on arrays; the others rest on documents or on the bundle's own run."""


def decide(check: AnyCheck, example: Example, evidence: Evidence):
    return check.decide(example.spec, example.subject, evidence)


def changed(example: Example, change) -> Evidence:
    return Evidence(
        {
            step: dataclasses.replace(m, values=change(step, m.values))
            for step, m in example.evidence.measurements.items()
        }
    )


@pytest.mark.parametrize(("check", "example"), EXAMPLES)
def test_worked_example_gives_its_verdict(check, example):
    decision = decide(check, example, example.evidence)
    assert decision.verdict is example.verdict
    assert bool(decision.code) == (decision.verdict is not Verdict.SUPPORTED)
    assert decision.measured
    assert decision.needed


@pytest.mark.parametrize(("check", "example"), EXAMPLES)
def test_same_evidence_same_decision(check, example):
    assert decide(check, example, example.evidence) == decide(check, example, example.evidence)


@pytest.mark.parametrize(("check", "example"), MEASURED)
def test_order_of_prompts_does_not_change_the_verdict(check, example):
    orders = {}

    def shuffle(step, values):
        key = (step.slice.split, step.slice.stratum, values.size)
        if key not in orders:
            orders[key] = np.random.default_rng(7).permutation(values.size)
        return values[orders[key]]

    assert decide(check, example, changed(example, shuffle)).verdict is example.verdict


@pytest.mark.parametrize(("check", "example"), WITH_EVIDENCE)
def test_plan_names_exactly_what_decide_may_read(check, example):
    planned = check.plan(example.spec, example.subject)
    assert len(set(planned)) == len(planned)
    assert set(planned) == set(example.evidence.measurements)


@pytest.mark.parametrize(("check", "example"), WITH_EVIDENCE)
def test_unavailable_subject_is_not_testable(check, example):
    decision = decide(check, example, Evidence({}, unavailable="weights missing"))
    assert decision.verdict is Verdict.NOT_TESTABLE
    assert "weights missing" in decision.measured


@pytest.mark.parametrize(("check", "example"), MEASURED)
def test_dead_metric_is_never_supported(check, example):
    """A measuring engine that returns the same number everywhere supports nothing."""
    dead = changed(example, lambda _step, values: np.full_like(values, 3.0))
    assert decide(check, example, dead).verdict is not Verdict.SUPPORTED


@pytest.mark.parametrize(("check", "example"), MEASURED)
def test_two_prompts_are_never_enough(check, example):
    few = changed(example, lambda _step, values: values[:2])
    assert decide(check, example, few).verdict is not Verdict.SUPPORTED


HOLDING = [p for p in MEASURED if p.values[1].verdict is Verdict.SUPPORTED]


@pytest.mark.parametrize(("check", "example"), HOLDING)
def test_claim_and_its_negation_never_both_hold(check, example):
    """V02: the contradicting claim on the same world, or the same claim in the turned world."""
    if check.kind == "negative":
        pytest.skip("its contradiction is an ablation claim: see the test below")
    other = check.negate(example.spec, example.subject)
    if other is None:
        assert decide(check, example, turned(example)).verdict is Verdict.REFUTED
        return
    measured = dict(example.evidence.measurements)
    inert = next(
        m
        for step, m in measured.items()
        if not getattr(step.probe, "intervention", None) or not step.probe.intervention.components
    )
    for step in check.plan(other, example.subject):
        if step not in measured:
            size = measured_size(measured, step)
            measured[step] = Measurement(
                np.resize(inert.values, size) * (0.05 if step.probe.type == "attention" else -1.0)
            )
    assert check.decide(other, example.subject, Evidence(measured)).verdict is not Verdict.SUPPORTED


def measured_size(measured, step) -> int:
    return next((m.values.size for s, m in measured.items() if s.slice == step.slice), step.slice.n)


def turned(example: Example) -> Evidence:
    """Every edit has the opposite effect: edited values mirrored at their unedited run."""
    arrays = {step: m.values for step, m in example.evidence.measurements.items()}

    def mirror(step, values):
        edit = getattr(step.probe, "intervention", None)
        if edit is None or not edit.components:
            return values
        plain = Run(Intervention((), base=edit.base), step.probe.metric)
        return 2 * arrays[PlanStep(step.slice, plain)] - values

    return changed(example, mirror)


@given(effect=st.floats(-8, 8), margin=st.floats(0.5, 4))
@settings(max_examples=40, deadline=None)
def test_mattering_and_not_mattering_never_both_hold(effect, margin):
    """V02 across kinds: ablation with min_drop = margin against negative with the same margin."""
    shared = {
        "task": "repeated",
        "components": ("a1.h2",),
        "value": "resample",
        "positions": "all",
        "metric": "logit_diff",
    }
    verdicts = set()
    for kind, field in (("ablation", "min_drop"), ("negative", "margin")):
        check = checks()[kind]
        spec = check.spec.model_validate({**shared, field: margin})
        planted = evidence(check.plan(spec, SUBJECT), edit_scores({"a1.h2": CLEAN - effect}))
        verdicts.add((kind, check.decide(spec, SUBJECT, planted).verdict))
    assert verdicts != {("ablation", Verdict.SUPPORTED), ("negative", Verdict.SUPPORTED)}


@pytest.mark.parametrize(("check", "example"), MEASURED)
def test_whole_population_needs_no_interval(check, example):
    whole = Evidence(
        {
            step: Measurement(m.values, exhaustive=True)
            for step, m in example.evidence.measurements.items()
        }
    )
    decision = decide(check, example, whole)
    if decision.estimate is not None:
        assert decision.estimate.lower == decision.estimate.upper == decision.estimate.value
    assert decision.p_value is None


@pytest.mark.parametrize("check", EVERY)
def test_kind_can_fail_and_can_pass(check):
    verdicts = {example.verdict for example in check.examples}
    assert {Verdict.SUPPORTED, Verdict.REFUTED} <= verdicts


@pytest.mark.parametrize("check", EVERY)
def test_every_field_is_documented_and_readers_know_what_refutes_it(check):
    schema = check.spec.model_json_schema()
    assert all("description" in field for field in schema["properties"].values())
    assert check.refuted_by(check.examples[0].spec)
    assert check.question.endswith("?")


@pytest.mark.parametrize("check", EVERY)
def test_rung_of_the_decision_is_the_rung_of_the_kind_or_lower(check):
    for example in check.examples:
        assert decide(check, example, example.evidence).rung <= Rung.L2


def test_correlational_kinds_stay_on_rung_one():
    assert checks()["attention"].rung is Rung.L1
    assert checks()["attribution"].rung is Rung.L1


def test_incomplete_kinds_are_refused_with_the_reason():
    good = checks()["ablation"]
    fields = {f.name: getattr(good, f.name) for f in dataclasses.fields(good)}
    with pytest.raises(
        CheckError, match="ablation: module docstring must answer, in order: Question:"
    ):
        Check(**{**fields, "doc": "No questions answered."})
    with pytest.raises(CheckError, match="ablation: no example is refuted, supported"):
        Check(**{**fields, "examples": ()})
    with pytest.raises(CheckError, match="a kind is a lower-case noun"):
        Check(**{**fields, "kind": "Ablation"})
