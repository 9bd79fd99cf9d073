"""The rule every claim about an effect obeys: threshold, controls, sham claims, then a verdict (METHODS 2.3, 2.4, 10, 12.1).

It works on margins: per unit, how far the effect exceeds what the claim needs. Kinds differ in what an
effect is and what is needed; they never differ in how a margin becomes a verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pytest_mecheval.checks.inference import ALPHA, Inference
from pytest_mecheval.checks.pool import RANK_TEST_CONTROLS
from pytest_mecheval.evidence.decision import Control, Shams
from pytest_mecheval.evidence.measurement import Values
from pytest_mecheval.stats import betting, family, shams
from pytest_mecheval.stats import controls as control_tests
from pytest_mecheval.vocabulary import Verdict

UNDERPOWERED = "underpowered"
"""Reason code: the interval spans the threshold."""
NOT_SPECIAL_SHARE = 0.9
"""A control this close to the claimed effect makes a claim of being special false (DESIGN 12)."""
SUB_CHECKS = 2
"""A special claim can be refuted in two ways, so each gets half of alpha (METHODS 2.5)."""


@dataclass(frozen=True)
class Claimed:
    """The effect a claim is about, beside what the same measurement gives for controls."""

    effect: Values
    """In the claimed direction, shape (units,)."""
    needed: Values
    """What the claim needs per unit (a constant threshold or a share of a reference), shape (units,)."""
    controls: Mapping[str, Values] = field(default_factory=dict)
    """Control effects in the claimed direction, each shape (units,)."""
    special: bool = False
    """The claim says the effect is exceptional, so it must exceed every control's."""


@dataclass(frozen=True)
class Ruling:
    """Verdict, short reason and the numbers behind them."""

    verdict: Verdict
    code: str
    p_value: float | None
    controls: tuple[Control, ...]
    shams: Shams
    notes: tuple[str, ...] = ()


def rule(claimed: Claimed, inference: Inference) -> Ruling:
    """The verdict on one effect claim; sham claims pass through the same code first."""
    control_means = tuple(
        Control(name, float(values.mean())) for name, values in claimed.controls.items()
    )
    sham = sham_battery(claimed, inference)
    verdict, code, p_value = _judge(claimed, inference)
    exact = None if inference.exhaustive else p_value
    if shams.is_vacuous(sham.passed, sham.tried):
        return Ruling(Verdict.VACUOUS, "sham claims pass too", exact, control_means, sham)
    return Ruling(verdict, code, exact, control_means, sham, _notes(claimed, inference, code))


def sham_battery(claimed: Claimed, inference: Inference) -> Shams:
    """The same rule with each of up to 20 controls in the claimed place (V01)."""
    names = sorted(claimed.controls)
    if len(names) > shams.MAX_SHAMS:
        # Evenly spaced over the sorted names: fixed by the names alone.
        names = [names[i] for i in np.linspace(0, len(names) - 1, shams.MAX_SHAMS).astype(int)]
    passed = []
    for name in names:
        rest = {other: v for other, v in claimed.controls.items() if other != name}
        sham = Claimed(claimed.controls[name], claimed.needed, rest, claimed.special)
        if _judge(sham, inference)[0] is Verdict.SUPPORTED:
            passed.append(name)
    return Shams(len(passed), len(names), tuple(passed))


def _judge(claimed: Claimed, inference: Inference) -> tuple[Verdict, str, float]:
    margin = claimed.effect - claimed.needed
    refute_alpha = ALPHA / SUB_CHECKS if claimed.special else ALPHA
    wide = inference.for_margins
    guard, p_value = inference.guard, wide.p_above(margin, 0.0)
    if wide.falls_below(margin, 0.0, refute_alpha):
        if not wide.falls_below(margin, -guard, refute_alpha):
            return Verdict.INCONCLUSIVE, "numerical", p_value
        return Verdict.REFUTED, _why_refuted(claimed, inference), p_value
    if claimed.special:
        special, code, special_p = _special(claimed, inference, refute_alpha)
        p_value = max(p_value, special_p)
        if special is not Verdict.SUPPORTED:
            return special, code, p_value
    if not wide.exceeds(margin, 0.0):
        return Verdict.INCONCLUSIVE, UNDERPOWERED, p_value
    if not wide.exceeds(margin, guard):
        return Verdict.INCONCLUSIVE, "numerical", p_value
    return Verdict.SUPPORTED, "", p_value


def _why_refuted(claimed: Claimed, inference: Inference) -> str:
    if inference.falls_below(claimed.effect, -inference.tolerance):
        return "opposite sign"
    return "too small" if inference.exceeds(claimed.effect, inference.tolerance) else "no effect"


def _special(claimed: Claimed, inference: Inference, alpha: float) -> tuple[Verdict, str, float]:
    """Dominance or rank test against the controls; an empty pool is never dominance."""
    if not claimed.controls:
        return Verdict.INCONCLUSIVE, "no control to compare with", 1.0
    others = np.stack(list(claimed.controls.values()))
    beaten = inference.beats_claim_p(claimed.effect, others, NOT_SPECIAL_SHARE)
    if bool(family.holm_rejects(beaten, alpha).any()):
        return Verdict.REFUTED, "not special", 1.0
    if len(claimed.controls) >= RANK_TEST_CONTROLS:
        p_value = control_tests.rank_p(float(claimed.effect.mean()), np.abs(others.mean(axis=1)))
    else:
        p_value = inference.dominance_p(claimed.effect, others)
    if p_value <= ALPHA:
        return Verdict.SUPPORTED, "", p_value
    return Verdict.INCONCLUSIVE, "not shown to exceed every control", p_value


def _notes(claimed: Claimed, inference: Inference, code: str) -> tuple[str, ...]:
    notes = []
    if code == UNDERPOWERED:
        reach = inference.for_margins.detectable(claimed.effect - claimed.needed)
        notes.append(
            f"{claimed.effect.size} prompts tell effects {reach:.3g} beyond the threshold apart"
        )
    clipped = betting.clipped_share(claimed.effect, clip=inference.clip)
    if clipped and not inference.exhaustive:
        mean = float(claimed.effect.mean())
        notes.append(
            f"{clipped:.0%} of prompts lie beyond the clip; the unclipped mean is {mean:.4g}"
        )
    if not claimed.controls:
        return (*notes, "no matched control exists in this model")
    largest = max(claimed.controls, key=lambda name: abs(float(claimed.controls[name].mean())))
    value = float(claimed.controls[largest].mean())
    return (*notes, f"largest of {len(claimed.controls)} controls: {largest} with {value:.3g}")
