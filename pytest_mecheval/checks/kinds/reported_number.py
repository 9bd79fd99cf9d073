"""Reported number: a figure in the prose, measured again by us on fresh prompts.

Question: does our own measurement, rounded as the text rounds, agree with the stated number?
Null: the true value differs from the stated one by more than rounding and both samples' error.
Statistic: 99 % bootstrap-t interval of our mean (Clopper-Pearson for accuracies) against the stated digits widened by their sampling error; the number moved by a tenth (at least three rounding units) must fall outside, else the test could not fail (V05); means of counts must be possible at the stated n (GRIM).
Blind spots: a number right by luck; other prompts than the stated distribution; numbers whose prompts we cannot generate.
Source: METHODS R02, R03, V05; Brown & Heathers 2017, doi:10.1177/1948550616673876 (GRIM); Clopper & Pearson 1934 for accuracies.
"""

import math
from decimal import Decimal
from statistics import NormalDist
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from pytest_mecheval.checks import edit_effect, steps
from pytest_mecheval.checks.check import Check, Subject
from pytest_mecheval.checks.inference import ALPHA, Inference, clip_for, damage
from pytest_mecheval.checks.spec import (
    ComponentName,
    MeasuredSpec,
    distinct,
    stated_number,
)
from pytest_mecheval.checks.worked import CLEAN, edit_scores, example
from pytest_mecheval.evidence.decision import Decision, Estimate
from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.stats import bootstrap, proportion
from pytest_mecheval.stats.rounding import Stated, grim_possible
from pytest_mecheval.vocabulary import AblationValue, Component, Dimension, Metric, Rung, Verdict
from pytest_mecheval.wire import Attention, PlanStep, Slice, Split

NUMBER_N = 1024
"""Prompts for a number: more than for a verdict on an effect, because digits are at stake."""
UNSTATED_N = 256
"""Sample size assumed for the bundle's number when the text gives none; said in the notes."""
BOOTSTRAP_SEED = 20261122
"""Fixed, so that the same values give the same interval everywhere."""
PERTURBATION = 0.10
"""The number moved by this share must be told apart (METHODS V05)."""
PERTURBED_UNITS = 3.0
"""... and at least by this many rounding units."""


class ReportedNumberSpec(MeasuredSpec):
    """What a claim about a figure must say before it can be checked."""

    number: Annotated[str, AfterValidator(stated_number)]
    """The figure as the text writes it, quoted so that trailing zeros survive: "0.7190", "98.5%"."""
    quantity: Literal["score", "damage", "attention"]
    """`score`: mean metric (of the edited run when components are given); `damage`: what the edit costs; `attention`: mean mass of `components[0]` from `query` to `key`."""
    metric: Metric | None = None
    """For score and damage: read at the answer position; the number's unit is the metric's."""
    components: Annotated[tuple[ComponentName, ...], AfterValidator(distinct)] = ()
    """Components edited together, or the attending head."""
    value: AblationValue | None = None
    """What replaces the activation; required with components unless quantity is attention."""
    positions: str = "all"
    """Where the edit writes: `all`, or one named position of the task."""
    query: str = ""
    """For attention: named position that looks."""
    key: str = ""
    """For attention: named position that is looked at."""
    n: Annotated[int, Field(gt=0)] | None = None
    """Prompts behind the bundle's number, when the text says so."""


