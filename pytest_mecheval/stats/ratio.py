"""Ratio of two means over the same units, such as faithfulness or a share of direct attribution.

Never the mean of ratios: with a denominator near 0 its spread explodes (METHODS 3.1). Bounds invert the
paired test: at the true ratio r the residual numerator - r * denominator has mean 0 (Fieller's idea with
the betting test in place of Student's t). Residuals are divided by max(1, |r|) before they are clipped,
so that a ratio far above 1 does not turn every residual into a clipped one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pytest_mecheval.stats.betting import p_above, p_above_each, p_below
from pytest_mecheval.stats.samples import Values, check_alpha, check_clip, paired

SEARCH_START = 1e-6
"""Smallest distance from the estimate at which a ratio is tried, relative to 1 + |estimate|."""

SEARCH_END = 1e6
"""Largest such distance; a ratio that cannot be excluded there is unbounded."""

SEARCH_POINTS = 120
"""Ratios tried on each side, equally spaced in the logarithm: neighbours lie 26 % apart in distance."""

REFINEMENTS = 40
"""Halvings of the gap between the last excluded and the first possible ratio."""


@dataclass(frozen=True, slots=True)
class RatioBounds:
    """A ratio of means with its one-sided bounds; a bound may be infinite."""

    estimate: float
    lower: float
    upper: float


def ratio_of_means(numerator: ArrayLike, denominator: ArrayLike) -> float:
    """mean(numerator) / mean(denominator), dimensionless.

    Raises:
        ValueError: fewer than two units, unequal units, a value not finite, or a mean of exactly 0.

    >>> ratio_of_means([1.0, 2.0], [2.0, 4.0])
    0.5
    """
    num, den = paired(numerator, denominator, names=("numerator", "denominator"))
    if den.mean() == 0:
        raise ValueError("denominator: its mean is 0, the ratio does not exist")
    return float(num.mean() / den.mean())


def denominator_sign(denominator: ArrayLike, *, alpha: float, clip: float) -> int:
    """+1 or -1 when the mean is shown to lie above or below 0, else 0: the ratio has no meaning then.

    Two-sided: each direction is tested at alpha / 2.

    Raises:
        ValueError: fewer than two units, a value not finite, `alpha` or `clip` out of range.
    """
    check_alpha(alpha)
    if p_above(denominator, 0.0, clip=clip) <= alpha / 2:
        return 1
    return -1 if p_below(denominator, 0.0, clip=clip) <= alpha / 2 else 0


def ratio_p_above(
    numerator: ArrayLike, denominator: ArrayLike, threshold: float, *, clip: float, sign: int = 1
) -> float:
    """p-value against "the ratio is at most `threshold`", given the sign of the denominator's mean.

    Args:
        numerator: shape (units,), metric's unit.
        denominator: on the same units, shape (units,), metric's unit.
        threshold: ratio at the boundary, dimensionless.
        clip: scaled residuals are clipped to +-clip, metric's unit.
        sign: +1 or -1, from `denominator_sign`.

    Raises:
        ValueError: unequal units, fewer than two, a value not finite, another `sign`, `clip` unusable.
    """
    num, den = paired(numerator, denominator, names=("numerator", "denominator"))
    if sign not in (1, -1):
        raise ValueError(f"sign {sign}: need +1 or -1; 0 means the ratio has no meaning")
    return p_above(sign * _residual(num, den, threshold), 0.0, clip=clip)


def ratio_p_below(
    numerator: ArrayLike, denominator: ArrayLike, threshold: float, *, clip: float, sign: int = 1
) -> float:
    """p-value against "the ratio is at least `threshold`". See `ratio_p_above`."""
    return ratio_p_above(numerator, denominator, threshold, clip=clip, sign=-sign)


def ratio_bounds(
    numerator: ArrayLike, denominator: ArrayLike, *, alpha: float, clip: float
) -> RatioBounds | None:
    """One-sided bounds of mean(numerator) / mean(denominator), each wrong with probability <= alpha.

    (Plus at most alpha / 2 when the denominator's mean is so near 0 that its sign is mistaken.)

    The lower bound is the smallest ratio that the test does not exclude. Whether ratios are excluded
    need not be monotone when single denominators are negative, so a logarithmic grid around the
    estimate is tried from its far end inwards before the gap is halved.

    Args:
        numerator: shape (units,), metric's unit.
        denominator: on the same units, shape (units,), metric's unit.
        alpha: one-sided error probability of each bound.
        clip: scaled residuals are clipped to +-clip, metric's unit. The bounds are about the ratio
            at which the clipped residual has mean 0: the ratio of means when nothing is clipped.

    Returns:
        The bounds, or None when the denominator's mean is not shown to differ from 0 at level
        alpha: the ratio then has no meaning, and the claim is inconclusive, not large.

    Raises:
        ValueError: unequal units, fewer than two, a value not finite, `alpha` or `clip` out of range.
    """
    num, den = paired(numerator, denominator, names=("numerator", "denominator"))
    check_clip(clip)
    sign = denominator_sign(den, alpha=alpha, clip=clip)
    if sign == 0:
        return None
    num, den = sign * num, sign * den
    estimate = ratio_of_means(num, den)
    lower = _lowest_possible(num, den, estimate, alpha=alpha, clip=clip)
    # The ratio of -num to den is the negative ratio: its lowest value is the highest of this one.
    upper = -_lowest_possible(-num, den, -estimate, alpha=alpha, clip=clip)
    return RatioBounds(estimate, lower, upper)


def _lowest_possible(
    num: Values, den: Values, estimate: float, *, alpha: float, clip: float
) -> float:
    scale = 1 + abs(estimate)
    distances = np.geomspace(SEARCH_END, SEARCH_START, SEARCH_POINTS) * scale
    tried = estimate - distances  # ascending
    residuals = np.stack([_residual(num, den, ratio) for ratio in tried])
    possible = np.flatnonzero(p_above_each(residuals, 0.0, clip=clip) > alpha)
    if possible.size == 0:
        return float(tried[-1])
    first = int(possible[0])
    if first == 0:
        return -np.inf
    excluded, kept = float(tried[first - 1]), float(tried[first])
    for _ in range(REFINEMENTS):
        middle = (excluded + kept) / 2
        if p_above(_residual(num, den, middle), 0.0, clip=clip) <= alpha:
            excluded = middle
        else:
            kept = middle
    return excluded


def _residual(num: Values, den: Values, ratio: float) -> Values:
    """Mean 0 at the true ratio; scaled so that it stays of the size of its parts."""
    residual: Values = (num - ratio * den) / max(1.0, abs(ratio))
    return residual
