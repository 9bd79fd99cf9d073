"""Ablation: the named components matter for the behaviour.

Question: does the metric get worse when the components are ablated together, on fresh prompts?
Null: the mean damage per prompt is at most `min_drop` (absent: a tenth of the metric's range or the 95th percentile of matched controls, whichever is larger).
Statistic: mean paired damage (clean minus ablated) with a 99 % betting bound; sham claims on matched components pass through the same rule; `special` adds dominance over all of them.
Blind spots: says nothing about sufficiency; a backup head can hide a necessary one (then INCONCLUSIVE, not REFUTED); tests only what the ablation value removes; `special` compares with what the bundle does not claim, an order among claimed components is a ranking claim.
Source: Wang et al. 2022, arXiv:2211.00593 (knockouts); Zhang & Nanda 2023, arXiv:2309.16042 (resample, logit difference); METHODS 2.3, 2.4, 3.3, 3.4.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pytest_mecheval.checks import edit_effect, steps
from pytest_mecheval.checks.check import Check, Subject
from pytest_mecheval.checks.edit_effect import Baselines, Comparison
from pytest_mecheval.checks.effect_rule import Claimed, Ruling, rule
from pytest_mecheval.checks.pool import control_edits
from pytest_mecheval.checks.spec import LARGEST_THRESHOLD, InterventionSpec
from pytest_mecheval.checks.worked import edit_scores, example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.vocabulary import AblationValue, Component, Dimension, Metric, Rung, Verdict
from pytest_mecheval.wire import Intervention, PlanStep


class AblationSpec(InterventionSpec):
    """What an ablation claim must say before it can be checked."""

    min_drop: Annotated[float, Field(gt=0, le=LARGEST_THRESHOLD)] | None = None
    """Smallest mean damage that supports the claim, metric's unit; absent: the default threshold."""
    direction: Literal["harms", "helps"] = "harms"
    """`harms`: ablating makes the metric worse; `helps`: the components suppress the behaviour."""
    special: bool = False
    """The claim says these components are exceptional (key, specifically, the, most)."""


