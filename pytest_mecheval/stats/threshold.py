"""What counts as a matter of size: the smallest effect of interest and the clipping bound.

Everything here reads the calibration split only; evaluation data never set their own threshold.
"""

import numpy as np
from numpy.typing import ArrayLike

from pytest_mecheval.stats.samples import one_sample

RANGE_SHARE = 0.10
"""Smallest effect of interest as a share of the clean-to-counterfactual range (METHODS 2.3)."""

CONTROL_QUANTILE = 0.95
"""Which quantile of the controls' absolute effects the effect must exceed (METHODS 2.3)."""

MEDIAN_FACTOR = 2.0
"""Clipping bound in medians of the clean metric's absolute value (METHODS 2.2)."""

THRESHOLD_FACTOR = 2.0
"""A clipping bound lies at least this far above a threshold, in thresholds: no test at the very edge."""

FALLBACK_CLIP = 1.0
"""Clipping bound in the metric's unit when calibration shows nothing but zeros."""


def metric_range(clean: ArrayLike, counterfactual: ArrayLike) -> float:
    """|mean(clean) - mean(counterfactual)|: how far the metric can be moved, metric's unit.

    Args:
        clean: metric on clean calibration inputs, shape (units,).
        counterfactual: metric on counterfactual calibration inputs, shape (units,).

    Raises:
        ValueError: fewer than two units, or a value not finite.
    """
    clean = one_sample(clean, name="clean")
    counterfactual = one_sample(counterfactual, name="counterfactual")
    return float(abs(clean.mean() - counterfactual.mean()))


def default_delta(clean: ArrayLike, counterfactual: ArrayLike, control_means: ArrayLike) -> float:
    """Smallest effect of interest: max(10 % of the range, 95th percentile of |control effects|).

    Args:
        clean: metric on clean calibration inputs, shape (units,).
        counterfactual: metric on counterfactual calibration inputs, shape (units,).
        control_means: mean calibration effect of each matched control, shape (controls,); may be
            empty, then the range alone decides.

    Returns:
        The threshold in the metric's unit.

    Raises:
        ValueError: fewer than two units, or a value not finite.
    """
    effects = np.abs(np.asarray(control_means, dtype=np.float64))
    if effects.ndim != 1 or not np.isfinite(effects).all():
        raise ValueError(
            f"control_means: shape {effects.shape}, need one finite mean for each control"
        )
    largest = float(np.quantile(effects, CONTROL_QUANTILE)) if effects.size else 0.0
    return max(RANGE_SHARE * metric_range(clean, counterfactual), largest)


def clip_bound(
    clean_calibration: ArrayLike,
    *,
    counterfactual: ArrayLike | None = None,
    threshold: float = 0.0,
) -> float:
    """Clipping bound B of the betting tests, never 0.

    2 * median |clean| is the rule of METHODS 2.2. It is raised, never lowered, so that clipping does not
    change what is tested: to the largest clean value seen (a log-probability near 0 with rare large
    losses, an accuracy below one half), to the clean-to-counterfactual range, and to twice the threshold.

    Args:
        clean_calibration: metric on clean calibration inputs, shape (units,). For a metric that is 0
            on clean runs, such as a KL divergence, give the values of the positive control instead.
        counterfactual: metric on counterfactual calibration inputs, shape (units,), when there are any.
        threshold: largest absolute threshold that will be tested, metric's unit.

    Returns:
        The bound in the metric's unit.

    Raises:
        ValueError: fewer than two units, or a value not finite.

    >>> clip_bound([2.0, 3.0, 4.0]), clip_bound([0.0, 0.0, 1.0]), clip_bound([2.0, 3.0], threshold=4.0)
    (6.0, 1.0, 8.0)
    """
    clean = one_sample(clean_calibration, name="clean_calibration")
    if not np.isfinite(threshold):
        raise ValueError(f"threshold {threshold:g}: need a finite number")
    size = np.abs(clean)
    span = 0.0 if counterfactual is None else metric_range(clean, counterfactual)
    bound = max(
        MEDIAN_FACTOR * float(np.median(size)),
        float(size.max()),
        span,
        THRESHOLD_FACTOR * abs(threshold),
    )
    return bound if bound > 0 else FALLBACK_CLIP
