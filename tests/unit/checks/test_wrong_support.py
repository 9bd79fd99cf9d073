"""Worlds in which a claim must not be SUPPORTED, one for every safeguard of the kinds."""

import dataclasses

import numpy as np
import pytest

from pytest_mecheval.checks import steps
from pytest_mecheval.checks.inference import Inference, damage
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.checks.worked import CLEAN, SUBJECT, edit_scores, evidence
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import Metric, Verdict

EDIT = {"task": "repeated", "value": "resample", "positions": "all", "metric": "logit_diff"}
HEADS = [str(head) for head in SUBJECT.shape.heads()]


def decided(kind, score, spread=0.5, change=lambda _step, measurement: measurement, **fields):
    """Verdict and code of a claim in a world where each step has the planted mean."""
    check = checks()[kind]
    spec = check.spec.model_validate(fields)
    found = evidence(check.plan(spec, SUBJECT), score, spread=spread)
    found = Evidence({step: change(step, m) for step, m in found.measurements.items()})
    decision = check.decide(spec, SUBJECT, found)
    return decision.verdict, decision.code


def edit_of(step):
    return step.probe.intervention


def alone(shares, clean=CLEAN):
    """Scores of circuits by name: each keeps its share of the way from -clean to clean."""

    def score(step):
        edit = edit_of(step)
        if not edit.components:
            return clean if edit.base == "clean" else -clean
        kept = tuple(name for name in HEADS if name not in edit.components)
        return -clean + shares.get(kept, 0.0) * 2 * clean

    return score


@pytest.mark.parametrize("metric", list(Metric))
def test_worse_is_damage_whatever_the_direction_of_the_metric(metric):
    good, bad = (0.1, 0.9) if metric.lower_is_better else (0.9, 0.1)
    assert damage(metric, np.array([good]), np.array([bad]))[0] == pytest.approx(0.8)


def test_absurd_threshold_is_refuted_and_no_way_out_of_being_tested():
    score = edit_scores({"a1.h1": -4.0})
    for drop in (30.0, 1e5):
        got = decided("ablation", score, components=["a1.h1"], min_drop=drop, **EDIT)
        assert got == (Verdict.REFUTED, "too small")


def test_clip_reaches_a_stated_threshold_beyond_the_metric():
    inference = Inference(clip=10.0, reach=40.0)
    assert (inference.for_margins.clip, inference.clip) == (80.0, 10.0)
    assert Inference(clip=10.0, reach=2.0).for_margins.clip == 10.0


def test_threshold_beyond_computing_is_refused():
    spec = {"components": ["a1.h1"], **EDIT}
    for kind, field in (("ablation", "min_drop"), ("negative", "margin")):
        with pytest.raises(ValueError, match=field):
            checks()[kind].spec.model_validate({**spec, field: 1e308})


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (1.0, (Verdict.SUPPORTED, "")),
        (1.1, (Verdict.INCONCLUSIVE, "underpowered")),
        (1.3, (Verdict.REFUTED, "overshoots the model")),
    ],
)
def test_circuit_near_the_upper_limit_is_not_supported(share, verdict):
    world = alone({("a1.h1",): share})
    fields = {"components": ["a1.h1"], "min_faithfulness": 0.9, **EDIT}
    assert decided("faithfulness", world, **fields) == verdict


def test_circuit_no_better_than_one_of_the_random_ones():
    world = alone({("a1.h1",): 1.0, ("a0.h2",): 1.0})
    got = decided("faithfulness", world, components=["a1.h1"], min_faithfulness=0.9, **EDIT)
    assert got == (Verdict.INCONCLUSIVE, "not shown to beat random circuits")


def test_circuit_that_any_random_one_equals_is_vacuous():
    world = alone({(name,): 1.0 for name in HEADS})
    got = decided("faithfulness", world, components=["a1.h1"], min_faithfulness=0.9, **EDIT)
    assert got == (Verdict.VACUOUS, "random circuits pass too")


def test_whole_model_as_its_own_circuit_has_nothing_to_be_compared_with():
    got = decided("faithfulness", alone({}), components=HEADS, min_faithfulness=0.9, **EDIT)
    assert got == (Verdict.INCONCLUSIVE, "no random circuit to compare with")


def test_share_of_no_range_is_not_decided():
    flat = lambda step: -CLEAN if edit_of(step).base == "counterfactual" else CLEAN  # noqa: E731
    got = decided("faithfulness", flat, components=["a1.h1"], min_faithfulness=0.9, **EDIT)
    assert got == (Verdict.INCONCLUSIVE, "no range")


def test_circuit_that_keeps_the_loss_low_is_faithful():
    fields = {"components": ["a1.h1"], "min_faithfulness": 0.9, **EDIT, "metric": "loss"}
    # The loss is high where the score is low: the same world with every sign turned.
    assert decided("faithfulness", alone({("a1.h1",): 1.0}, clean=-CLEAN), **fields) == (
        Verdict.SUPPORTED,
        "",
    )


