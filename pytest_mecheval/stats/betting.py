"""Bounds and p-values for the mean of bounded values by betting: valid at every n and any skew.

A gambler bets against the hypothesis "the mean is at most m". Values are clipped to +-`clip` and mapped
to x = (value / clip + 1) / 2 in [0, 1], m likewise; capital starts at 1 and is

    E_t(m) = prod_{i <= t} (1 + min(lambda_i, C / m) (x_i - m)),   p = min(1, 1 / max_t E_t(m)).

lambda_i is fixed before x_i is seen, so under the hypothesis E_t is a non-negative supermartingale and
Ville's inequality gives P(p <= alpha) <= alpha without any assumption on the shape of the distribution.
The order of the data is the order of the bets.

**Bets.** lambda_i = sqrt(2 ln(1 / DESIGN_ALPHA) / (n v_{i-1})) with v_{i-1} the variance of the values
before i, shrunk to 1/4 by one pseudo-value: the predictable plug-in tuned to a sample size n known
beforehand. Any bet is valid; this one needs little more data than a z test when sd / clip is above 1/8.

**Bounds.** Each factor does not increase in m: where lambda_i <= C / m it is 1 + lambda_i (x_i - m), with
slope -lambda_i; elsewhere it is 1 + C (x_i / m - 1), with slope -C x_i / m^2; both agree where they
meet, and every factor is at least 1 - C > 0. So the products, their maximum over t, and 1 / p are
monotone in m, {m: p(m) <= alpha} is an interval that starts at the lowest possible mean, and bisection
finds its end: lower_bound(v, alpha) > threshold exactly when p_above(v, threshold) <= alpha, up to the
width of the last bisection step.

**Estimand.** The mean of the *clipped* values. `clip` must come from calibration data and lie well
above every threshold (threshold.clip_bound sees to that); `clipped_share` says how much was cut.

Source: Waudby-Smith & Ramdas, arXiv:2010.09686 (predictable plug-in bets, hedged capital).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from pytest_mecheval.stats.samples import Values, check_alpha, check_clip, many_samples, one_sample

DESIGN_ALPHA = 0.01
"""The error level the bets are tuned for; every other level stays valid and loses a little power."""

MAX_STAKE = 0.9
"""C above: the share of the capital that one value at the far end of the range can take."""

PRIOR_VARIANCE = 0.25
"""Variance assumed before any value is seen: the largest one possible in [0, 1]."""

PRIOR_WEIGHT = 1.0
"""How many values the assumed variance counts for."""

BISECTIONS = 50
"""Halvings of [0, 1]: the bound is exact to clip * 2^-49."""


def lower_bound(values: ArrayLike, *, alpha: float, clip: float) -> float:
    """Lower bound L of the mean: P(L > mean) <= alpha.

    Args:
        values: one per independent unit, shape (units,), metric's unit.
        alpha: one-sided error probability.
        clip: values are clipped to +-clip, metric's unit.

    Returns:
        The bound in the metric's unit, at least -clip.

    Raises:
        ValueError: fewer than two units, a value not finite, `alpha` or `clip` out of range.
    """
    return float(lower_bound_each(one_sample(values)[np.newaxis], alpha=alpha, clip=clip)[0])


def upper_bound(values: ArrayLike, *, alpha: float, clip: float) -> float:
    """Upper bound U of the mean: P(U < mean) <= alpha. See `lower_bound`."""
    return -lower_bound(-one_sample(values), alpha=alpha, clip=clip)


def p_above(values: ArrayLike, threshold: float, *, clip: float) -> float:
    """p-value against "the mean is at most `threshold`"; small means the mean lies above it.

    A threshold outside +-clip is treated as the nearer end of the range.

    Args:
        values: one per independent unit, shape (units,), metric's unit.
        threshold: the boundary of the hypothesis, metric's unit.
        clip: values are clipped to +-clip, metric's unit.

    Returns:
        A p-value in (0, 1].

    Raises:
        ValueError: fewer than two units, a value not finite, `threshold` or `clip` not usable.
    """
    return float(p_above_each(one_sample(values)[np.newaxis], threshold, clip=clip)[0])


def p_below(values: ArrayLike, threshold: float, *, clip: float) -> float:
    """p-value against "the mean is at least `threshold`"; small means the mean lies below it."""
    return p_above(-one_sample(values), -threshold, clip=clip)


def p_above_each(values: ArrayLike, threshold: float, *, clip: float) -> Values:
    """`p_above` of every row, shape (rows,).

    Args:
        values: shape (rows, units), metric's unit.
        threshold: one boundary for all rows, metric's unit.
        clip: values are clipped to +-clip, metric's unit.

    Raises:
        ValueError: fewer than two units, a value not finite, `threshold` or `clip` not usable.
    """
    rows = many_samples(values)
    check_clip(clip)
    if not math.isfinite(threshold):
        raise ValueError(f"threshold {threshold:g}: need a finite number")
    x = _unit_interval(rows, clip)
    m = np.full(len(x), _unit_interval(np.float64(threshold), clip))
    return np.exp(-_best_log_capital(x, _bets(x), m))


def lower_bound_each(values: ArrayLike, *, alpha: float, clip: float) -> Values:
    """`lower_bound` of every row of an array of shape (rows, units), shape (rows,)."""
    rows = many_samples(values)
    check_clip(clip)
    check_alpha(alpha)
    x = _unit_interval(rows, clip)
    bets = _bets(x)
    needed = math.log(1 / alpha)
    rejected = np.zeros(len(x))  # the largest mean known to be rejected; the range's end if none
    kept = np.ones(len(x))  # at m = 1 no factor exceeds 1, so m = 1 is never rejected
    for _ in range(BISECTIONS):
        middle = (rejected + kept) / 2
        gone = _best_log_capital(x, bets, middle) >= needed
        rejected = np.where(gone, middle, rejected)
        kept = np.where(gone, kept, middle)
    bounds: Values = clip * (2 * rejected - 1)
    return bounds


def upper_bound_each(values: ArrayLike, *, alpha: float, clip: float) -> Values:
    """`upper_bound` of every row of an array of shape (rows, units), shape (rows,)."""
    return -lower_bound_each(-many_samples(values), alpha=alpha, clip=clip)


def clipped_share(values: ArrayLike, *, clip: float) -> float:
    """Share of values that clipping changes; above 0 the tested mean is not the plain mean.

    >>> clipped_share([0.5, 1.0, -3.0, 0.0], clip=1.0)
    0.25
    """
    check_clip(clip)
    return float(np.mean(np.abs(one_sample(values)) > clip))


def clipped_mean(values: ArrayLike, *, clip: float) -> float:
    """Mean of the clipped values: what the bounds of this module are about.

    >>> clipped_mean([0.5, 3.0], clip=1.0)
    0.75
    """
    check_clip(clip)
    return float(np.clip(one_sample(values), -clip, clip).mean())


def _unit_interval(values: Values | np.float64, clip: float) -> Values:
    """Clipped to +-clip and mapped to [0, 1]."""
    mapped: Values = (np.clip(values / clip, -1.0, 1.0) + 1.0) / 2.0
    return mapped


def _bets(x: Values) -> Values:
    """Predictable bets, shape (rows, units): column i uses columns before i only.

    The running variance does not change when all values of a row are shifted.
    """
    n = x.shape[1]
    seen = np.arange(1, n)
    mean_before = np.cumsum(x, axis=1)[:, :-1] / seen
    # Welford: the sum of squares grows by (x - mean before)^2 * (seen / (seen + 1)).
    growth = (x[:, 1:] - mean_before) ** 2 * (seen / (seen + 1))
    squares = np.zeros_like(x)
    squares[:, 2:] = np.cumsum(growth, axis=1)[:, :-1]
    counts = np.arange(n)
    variance = (PRIOR_WEIGHT * PRIOR_VARIANCE + squares) / (PRIOR_WEIGHT + counts)
    bets: Values = np.sqrt(2 * math.log(1 / DESIGN_ALPHA) / (n * variance))
    return bets


def _best_log_capital(x: Values, bets: Values, m: Values) -> Values:
    """Largest log E_t(m) over t >= 0 per row, shape (rows,); `m` has one entry per row."""
    m_column = m[:, np.newaxis]
    # m = 0 is only true if every x is 0: no stake can then lose, and the cap is not needed.
    cap = np.divide(MAX_STAKE, m_column, out=np.full_like(m_column, np.inf), where=m_column > 0)
    log_capital = np.cumsum(np.log1p(np.minimum(bets, cap) * (x - m_column)), axis=1)
    best: Values = np.maximum(log_capital.max(axis=1), 0.0)
    return best
