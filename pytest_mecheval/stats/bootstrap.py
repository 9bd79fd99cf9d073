"""Bootstrap-t bounds of a mean: the comparison method, approximate, not what verdicts rest on.

Under heavy left tails it says SUPPORTED too often at the boundary (tests/calibration shows how often), so
decisions use the betting bound; this one is kept to show what the guarantee costs.

Source: METHODS 2.2; Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 12 (studentised).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from pytest_mecheval.stats.samples import Values, check_alpha, many_samples, one_sample

RESAMPLES = 2000
"""Resamples drawn: the 1 % quantile then rests on 20 of them."""

KEPT_COUNTS = 4
"""Resampling plans kept in memory: 2 000 x 256 of them take 4 MB."""


def lower_bound(values: ArrayLike, *, alpha: float, seed: int, resamples: int = RESAMPLES) -> float:
    """L = mean - q_{1-alpha}(t*) s / sqrt(n), with t* = (mean* - mean) / (s* / sqrt(n)).

    Args:
        values: one per independent unit, shape (units,), metric's unit.
        alpha: nominal one-sided error probability; exceeded under skew.
        seed: of the resampling; same seed, same bound.
        resamples: number of bootstrap samples.

    Returns:
        The bound in the metric's unit; the mean itself when all values are equal.

    Raises:
        ValueError: fewer than two units, a value not finite, `alpha` out of range.
    """
    rows = one_sample(values)[np.newaxis]
    return float(lower_bound_each(rows, alpha=alpha, seed=seed, resamples=resamples)[0])


def upper_bound(values: ArrayLike, *, alpha: float, seed: int, resamples: int = RESAMPLES) -> float:
    """U = mean - q_alpha(t*) s / sqrt(n). See `lower_bound`."""
    return -lower_bound(-one_sample(values), alpha=alpha, seed=seed, resamples=resamples)


def lower_bound_each(
    values: ArrayLike, *, alpha: float, seed: int, resamples: int = RESAMPLES
) -> Values:
    """`lower_bound` of every row of an array of shape (rows, units), shape (rows,)."""
    rows = many_samples(values)
    check_alpha(alpha)
    n = rows.shape[1]
    mean = rows.mean(axis=1, keepdims=True)
    centred = rows - mean  # keeps the second moments below free of cancellation
    counts = _resample_counts(n, resamples, seed)
    shift = centred @ counts.T / n
    variance = np.maximum((centred**2) @ counts.T / n - shift**2, 0.0) * n / (n - 1)
    error = np.sqrt(variance / n)
    # A resample of one repeated value has no spread: t* is 0 or infinite with the shift's sign.
    studentised = np.divide(
        shift, error, out=np.where(shift == 0, 0.0, np.copysign(np.inf, shift)), where=error > 0
    )
    quantile = np.quantile(studentised, 1 - alpha, axis=1, method="higher")
    spread = centred.std(axis=1, ddof=1) / np.sqrt(n)
    width = np.where(spread > 0, quantile * np.where(spread > 0, spread, 1.0), 0.0)
    bounds: Values = mean[:, 0] - width
    return bounds


@lru_cache(maxsize=KEPT_COUNTS)
def _resample_counts(n: int, resamples: int, seed: int) -> Values:
    """How often each unit is drawn in each resample, shape (resamples, units)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
