"""Attention: a head looks from one named position to another. Correlation only, never a cause.

Question: how much attention does the head pay from the query position to the key position on fresh prompts?
Null: the mean mass is at most `min_mass`.
Statistic: mean attention mass per prompt with a betting bound; every other unclaimed head passes through the same rule as a sham claim; `special` adds dominance over all of them.
Blind spots: rung L1: attention says nothing about effect; a head can attend exactly as claimed and be inert. A causal sentence needs an ablation or patching claim.
Source: Jain & Wallace 2019, arXiv:1902.10186 (attention is not explanation); METHODS C-ATT.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_mecheval.checks import edit_effect, steps
from pytest_mecheval.checks.check import Check, Subject
from pytest_mecheval.checks.effect_rule import Claimed, rule
from pytest_mecheval.checks.inference import Inference
from pytest_mecheval.checks.pool import matched_sets
from pytest_mecheval.checks.spec import ComponentName, MeasuredSpec
from pytest_mecheval.checks.worked import Score, example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Component, Dimension, Rung, Verdict
from pytest_mecheval.wire import Attention, PlanStep

FULL_MASS = 1.0
"""Attention is a share, so values lie within 0 and 1."""


class AttentionSpec(MeasuredSpec):
    """What a claim about attention must say before it can be checked."""

    head: ComponentName
    """The attending head, such as `a1.h1`."""
    query: str
    """Named position that looks."""
    key: str
    """Named position that is looked at."""
    min_mass: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Smallest mean attention mass that supports the claim (a share)."""
    special: bool = False
    """The claim says no other head does this."""


def plan(spec: AttentionSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """The same attention entry of the claimed head and of matched heads."""
    if edit_effect.missing(subject, (spec.head,)):
        return ()
    heads = (spec.head, *_controls(spec, subject))
    return tuple(_step(spec, head) for head in heads)


def decide(spec: AttentionSpec, subject: Subject, evidence: Evidence) -> Decision:
    """The effect rule on attention mass; the rung stays L1 whatever the number."""
    if edit_effect.missing(subject, (spec.head,)):
        return edit_effect.no_such_component(subject, (spec.head,), Rung.L1)
    if evidence.unavailable:
        return edit_effect.unavailable(evidence, Rung.L1, _needed(spec))
    step = _step(spec, spec.head)
    mass = evidence.values(step)
    inference = Inference(FULL_MASS, evidence[step].exhaustive, evidence.tolerance)
    claimed = Claimed(
        effect=mass,
        needed=np.full_like(mass, spec.min_mass),
        controls={head: evidence.values(_step(spec, head)) for head in _controls(spec, subject)},
        special=spec.special,
    )
    ruling = rule(claimed, inference)
    estimate = inference.estimate(mass, "")
    return Decision(
        ruling.verdict,
        ruling.code,
        f"{spec.head} attends from {spec.query} to {spec.key} with mean mass {estimate}",
        _needed(spec),
        Rung.L1,
        estimate=estimate,
        threshold=spec.min_mass,
        controls=ruling.controls,
        shams=ruling.shams,
        p_value=ruling.p_value,
        notes=(*ruling.notes, "attention is correlational: it supports no causal sentence"),
    )


def _controls(spec: AttentionSpec, subject: Subject) -> tuple[str, ...]:
    return tuple(
        names[0]
        for names in matched_sets(subject, (Component.parse(spec.head),), special=spec.special)
    )


def _step(spec: AttentionSpec, head: str) -> PlanStep:
    where = steps.prompts(spec.task, spec.stratum, "evaluation")
    return PlanStep(where, Attention(head, spec.query, spec.key))


def _needed(spec: AttentionSpec) -> str:
    special = ", and more than every other unclaimed head" if spec.special else ""
    return f"mean mass above {spec.min_mass:.3g} with {edit_effect.CONFIDENCE} confidence{special}"


def negate(spec: AttentionSpec, _subject: Subject) -> AttentionSpec | None:
    """Most of the mass goes elsewhere: two places cannot both hold more than half."""
    most = spec.min_mass >= FULL_MASS / 2
    return spec.model_copy(update={"key": spec.query}) if most and spec.key != spec.query else None


def refuted_by(spec: AttentionSpec) -> str:
    """What would refute it."""
    return f"an upper bound of the mean attention mass below {spec.min_mass:.3g}"


def problems(spec: AttentionSpec, subject: Subject) -> tuple[str, ...]:
    """Unknown task, stratum or positions; `head` is no head."""
    found = edit_effect.subject_problems(spec.task, spec.stratum, subject, spec.query, spec.key)
    if "all" in (spec.query, spec.key):
        found = (*found, "query and key must be named positions, not `all`")
    if Component.parse(spec.head).kind != "head":
        found = (*found, f"{spec.head} is not a head (allowed: a1.h6)")
    return found


def _masses(masses: dict[str, float], elsewhere: float = 0.05) -> Score:
    def score(step: PlanStep) -> float:
        if not isinstance(step.probe, Attention) or step.probe.key == step.probe.query:
            return elsewhere
        return masses.get(step.probe.head, elsewhere)

    return score


_SPEC = AttentionSpec(task="repeated", head="a1.h1", query="END", key="INDUCTION_TARGET")

CHECK = Check(
    kind="attention",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L1,
    spec=AttentionSpec,
    plan=plan,
    decide=decide,
    negate=negate,
    refuted_by=refuted_by,
    cues=r"attend|attention|looks?\b|mass\b|pays\b|focus",
    problems=problems,
    doc=__doc__,
    examples=(
        example(
            "it looks there", _SPEC, plan, _masses({"a1.h1": 0.9}), Verdict.SUPPORTED, spread=0.05
        ),
        example("it does not", _SPEC, plan, _masses({"a1.h1": 0.2}), Verdict.REFUTED, spread=0.05),
        example(
            "every head looks there",
            _SPEC,
            plan,
            _masses({"a1.h1": 0.9}, elsewhere=0.8),
            Verdict.VACUOUS,
            spread=0.05,
        ),
        example(
            "said to be the only one, but another looks there too",
            _SPEC.model_copy(update={"special": True}),
            plan,
            _masses({"a1.h1": 0.9, "a1.h2": 0.9}),
            Verdict.REFUTED,
            spread=0.05,
        ),
    ),
)
