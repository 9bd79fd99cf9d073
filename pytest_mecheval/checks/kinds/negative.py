"""Negative: the named components do not matter for the behaviour.

Question: is the effect of ablating the components smaller than anything that would matter?
Null: the mean effect lies outside plus or minus `margin` (absent: a tenth of the metric's range) under at least one of the ablation values.
Statistic: two one-sided tests (equivalence) with betting bounds, for the stated value, for resample and for mean, alone and added to the joint ablation of same-role heads; all must hold.
Blind spots: says nothing about other tasks; equivalence is only as fine as the margin. The positive control, everything ablated at the same positions, must show that the same n detects an effect five margins large, else VACUOUS.
Source: Lakens 2017, doi:10.1177/1948550617697177 (TOST); METHODS C-NEG, 3.4, V06.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from pytest_mecheval.checks import edit_effect, steps
from pytest_mecheval.checks.check import Check, Subject, no_negation
from pytest_mecheval.checks.edit_effect import Baselines, Comparison
from pytest_mecheval.checks.inference import ALPHA, Inference
from pytest_mecheval.checks.spec import LARGEST_THRESHOLD, InterventionSpec
from pytest_mecheval.checks.worked import edit_scores, example
from pytest_mecheval.evidence.decision import Control, Decision
from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.stats import equivalence
from pytest_mecheval.vocabulary import AblationValue, Component, Dimension, Metric, Rung, Verdict
from pytest_mecheval.wire import Intervention, PlanStep

MARGIN_SHARE = 0.10
"""Default margin as a share of the metric's range (METHODS 2.3)."""
SENSITIVITY = 5.0
"""The positive control must exceed this many margins (METHODS C-NEG)."""


class NegativeSpec(InterventionSpec):
    """What a claim that something does not matter must say before it can be checked."""

    margin: Annotated[float, Field(gt=0, le=LARGEST_THRESHOLD)] | None = None
    """Largest effect that still counts as none, metric's unit; absent: a tenth of the range."""


