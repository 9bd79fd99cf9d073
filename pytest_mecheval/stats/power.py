"""What could have been seen: smallest effect that a test of given size detects.

The z test needs (z_{1-alpha} + z_{power}) sd / sqrt(n): Cohen 1988, Statistical Power Analysis, chapter 2.
The betting test pays for its guarantee with a larger quantile, and where sd is small beside the clipping
bound with a term for the mass at the far end of the range that no sample has shown.
"""

import math
from statistics import NormalDist

import numpy as np

from pytest_mecheval.stats.betting import (
    DESIGN_ALPHA,
    MAX_STAKE,
    PRIOR_VARIANCE,
    PRIOR_WEIGHT,
)
from pytest_mecheval.stats.samples import MIN_UNITS, check_alpha, check_clip

POWER = 0.8
"""Probability of detection that "detectable" means (METHODS V06)."""

_quantile = NormalDist().inv_cdf

FIXED_POINT_STEPS = 8
"""Rounds of solving for an effect that occurs, squared and small, in its own equation."""


def smallest_detectable_effect(sd: float, n: int, *, alpha: float, power: float = POWER) -> float:
    """Mean above the threshold that a one-sided z test of level `alpha` finds with `power`.

    Args:
        sd: standard deviation of one unit, metric's unit.
        n: number of units.
        alpha: one-sided error probability.
        power: wanted probability of detection.

    Returns:
        The distance from the threshold in the metric's unit.

    Raises:
        ValueError: `sd` negative or not finite, too few units, `alpha` or `power` outside (0, 1).

    >>> round(smallest_detectable_effect(1.0, 254, alpha=0.01), 2)
    0.2
    """
    _check(sd, n, alpha, power)
    return (_quantile(1 - alpha) + _quantile(power)) * sd / math.sqrt(n)


def smallest_detectable_by_betting(
    sd: float, n: int, *, alpha: float, clip: float, threshold: float = 0.0, power: float = POWER
) -> float:
    """The same for the betting test of values within +-clip.

    With bets lambda_t and s^2 the variance of the mapped values, an effect e adds
    sum(lambda_t) e - sum(lambda_t^2) (s^2 + e^2) / 2 to the log capital (second-order expansion), with
    standard deviation s sqrt(sum(lambda_t^2)). The wanted power is reached when that sum, less z_{power}
    standard deviations, is ln(1 / alpha). The bets are the test's own for a variance that shows itself
    as expected, so the price of learning it and the cap of the bets are included.

    Args:
        sd: standard deviation of one unit, metric's unit.
        n: number of units.
        alpha: one-sided error probability.
        clip: clipping bound of the test, metric's unit.
        threshold: the boundary tested, metric's unit; it moves the cap of the bets.
        power: wanted probability of detection.

    Returns:
        The distance from the threshold in the metric's unit.

    Raises:
        ValueError: `sd` negative or not finite, too few units, `alpha`, `power` or `clip` out of range,
            or `threshold` not inside +-clip.
    """
    _check(sd, n, alpha, power)
    check_clip(clip)
    if not abs(threshold) < clip:
        raise ValueError(f"threshold {threshold:g}: need one inside the clipping bound +-{clip:g}")
    deviation = sd / (2 * clip)
    seen = np.arange(n)
    variance = (PRIOR_WEIGHT * PRIOR_VARIANCE + seen * deviation**2) / (PRIOR_WEIGHT + seen)
    cap = MAX_STAKE / ((threshold / clip + 1) / 2)
    bets = np.minimum(np.sqrt(2 * math.log(1 / DESIGN_ALPHA) / (n * variance)), cap)
    total, squares = float(bets.sum()), float((bets**2).sum())
    needed = math.log(1 / alpha) + _quantile(power) * deviation * math.sqrt(squares)
    effect = 0.0
    for _ in range(FIXED_POINT_STEPS):
        effect = (needed + squares * (deviation**2 + effect**2) / 2) / total
    return 2 * clip * effect


def _check(sd: float, n: int, alpha: float, power: float) -> None:
    check_alpha(alpha)
    if not (math.isfinite(sd) and sd >= 0):
        raise ValueError(f"sd {sd:g}: need a finite number that is not negative")
    if n < MIN_UNITS:
        raise ValueError(f"n {n}: need at least {MIN_UNITS} units")
    if not 0 < power < 1:
        raise ValueError(f"power {power:g}: need a number strictly between 0 and 1")