def plan(spec: AblationSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """Unedited runs, the ablation, its controls, the joint ablation, and other values where unstated."""
    if edit_effect.missing(subject, spec.components):
        return ()
    comparison = _comparison(spec)
    edit = _edit(spec)
    controls = control_edits(subject, edit, special=spec.special)
    edits = {"claimed": edit, **controls}
    extra = (*_joint_edits(spec, edit).values(), *_other_values(spec, subject, edit).values())
    return (
        *comparison.baseline_steps(),
        *(comparison.run("evaluation", each) for each in edits.values()),
        *(() if spec.min_drop else (comparison.run("calibration", c) for c in controls.values())),
        *(comparison.run("evaluation", other) for other in extra),
        comparison.run("evaluation", steps.everything(subject, spec.value)),
    )


def decide(spec: AblationSpec, subject: Subject, evidence: Evidence) -> Decision:
    """The effect rule on the ablation's damage, then self-repair and the other ablation values."""
    if edit_effect.missing(subject, spec.components):
        return edit_effect.no_such_component(subject, spec.components, Rung.L2)
    needed_text = _needed(spec, spec.min_drop)
    if evidence.unavailable:
        return edit_effect.unavailable(evidence, Rung.L2, needed_text)
    baselines = _comparison(spec).read(evidence, spec.min_drop or 0.0)
    if not baselines.behaves:
        return edit_effect.no_behaviour(baselines, Rung.L2, needed_text)
    edit = _edit(spec)
    controls = control_edits(subject, edit, special=spec.special)
    delta = spec.min_drop or baselines.default_delta(evidence, controls)
    effect = _signed(spec, baselines.effect(evidence, "evaluation", edit))
    claimed = Claimed(
        effect=effect,
        needed=np.full_like(effect, delta),
        controls={
            name: _signed(spec, baselines.effect(evidence, "evaluation", other))
            for name, other in controls.items()
        },
        special=spec.special,
    )
    ruling = rule(claimed, baselines.inference)
    ruling = _unless_redundant(ruling, spec, baselines, evidence, edit, delta)
    ruling = _unless_method_conditional(ruling, spec, subject, baselines, evidence, effect)
    # A supported threshold may lie beyond the plain clip; the estimate must then reach it too.
    supported = ruling.verdict is Verdict.SUPPORTED
    scale = baselines.inference.for_margins if supported else baselines.inference
    estimate = scale.estimate(effect, spec.metric.unit)
    named = " + ".join(spec.components)
    verb = "damages" if spec.direction == "harms" else "improves"
    return Decision(
        ruling.verdict,
        ruling.code,
        f"{spec.value}-ablating {named} at {spec.positions} positions {verb} {spec.metric} by {estimate}",
        _needed(spec, delta),
        Rung.L2,
        estimate=estimate,
        threshold=delta,
        controls=ruling.controls,
        shams=ruling.shams,
        p_value=ruling.p_value,
        notes=ruling.notes,
    )


def _comparison(spec: AblationSpec) -> Comparison:
    return Comparison(spec.task, spec.stratum, spec.metric)


def _edit(spec: AblationSpec) -> Intervention:
    return steps.ablating(spec.components, spec.value, spec.positions)


def _signed(spec: AblationSpec, effect: Values) -> Values:
    return effect if spec.direction == "harms" else -effect


def _needed(spec: AblationSpec, delta: float | None) -> str:
    verb = "damage" if spec.direction == "harms" else "improvement"
    size = f"{delta:.4g} {spec.metric.unit}".strip() if delta else "the default threshold"
    special = ", and more than every matched control" if spec.special else ""
    return f"mean {verb} above {size} with {edit_effect.CONFIDENCE} confidence{special}"


def _joint_edits(spec: AblationSpec, edit: Intervention) -> Mapping[str, Intervention]:
    """With and without the target, on top of ablating the heads of the same role (METHODS 3.4)."""
    targets = [Component.parse(name) for name in spec.components]
    if len(targets) != 1 or targets[0].kind != "head":
        return {}
    return {
        "with": replace(edit, joint="with_partners"),
        "without": replace(edit, joint="partners_only"),
    }


def _other_values(
    spec: AblationSpec, subject: Subject, edit: Intervention
) -> Mapping[AblationValue, Intervention]:
    """The values the prose could have meant, when it did not say (METHODS 3.3)."""
    if "value" not in subject.operationalised:
        return {}
    return {
        value: replace(edit, source=steps.SOURCES[value])
        for value in AblationValue
        if value is not spec.value
    }


def _unless_redundant(
    ruling: Ruling,
    spec: AblationSpec,
    baselines: Baselines,
    evidence: Evidence,
    edit: Intervention,
    delta: float,
) -> Ruling:
    """A missing effect refutes only when the target adds nothing to its same-role heads either."""
    joint = _joint_edits(spec, edit)
    if not joint or ruling.code not in {"no effect", "too small"} or spec.direction == "helps":
        return ruling
    together = baselines.effect(evidence, "evaluation", joint["with"])
    without = baselines.effect(evidence, "evaluation", joint["without"])
    partners = evidence[baselines.comparison.run("evaluation", joint["with"])].facts.get(
        "partners", []
    )
    added = together - without
    if not partners or baselines.inference.falls_below(added, delta):
        return ruling
    note = (
        f"with {', '.join(partners)} ablated as well, it adds {float(added.mean()):.3g} "
        f"{spec.metric.unit} of damage: a backup may hide it"
    )
    return replace(
        ruling, verdict=Verdict.INCONCLUSIVE, code="redundant", notes=(*ruling.notes, note)
    )


def _unless_method_conditional(
    ruling: Ruling,
    spec: AblationSpec,
    subject: Subject,
    baselines: Baselines,
    evidence: Evidence,
    effect: Values,
) -> Ruling:
    """Another ablation value with another sign caps an unstated value at INCONCLUSIVE (DESIGN 12)."""
    others = _other_values(spec, subject, _edit(spec))
    notes = list(ruling.notes)
    flipped = False
    for value, edit in others.items():
        other = _signed(spec, baselines.effect(evidence, "evaluation", edit))
        notes.append(f"{value} ablation instead gives {float(other.mean()):.3g} {spec.metric.unit}")
        flipped |= baselines.inference.falls_below(other * np.sign(effect.mean()), 0.0)
    if flipped and ruling.verdict is Verdict.SUPPORTED:
        return replace(
            ruling, verdict=Verdict.INCONCLUSIVE, code="method-conditional", notes=tuple(notes)
        )
    return replace(ruling, notes=tuple(notes))


def negate(spec: AblationSpec, _subject: Subject) -> AblationSpec:
    """The same components with the opposite direction."""
    return spec.model_copy(update={"direction": "helps" if spec.direction == "harms" else "harms"})


def refuted_by(spec: AblationSpec) -> str:
    """What would refute it."""
    return f"an upper bound below the threshold: {_needed(spec, spec.min_drop)} is not reached"


def problems(spec: AblationSpec, subject: Subject) -> tuple[str, ...]:
    """Unknown task, stratum or position."""
    return edit_effect.subject_problems(spec.task, spec.stratum, subject, spec.positions)


_SPEC = AblationSpec(
    task="repeated",
    components=("a1.h1",),
    value=AblationValue.RESAMPLE,
    positions="all",
    metric=Metric.LOGIT_DIFF,
)

CHECK = Check(
    kind="ablation",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L2,
    spec=AblationSpec,
    plan=plan,
    decide=decide,
    negate=negate,
    refuted_by=refuted_by,
    cues=r"ablat|zero|resampl|knock|remov|necess|need|essential|important|matter|crucial|critical|destroy|cost|hurt|harm|damag|impair|lower|drop|fall|reduc|caus|respons|drives?\b|depend|relies|rely|requir|key\b|suppress|without|carries",
    claimed=lambda spec: spec.components,
    problems=problems,
    doc=__doc__,
    examples=(
        example("the head matters", _SPEC, plan, edit_scores({"a1.h1": -4.0}), Verdict.SUPPORTED),
        example("the wrong head", _SPEC, plan, edit_scores({"a1.h2": -4.0}), Verdict.REFUTED),
        example("it helps instead", _SPEC, plan, edit_scores({"a1.h1": 8.0}), Verdict.REFUTED),
        example(
            "on the threshold",
            _SPEC.model_copy(update={"min_drop": 2.0}),
            plan,
            edit_scores({"a1.h1": 3.0}),
            Verdict.INCONCLUSIVE,
        ),
        example(
            "special, but two others do as much",
            _SPEC.model_copy(update={"special": True}),
            plan,
            edit_scores({"a1.h1": -4.0, "a1.h2": -4.0, "a0.h3": -4.0}),
            Verdict.REFUTED,
        ),
        example(
            "a threshold every head passes",
            _SPEC.model_copy(update={"min_drop": 0.1}),
            plan,
            edit_scores({f"a{layer}.h{head}": 3.0 for layer in (0, 1) for head in range(4)}),
            Verdict.VACUOUS,
        ),
        example(
            "a head the model does not have",
            _SPEC.model_copy(update={"components": ("a1.h9",)}),
            plan,
            edit_scores({}),
            Verdict.REFUTED,
        ),
    ),
)