def plan(spec: NegativeSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """Unedited runs, every required ablation, and the positive control."""
    if edit_effect.missing(subject, spec.components):
        return ()
    comparison = _comparison(spec)
    return (
        *comparison.baseline_steps(),
        *(comparison.run("evaluation", edit) for edit in _edits(spec).values()),
        comparison.run("evaluation", _positive_control(spec, subject)),
    )


def decide(spec: NegativeSpec, subject: Subject, evidence: Evidence) -> Decision:
    """Equivalence under every ablation value, alone and jointly, and a test that could have failed."""
    if edit_effect.missing(subject, spec.components):
        return edit_effect.no_such_component(subject, spec.components, Rung.L2)
    if evidence.unavailable:
        return edit_effect.unavailable(evidence, Rung.L2, _needed(spec, spec.margin))
    baselines = _comparison(spec).read(evidence)
    if not baselines.behaves:
        return edit_effect.no_behaviour(baselines, Rung.L2, _needed(spec, spec.margin))
    margin = spec.margin or MARGIN_SHARE * baselines.metric_range
    effects = _effects(spec, baselines, evidence)
    worst = max(effects, key=lambda name: abs(float(effects[name].mean())))
    estimate = baselines.inference.estimate(effects[worst], spec.metric.unit)
    positive = baselines.effect(evidence, "evaluation", _positive_control(spec, subject))
    verdict, code = _verdict(effects, positive, margin, baselines)
    p_values = [_tost_p(values, margin, baselines) for values in effects.values()]
    return Decision(
        verdict,
        code,
        f"ablating {' + '.join(spec.components)} changes {spec.metric} most under {worst}: {estimate}",
        _needed(spec, margin),
        Rung.L2,
        estimate=estimate,
        threshold=margin,
        controls=(Control("positive control: every head and MLP", float(positive.mean())),),
        p_value=None if baselines.inference.exhaustive else max(p_values),
        notes=tuple(
            f"{name}: {float(values.mean()):.3g} {spec.metric.unit}".rstrip()
            for name, values in effects.items()
        ),
    )


def _verdict(
    effects: Mapping[str, Values], positive: Values, margin: float, baselines: Baselines
) -> tuple[Verdict, str]:
    inference = baselines.inference
    if not inference.exceeds(positive, SENSITIVITY * margin):
        return Verdict.VACUOUS, "test could not have seen an effect"
    # Any of k comparisons can refute, so each gets alpha / k (METHODS 2.5).
    share = ALPHA / (2 * len(effects))
    for values in effects.values():
        beyond = inference.exceeds(values, margin, share)
        if beyond or inference.falls_below(values, -margin, share):
            return Verdict.REFUTED, "it does matter"
    if not all(_within(values, margin, inference) for values in effects.values()):
        return Verdict.INCONCLUSIVE, "underpowered"
    if not all(_within(values, margin - inference.guard, inference) for values in effects.values()):
        return Verdict.INCONCLUSIVE, "numerical"
    return Verdict.SUPPORTED, ""


def _within(values: Values, margin: float, inference: Inference) -> bool:
    return inference.exceeds(values, -margin) and inference.falls_below(values, margin)


def _tost_p(values: Values, margin: float, baselines: Baselines) -> float:
    if baselines.inference.exhaustive:
        return 0.0
    return equivalence.tost_p(values, margin, clip=baselines.inference.clip)


def _effects(spec: NegativeSpec, baselines: Baselines, evidence: Evidence) -> Mapping[str, Values]:
    edits = _edits(spec)
    raw = {name: baselines.effect(evidence, "evaluation", edit) for name, edit in edits.items()}
    effects = {name: values for name, values in raw.items() if "same-role" not in name}
    if "with same-role heads" in raw:
        # What the target adds once its possible backups are gone as well.
        added = raw["with same-role heads"] - raw["same-role heads only"]
        effects["added to same-role heads"] = added
    return effects


def _edits(spec: NegativeSpec) -> Mapping[str, Intervention]:
    values = dict.fromkeys((spec.value, AblationValue.RESAMPLE, AblationValue.MEAN))
    edits = {f"{v} ablation": steps.ablating(spec.components, v, spec.positions) for v in values}
    if len(spec.components) == 1 and Component.parse(spec.components[0]).kind == "head":
        edit = steps.ablating(spec.components, spec.value, spec.positions)
        edits["with same-role heads"] = replace(edit, joint="with_partners")
        edits["same-role heads only"] = replace(edit, joint="partners_only")
    return edits


def _positive_control(spec: NegativeSpec, subject: Subject) -> Intervention:
    """Everything ablated at the claim's own positions: where nothing matters, nothing can be shown not to."""
    return replace(steps.everything(subject, spec.value), positions=spec.positions)


def _comparison(spec: NegativeSpec) -> Comparison:
    return Comparison(spec.task, spec.stratum, spec.metric)


def _needed(spec: NegativeSpec, margin: float | None) -> str:
    size = (
        f"±{margin:.4g} {spec.metric.unit}".strip() if margin else "a tenth of the metric's range"
    )
    return f"every effect within {size} with {edit_effect.CONFIDENCE} confidence"


def refuted_by(spec: NegativeSpec) -> str:
    """What would refute it."""
    del spec
    return "an effect beyond the margin under any ablation value, alone or with same-role heads"


def problems(spec: NegativeSpec, subject: Subject) -> tuple[str, ...]:
    """Unknown task, stratum or position."""
    return edit_effect.subject_problems(spec.task, spec.stratum, subject, spec.positions)


_SPEC = NegativeSpec(
    task="repeated",
    components=("a0.h0",),
    value=AblationValue.RESAMPLE,
    positions="all",
    metric=Metric.LOGIT_DIFF,
)

CHECK = Check(
    kind="negative",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L2,
    spec=NegativeSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    cues=r"hardly|barely|scarcely|less than|at most|no\b|not\b|nor\b|never|nothing|none|neither|unchanged|inert|negligible|irrelevant|redundant|without effect|leaves?\b|does ?n.t|is ?n.t|keeps?\b",
    problems=problems,
    doc=__doc__,
    examples=(
        example("truly inert", _SPEC, plan, edit_scores({}), Verdict.SUPPORTED),
        example("it matters", _SPEC, plan, edit_scores({"a0.h0": 1.0}), Verdict.REFUTED),
        example(
            "close to the margin", _SPEC, plan, edit_scores({"a0.h0": 4.1}), Verdict.INCONCLUSIVE
        ),
        example(
            "a margin as large as the effect of everything",
            _SPEC.model_copy(update={"margin": 4.0}),
            plan,
            edit_scores({}),
            Verdict.VACUOUS,
        ),
    ),
)