@pytest.mark.parametrize("start", ["zero", "resample"])
def test_component_that_matters_under_another_value_is_not_inert(start):
    def world(step):
        edit = edit_of(step)
        if edit.source == "mean" and len(edit.components) == 1:
            return CLEAN - 4.0
        return edit_scores({})(step)

    fields = {"components": ["a1.h1"], **EDIT, "value": start}
    assert decided("negative", world, **fields) == (Verdict.REFUTED, "it does matter")


def test_component_that_matters_without_its_backups_is_not_inert():
    def world(step):
        return CLEAN - 4.0 if edit_of(step).joint == "with_partners" else edit_scores({})(step)

    got = decided("negative", world, components=["a1.h1"], **EDIT)
    assert got == (Verdict.REFUTED, "it does matter")


def test_gain_as_large_as_the_margin_is_not_inert():
    world = edit_scores({"a1.h1": CLEAN + 1.0})
    got = decided("negative", world, components=["a1.h1"], margin=1.0, **EDIT)
    assert got == (Verdict.INCONCLUSIVE, "underpowered")


def test_nothing_is_shown_inert_where_nothing_matters():
    def world(step):
        edit = edit_of(step)
        return CLEAN if edit.components and edit.positions == "END" else edit_scores({})(step)

    fields = {"components": ["a1.h1"], **EDIT, "positions": "END"}
    assert decided("negative", world, **fields) == (
        Verdict.VACUOUS,
        "test could not have seen an effect",
    )


def test_tie_is_no_order():
    world = edit_scores({"a1.h1": 1.0, "a1.h2": 1.0})
    got = decided("ranking", world, order=["a1.h1", "a1.h2"], among="listed", **EDIT)
    assert got == (Verdict.INCONCLUSIVE, "underpowered")


def test_patch_moves_what_its_direction_says():
    check = checks()["patching"]
    fields = {"task": "repeated", "positions": "END", "metric": "logit_diff"}

    def edit(**more):
        spec = check.spec.model_validate({"components": ["a0.h1"], **fields, **more})
        return edit_of(check.plan(spec, SUBJECT)[4])

    denoising, noising = edit(direction="denoising"), edit(direction="noising")
    assert (denoising.base, denoising.source) == ("counterfactual", "clean")
    assert (noising.base, noising.source) == ("clean", "counterfactual")
    assert edit(direction="noising", receivers=["a1.h3.k"]).receivers == ("a1.h3.k",)


def test_attention_is_read_from_the_query_to_the_key():
    check = checks()["attention"]
    fields = {"task": "repeated", "head": "a1.h1", "query": "END", "key": "INDUCTION_TARGET"}
    probes = [s.probe for s in check.plan(check.spec.model_validate(fields), SUBJECT)]
    assert {(p.query, p.key) for p in probes} == {("END", "INDUCTION_TARGET")}


SCORE = {"task": "repeated", "quantity": "score", "metric": "logit_diff"}


def test_share_that_no_count_gives_is_refuted():
    fields = {**SCORE, "metric": "accuracy", "number": "0.73", "n": 50}
    verdict, code = decided("reported_number", lambda _step: 0.73, spread=0.01, **fields)
    assert verdict is Verdict.REFUTED
    assert "no count" in code


def test_number_of_a_whole_population_has_no_sampling_error():
    def whole(_step, measurement):
        values = np.full_like(measurement.values, 5.2)
        return dataclasses.replace(measurement, values=values, exhaustive=True)

    near = decided("reported_number", lambda _step: 5.2, change=whole, number="5.0", **SCORE)
    assert near == (Verdict.REFUTED, "another number")
    right = decided("reported_number", lambda _step: 5.2, change=whole, number="5.2", **SCORE)
    assert right == (Verdict.SUPPORTED, "")


def test_attention_to_a_later_position_is_the_masks_doing():
    fields = {"task": "repeated", "quantity": "attention", "components": ["a1.h1"]}
    masked = lambda _step, m: Measurement(np.zeros_like(m.values))  # noqa: E731
    verdict, code = decided(
        "reported_number",
        lambda _step: 0.0,
        change=masked,
        **fields,
        query="INDUCTION_TARGET",
        key="END",
        number="0.000",
    )
    assert verdict is Verdict.VACUOUS
    assert "mask" in code


def test_kl_of_the_unedited_model_is_no_finding():
    check = checks()["reported_number"]
    spec = check.spec.model_validate({**SCORE, "metric": "kl", "number": "0.00"})
    assert any("by definition" in text for text in check.problems(spec, SUBJECT))


@pytest.mark.parametrize("strata", [["fresh"], ["fresh", "fresh"], ["new_lengths"] * 2])
def test_scope_needs_another_stratum_than_the_stated_one(strata):
    inner = {"components": ["a1.h1"], **EDIT}
    with pytest.raises(ValueError, match="strata"):
        checks()["scope"].spec.model_validate(
            {"check": "ablation", "strata": strata, "spec": inner}
        )


def test_positive_control_of_an_unplaced_claim_is_everywhere():
    check = checks()["negative"]
    spec = check.spec.model_validate({"components": ["a1.h1"], **EDIT})
    assert edit_of(check.plan(spec, SUBJECT)[-1]) == steps.everything(SUBJECT, spec.value)