def plan(spec: ReportedNumberSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """The number's array, its unedited partner, and calibration runs for clipping."""
    if edit_effect.missing(subject, spec.components):
        return ()
    if spec.quantity == "attention":
        return (_attention_step(spec),)
    steps_needed = (*_calibration_steps(spec), _unedited_step(spec), _number_step(spec))
    return tuple(dict.fromkeys(steps_needed))


def decide(spec: ReportedNumberSpec, subject: Subject, evidence: Evidence) -> Decision:
    """Agreement of intervals, and a number a tenth away told apart."""
    rung = _rung(spec)
    if edit_effect.missing(subject, spec.components):
        return edit_effect.no_such_component(subject, spec.components, rung)
    if evidence.unavailable:
        return edit_effect.unavailable(evidence, rung, _needed(spec))
    values, inference = _values(spec, evidence)
    estimate = _estimate(spec, values, inference)
    stated = Stated(spec.number)
    reach = 0.0 if inference.exhaustive else _their_error(spec, values, stated)
    if spec.quantity == "attention" and not values.any():
        # Softmax leaves something everywhere it may look, so zeros on every prompt are the causal mask's.
        verdict, code = Verdict.VACUOUS, "the causal mask makes it zero in any model"
    else:
        verdict, code = _compare(spec, stated, estimate, reach + inference.tolerance)
    unit = _unit(spec)
    low, high = stated.interval
    notes = [f"stated {spec.number} means {low:.6g} to {high:.6g}"]
    if not inference.exhaustive:
        source = "as stated" if spec.n else "assumed: the text gives none"
        notes.append(
            f"sampling error of the stated number ±{reach:.3g} at n={spec.n or UNSTATED_N} ({source})"
        )
    return Decision(
        verdict,
        code,
        f"{_what(spec)} is {estimate}, stated {spec.number}{f' {unit}' if unit else ''}",
        _needed(spec),
        rung,
        estimate=estimate,
        threshold=stated.value,
        notes=tuple(notes),
    )


def _compare(
    spec: ReportedNumberSpec, stated: Stated, estimate: Estimate, reach: float
) -> tuple[Verdict, str]:
    if spec.n and _counts(spec) and not grim_possible(spec.number, spec.n):
        return Verdict.REFUTED, f"no count out of {spec.n} rounds to it"
    low, high = stated.interval
    if not _agrees(low, high, estimate, reach):
        return Verdict.REFUTED, "another number"
    # A share near 0 is a share near 1 of the opposite outcome, so a tenth of the larger one counts.
    share = _is_share(spec)
    scale = max(abs(stated.value), abs(1 - stated.value)) if share else abs(stated.value)
    step = max(PERTURBED_UNITS * 2 * stated.half_unit, PERTURBATION * scale)
    for moved in (-step, step):
        if _agrees(low + moved, high + moved, estimate, reach):
            return Verdict.VACUOUS, "tolerance wider than a tenth of the number"
    return Verdict.SUPPORTED, ""


def _agrees(low: float, high: float, estimate: Estimate, reach: float) -> bool:
    """Whether the stated digits lie no further off than both independent errors together allow."""
    below = estimate.value - high <= math.hypot(estimate.value - estimate.lower, reach)
    above = low - estimate.value <= math.hypot(estimate.upper - estimate.value, reach)
    return below and above


def _values(spec: ReportedNumberSpec, evidence: Evidence) -> tuple[Values, Inference]:
    if spec.quantity == "attention":
        step = _attention_step(spec)
        return evidence.values(step), Inference(1.0, evidence[step].exhaustive, evidence.tolerance)
    metric = _metric(spec)
    clean, other = (evidence.values(step) for step in _calibration_steps(spec))
    exhaustive = evidence[_number_step(spec)].exhaustive
    inference = Inference(
        clip_for(metric, clean, other),
        exhaustive,
        evidence.tolerance,
        reach=Stated(spec.number).value,
    )
    values = evidence.values(_number_step(spec))
    if spec.quantity == "damage":
        values = damage(metric, evidence.values(_unedited_step(spec)), values)
    return values, inference


def _estimate(spec: ReportedNumberSpec, values: Values, inference: Inference) -> Estimate:
    if _counts(spec) and not inference.exhaustive:
        right = round(float(values.sum()))
        low, high = proportion.clopper_pearson(right, values.size, alpha=ALPHA / 2)
        mean = float(values.mean())
        return Estimate(mean, low, high, ALPHA / 2, values.size, "", "Clopper-Pearson")
    if inference.exhaustive or np.ptp(values) == 0:
        return inference.for_margins.estimate(values, _unit(spec), ALPHA / 2)
    # Digits need a narrow interval, and no threshold is tested where bootstrap-t would be too bold.
    low = bootstrap.lower_bound(values, alpha=ALPHA / 2, seed=BOOTSTRAP_SEED)
    high = bootstrap.upper_bound(values, alpha=ALPHA / 2, seed=BOOTSTRAP_SEED)
    mean = float(values.mean())
    return Estimate(mean, low, high, ALPHA / 2, values.size, _unit(spec), "bootstrap-t")


def _their_error(spec: ReportedNumberSpec, values: Values, stated: Stated) -> float:
    """Half-width of the stated number's own sampling error at its n, metric's unit (R02)."""
    n = spec.n or UNSTATED_N
    if _counts(spec):
        share = min(max(stated.value, 0.0), 1.0)
        low, high = proportion.clopper_pearson(round(share * n), n, alpha=ALPHA / 2)
        return max(high - share, share - low)
    return float(NormalDist().inv_cdf(1 - ALPHA / 2) * np.std(values, ddof=1) / np.sqrt(n))


def _counts(spec: ReportedNumberSpec) -> bool:
    return spec.metric is Metric.ACCURACY and spec.quantity == "score"


def _is_share(spec: ReportedNumberSpec) -> bool:
    return spec.quantity == "attention" or spec.metric in (Metric.ACCURACY, Metric.PROB)


def _metric(spec: ReportedNumberSpec) -> Metric:
    return spec.metric or Metric.LOGIT_DIFF


def _unit(spec: ReportedNumberSpec) -> str:
    return "" if spec.quantity == "attention" else _metric(spec).unit


def _rung(spec: ReportedNumberSpec) -> Rung:
    return Rung.L2 if spec.components and spec.quantity != "attention" else Rung.L1


def _what(spec: ReportedNumberSpec) -> str:
    if spec.quantity == "attention":
        return f"mean attention of {spec.components[0]} from {spec.query} to {spec.key}"
    if not spec.components:
        return f"mean {spec.metric} of the unedited model"
    named = " + ".join(spec.components)
    if spec.quantity == "damage":
        return f"mean damage to {spec.metric} from {spec.value}-ablating {named}"
    return f"mean {spec.metric} with {named} {spec.value}-ablated"


def _calibration_steps(spec: ReportedNumberSpec) -> tuple[PlanStep, PlanStep]:
    where = steps.prompts(spec.task, spec.stratum, "calibration")
    metric = _metric(spec)
    return steps.unedited(where, metric), steps.unedited(where, metric, "counterfactual")


def _where(spec: ReportedNumberSpec, split: Split = "evaluation") -> Slice:
    return steps.prompts(spec.task, spec.stratum, split, NUMBER_N)


def _unedited_step(spec: ReportedNumberSpec) -> PlanStep:
    return steps.unedited(_where(spec), _metric(spec))


def _number_step(spec: ReportedNumberSpec) -> PlanStep:
    if not spec.components or spec.value is None:
        return _unedited_step(spec)
    edit = steps.ablating(spec.components, spec.value, spec.positions)
    return steps.edited(_where(spec), _metric(spec), edit)


def _attention_step(spec: ReportedNumberSpec) -> PlanStep:
    return PlanStep(_where(spec), Attention(spec.components[0], spec.query, spec.key))


def _needed(spec: ReportedNumberSpec) -> str:
    return (
        f"a {edit_effect.CONFIDENCE} interval that meets {spec.number} as rounded, and excludes the "
        "number moved by a tenth"
    )


def negate(spec: ReportedNumberSpec, _subject: Subject) -> ReportedNumberSpec:
    """The same sentence with another number: a fifth more, written as precisely."""
    stated = Stated(spec.number)
    other = stated.exact * (1 + Decimal(str(2 * PERTURBATION))) + Decimal(str(8 * stated.half_unit))
    text = f"{other:.{max(stated.decimals, 0)}f}"
    return spec.model_copy(update={"number": text})


def refuted_by(spec: ReportedNumberSpec) -> str:
    """What would refute it."""
    return f"an interval of our measurement that misses {spec.number} by more than rounding and sampling error"


def problems(spec: ReportedNumberSpec, subject: Subject) -> tuple[str, ...]:
    """Fields that the quantity needs; unknown task, stratum or positions."""
    names = (spec.query, spec.key) if spec.quantity == "attention" else (spec.positions,)
    found = list(edit_effect.subject_problems(spec.task, spec.stratum, subject, *names))
    if spec.quantity == "attention":
        if len(spec.components) != 1 or Component.parse(spec.components[0]).kind != "head":
            found.append("quantity attention needs components: [one head]")
        return tuple(found)
    if spec.metric is None:
        found.append(f"quantity {spec.quantity} needs a metric (allowed: {', '.join(Metric)})")
    if spec.quantity == "damage" and not spec.components:
        found.append("quantity damage needs components")
    if spec.metric is Metric.KL and not spec.components:
        found.append("kl of the unedited model is 0 by definition; name components and value")
    if bool(spec.components) != (spec.value is not None):
        found.append("components and value go together: what is edited, and what is written")
    return tuple(found)


_SPEC = ReportedNumberSpec(
    task="repeated", number="5.0", quantity="score", metric=Metric.LOGIT_DIFF, n=400
)
_DAMAGE = _SPEC.model_copy(
    update={
        "number": "7.0",
        "quantity": "damage",
        "components": ("a1.h1",),
        "value": AblationValue.RESAMPLE,
    }
)

CHECK = Check(
    kind="reported_number",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L1,
    spec=ReportedNumberSpec,
    plan=plan,
    decide=decide,
    negate=negate,
    refuted_by=refuted_by,
    figures=lambda spec: {"number": spec.number},
    problems=problems,
    doc=__doc__,
    examples=(
        example("it comes out again", _SPEC, plan, edit_scores({}, clean=5.02), Verdict.SUPPORTED),
        example("off by a fifth", _SPEC, plan, edit_scores({}, clean=4.0), Verdict.REFUTED),
        example(
            "the effect agrees",
            _DAMAGE,
            plan,
            edit_scores({"a1.h1": CLEAN - 7.0}),
            Verdict.SUPPORTED,
        ),
        example(
            "the effect is inflated",
            _DAMAGE,
            plan,
            edit_scores({"a1.h1": CLEAN - 5.0}),
            Verdict.REFUTED,
        ),
        example(
            "too noisy to tell a tenth",
            _SPEC.model_copy(update={"number": "0.1", "n": 16}),
            plan,
            edit_scores({}, clean=0.1),
            Verdict.VACUOUS,
        ),
    ),
)
