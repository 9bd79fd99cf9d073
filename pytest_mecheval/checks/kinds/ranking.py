"""Ranking: ablating the first component does more damage than ablating the next, and so on.

Question: is the stated order by ablation damage real, and is the first really above all others when the claim says so?
Null: for at least one stated pair, the earlier component's mean damage is at most the later one's.
Statistic: paired difference of damages for every stated pair with a betting bound; all must hold (intersection-union); one pair reversed refutes (Holm over pairs).
Blind spots: an order by one ablation value and one metric; says nothing about how large the effects are.
Source: METHODS C-RANK, 2.5 (intersection-union tests need no correction for support).
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from pytest_mecheval.checks import edit_effect, steps
from pytest_mecheval.checks.check import Check, Subject
from pytest_mecheval.checks.edit_effect import Baselines, Comparison
from pytest_mecheval.checks.inference import ALPHA
from pytest_mecheval.checks.spec import ComponentName, MeasuredSpec, distinct
from pytest_mecheval.checks.worked import edit_scores, example
from pytest_mecheval.evidence.decision import Control, Decision
from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.stats import family
from pytest_mecheval.vocabulary import AblationValue, Dimension, Metric, Rung, Verdict
from pytest_mecheval.wire import Intervention, PlanStep


class RankingSpec(MeasuredSpec):
    """What a claim about an order must say before it can be checked."""

    order: Annotated[tuple[ComponentName, ...], Field(min_length=1), AfterValidator(distinct)]
    """Components from most to least damaging."""
    among: Literal["listed", "heads", "mlps", "all"]
    """`listed`: the order of the listed only; otherwise the first also beats every other head or MLP."""
    value: AblationValue
    """What replaces the activation: zero, mean or resample."""
    positions: str
    """`all`, or one named position of the task."""
    metric: Metric
    """Read at the answer position, one value per prompt."""


def plan(spec: RankingSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """Unedited runs and one ablation per competitor."""
    if edit_effect.missing(subject, spec.order):
        return ()
    comparison = _comparison(spec)
    return (
        *comparison.baseline_steps(),
        *(_step(spec, comparison, name) for name in _everyone(spec, subject)),
    )


def decide(spec: RankingSpec, subject: Subject, evidence: Evidence) -> Decision:
    """Every stated pair in order."""
    if edit_effect.missing(subject, spec.order):
        return edit_effect.no_such_component(subject, spec.order, Rung.L2)
    if evidence.unavailable:
        return edit_effect.unavailable(evidence, Rung.L2, _needed(spec))
    baselines = _comparison(spec).read(evidence)
    if not baselines.behaves:
        return edit_effect.no_behaviour(baselines, Rung.L2, _needed(spec))
    effects = {
        name: baselines.effect(evidence, "evaluation", _edit(spec, name))
        for name in _everyone(spec, subject)
    }
    pairs = _pairs(spec, subject)
    inference = baselines.inference
    leads = {pair: effects[pair[0]] - effects[pair[1]] for pair in pairs}
    closest = min(leads, key=lambda pair: float(leads[pair].mean()))
    estimate = inference.estimate(leads[closest], spec.metric.unit)
    p_value = max(inference.p_above(values, 0.0) for values in leads.values())
    verdict, code = _verdict(leads, baselines)
    return Decision(
        verdict,
        code,
        f"closest pair: {spec.value}-ablating {closest[0]} damages {spec.metric} more than {closest[1]} "
        f"by {estimate}",
        _needed(spec),
        Rung.L2,
        estimate=estimate,
        threshold=0.0,
        controls=tuple(
            Control(name, float(values.mean()))
            for name, values in effects.items()
            if name not in spec.order
        ),
        p_value=None if inference.exhaustive else p_value,
        notes=tuple(f"{name}: {float(effects[name].mean()):.3g}" for name in spec.order),
    )


def _verdict(leads: Mapping[tuple[str, str], Values], baselines: Baselines) -> tuple[Verdict, str]:
    inference = baselines.inference
    reversed_p = np.array([inference.p_above(-values, 0.0) for values in leads.values()])
    if bool(family.holm_rejects(reversed_p, ALPHA).any()):
        return Verdict.REFUTED, "another order"
    if not all(inference.exceeds(values, 0.0) for values in leads.values()):
        return Verdict.INCONCLUSIVE, "underpowered"
    if not all(inference.exceeds(values, inference.guard) for values in leads.values()):
        return Verdict.INCONCLUSIVE, "numerical"
    return Verdict.SUPPORTED, ""


def _everyone(spec: RankingSpec, subject: Subject) -> tuple[str, ...]:
    heads = [str(c) for c in subject.shape.heads()] if spec.among in ("heads", "all") else []
    mlps = [str(c) for c in subject.shape.mlps()] if spec.among in ("mlps", "all") else []
    return tuple(dict.fromkeys((*spec.order, *heads, *mlps)))


def _pairs(spec: RankingSpec, subject: Subject) -> list[tuple[str, str]]:
    listed = list(zip(spec.order, spec.order[1:], strict=False))
    rest = [(spec.order[0], n) for n in _everyone(spec, subject) if n not in spec.order]
    return listed + rest


def _edit(spec: RankingSpec, name: str) -> Intervention:
    return steps.ablating((name,), spec.value, spec.positions)


def _step(spec: RankingSpec, comparison: Comparison, name: str) -> PlanStep:
    return comparison.run("evaluation", _edit(spec, name))


def _comparison(spec: RankingSpec) -> Comparison:
    return Comparison(spec.task, spec.stratum, spec.metric)


def _needed(spec: RankingSpec) -> str:
    others = "" if spec.among == "listed" else f", the first above every other of {spec.among}"
    return f"damage in the order {' > '.join(spec.order)}{others} with {edit_effect.CONFIDENCE} confidence"


def negate(spec: RankingSpec, _subject: Subject) -> RankingSpec | None:
    """The reversed order of the listed components."""
    if len(spec.order) == 1:
        return None
    return spec.model_copy(update={"order": tuple(reversed(spec.order)), "among": "listed"})


def refuted_by(spec: RankingSpec) -> str:
    """What would refute it."""
    return f"a competitor whose damage exceeds that of a component ranked above it in {' > '.join(spec.order)}"


def problems(spec: RankingSpec, subject: Subject) -> tuple[str, ...]:
    """Unknown task, stratum or position; nothing to compare."""
    found = edit_effect.subject_problems(spec.task, spec.stratum, subject, spec.positions)
    if len(_everyone(spec, subject)) == 1:
        found = (
            *found,
            "order names one component and among adds none, so there is nothing to rank",
        )
    return found


_SPEC = RankingSpec(
    task="repeated",
    order=("a1.h1", "a0.h2"),
    among="heads",
    value=AblationValue.RESAMPLE,
    positions="all",
    metric=Metric.LOGIT_DIFF,
)

CHECK = Check(
    kind="ranking",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L2,
    spec=RankingSpec,
    plan=plan,
    decide=decide,
    negate=negate,
    refuted_by=refuted_by,
    cues=r"rank|order|first|most\b|than\b|before\b|after\b|above\b|strong|larg|biggest|greatest|top\b|least\b|best\b|worst",
    # Only the first is said to matter; the rest of an order is what it is compared with.
    claimed=lambda spec: spec.order[:1],
    problems=problems,
    doc=__doc__,
    examples=(
        example(
            "in order", _SPEC, plan, edit_scores({"a1.h1": -4.0, "a0.h2": 1.0}), Verdict.SUPPORTED
        ),
        example(
            "swapped", _SPEC, plan, edit_scores({"a1.h1": 1.0, "a0.h2": -4.0}), Verdict.REFUTED
        ),
        example(
            "one not listed does more",
            _SPEC,
            plan,
            edit_scores({"a1.h1": 0.0, "a0.h2": 1.0, "a0.h0": -4.0}),
            Verdict.REFUTED,
        ),
        example(
            "a tie", _SPEC, plan, edit_scores({"a1.h1": 1.0, "a0.h2": 1.0}), Verdict.INCONCLUSIVE
        ),
    ),
)
