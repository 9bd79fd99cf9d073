"""What the effect rule, the pools and the composite kinds must not let pass."""

import dataclasses

import numpy as np

from pytest_mecheval.checks.check import Subject
from pytest_mecheval.checks.effect_rule import Claimed, rule
from pytest_mecheval.checks.inference import ALPHA, Inference
from pytest_mecheval.checks.pool import component_sets
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.checks.worked import CLEAN, SUBJECT, edit_scores, evidence
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import Component, Verdict
from pytest_mecheval.wire import Document

N = 256
ABLATION = {
    "task": "repeated",
    "components": ("a1.h1",),
    "value": "resample",
    "positions": "all",
    "metric": "logit_diff",
}
WHOLE = Inference(clip=10.0, exhaustive=True)


def noisy(mean, sd, seed):
    return np.random.default_rng(seed).normal(mean, sd, N)


def special(effect, *controls):
    pool = {f"c{i}": values for i, values in enumerate(controls)}
    return Claimed(effect, np.full(N, 1.0), pool, special=True)


def test_special_is_not_shown_by_a_lead_within_the_noise():
    close = special(noisy(4.0, 3.0, 0), noisy(3.5, 3.0, 1), noisy(0, 3.0, 2), noisy(0, 3.0, 3))
    ruling = rule(close, Inference(clip=20.0))
    assert ruling.verdict is Verdict.INCONCLUSIVE
    assert ruling.code == "not shown to exceed every control"


def test_special_in_a_whole_population_is_compared_exactly():
    lead = special(np.full(N, 4.0), np.full(N, 3.5), np.full(N, -3.5), np.full(N, 0.0))
    assert rule(lead, WHOLE).verdict is Verdict.SUPPORTED
    close = special(np.full(N, 4.0), np.full(N, -3.7), np.full(N, 0.0), np.full(N, 0.0))
    assert rule(close, WHOLE).code == "not special"
    assert WHOLE.dominance_p(np.full(N, 4.0), np.full((1, N), -4.0)) == 1.0
    assert list(WHOLE.beats_claim_p(np.full(N, 4.0), np.full((1, N), -3.7), 0.9)) == [0.0]


def test_effect_equal_to_the_threshold_does_not_exceed_it():
    assert WHOLE.p_above(np.full(N, 1.0), 1.0) == 1.0
    on_it = Claimed(np.full(N, 1.0), np.full(N, 1.0))
    assert rule(on_it, WHOLE).verdict is not Verdict.SUPPORTED


def test_control_sets_share_no_member_with_the_claimed_set():
    unclaimed = Subject(SUBJECT.shape, {})
    targets = (Component.parse("a1.h1"), Component.parse("a1.h2"))
    members = {name for names in component_sets(unclaimed, targets) for name in names}
    assert members
    assert not members & {"a1.h1", "a1.h2"}


def test_effect_that_a_backup_hides_is_not_refuted():
    check = checks()["ablation"]
    spec = check.spec.model_validate(ABLATION)

    def world(step):
        joint = step.probe.intervention.joint
        return CLEAN - 4.0 if joint == "with_partners" else edit_scores({})(step)

    found = {}
    for step, measured in evidence(check.plan(spec, SUBJECT), world).measurements.items():
        backed_up = step.probe.intervention.joint == "with_partners"
        facts = {"partners": ["a1.h2"]} if backed_up else {}
        found[step] = dataclasses.replace(measured, facts=facts)
    decision = check.decide(spec, SUBJECT, Evidence(found))
    assert (decision.verdict, decision.code) == (Verdict.INCONCLUSIVE, "redundant")


def test_sign_that_depends_on_an_unstated_value_caps_the_verdict():
    check = checks()["ablation"]
    spec = check.spec.model_validate(ABLATION)
    subject = dataclasses.replace(SUBJECT, operationalised=frozenset({"value"}))

    def world(step):
        if step.probe.intervention.source == "zero":
            return CLEAN + 4.0
        return edit_scores({"a1.h1": -4.0})(step)

    found = evidence(check.plan(spec, subject), world)
    decision = check.decide(spec, subject, found)
    assert (decision.verdict, decision.code) == (Verdict.INCONCLUSIVE, "method-conditional")


def test_scope_is_no_surer_than_its_least_sure_stratum():
    check = checks()["scope"]
    inner = {**ABLATION, "min_drop": 3.0}
    spec = check.spec.model_validate(
        {"check": "ablation", "strata": ("fresh", "new_lengths"), "spec": inner}
    )
    near, far = edit_scores({"a1.h1": 1.4}), edit_scores({"a1.h1": -4.0})
    world = lambda step: (near if step.slice.stratum == "new_lengths" else far)(step)  # noqa: E731
    found = evidence(check.plan(spec, SUBJECT), world)
    decision = check.decide(spec, SUBJECT, found)
    ablation = checks()["ablation"]
    each = [
        ablation.decide(
            ablation.spec.model_validate({**inner, "stratum": s}), SUBJECT, found
        ).p_value
        for s in spec.strata
    ]
    assert each[0] < each[1] <= ALPHA
    assert decision.p_value == each[1]


def test_stated_write_total_must_be_the_real_one():
    check = checks()["structure"]
    spec = check.spec.model_validate({"file": "results/nodes.json", "write": 17})
    (step,) = check.plan(spec, SUBJECT)
    assert isinstance(step.probe, Document)
    nodes = {"nodes": ["input", "a1.h1"]}
    found = Evidence({step: Measurement(np.empty(0), facts=nodes)})
    decision = check.decide(spec, SUBJECT, found)
    assert decision.verdict is Verdict.REFUTED
    assert "stated total 17" in decision.measured
