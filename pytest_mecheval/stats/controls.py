"""Is the named component special? Comparison of a claim with matched controls on the same units.

Effects of controls enter signed. What must be exceeded is |mean effect of the control|, and
|m| = max(m, -m): hand both signs in (`both_signs`) and no sign has to be guessed.
"""

import numpy as np
from numpy.typing import ArrayLike

from pytest_mecheval.stats.betting import p_above_each
from pytest_mecheval.stats.samples import Values, many_samples, one_sample

RIVAL_SHARE = 0.9
"""A control above this share of the claimed effect shows that the claimed one is not special."""


def rank_p(claimed: float, controls: ArrayLike) -> float:
    """Monte-Carlo rank test: (1 + #{controls >= claimed}) / (controls + 1).

    Args:
        claimed: statistic of the claimed target, on data that did not choose it.
        controls: the same statistic of each control, shape (controls,).

    Returns:
        A p-value, never 0; 1 when there are no controls.

    Raises:
        ValueError: a statistic is not finite, or `controls` has more than one axis.

    Source: Phipson & Smyth 2010 (permutation p-values should never be zero); METHODS 2.4.

    >>> rank_p(3.0, [1.0, 3.0, 2.0])
    0.5
    """
    statistics = np.asarray(controls, dtype=np.float64)
    if statistics.ndim != 1 or not np.isfinite(statistics).all() or not np.isfinite(claimed):
        raise ValueError("rank test: need one finite statistic for the claim and for each control")
    return float((1 + np.count_nonzero(statistics >= claimed)) / (statistics.size + 1))


def both_signs(controls: ArrayLike) -> Values:
    """The controls and their negatives, shape (2 * controls, units).

    Dominance over both m_k and -m_k is dominance over |m_k|, exactly and at no cost in level.
    """
    rows = many_samples(controls, name="controls")
    return np.concatenate([rows, -rows])


def dominance_p(claimed: ArrayLike, controls: ArrayLike, *, clip: float) -> float:
    """p-value against "some control's mean effect is at least the claimed one".

    Intersection-union test: the largest p of the paired tests mean(claimed - control) > 0, of level
    alpha whatever the number of controls, without correction.

    Args:
        claimed: effect of the claimed target in the claimed direction, shape (units,).
        controls: signed effects of the controls on the same units, shape (controls, units).
        clip: differences are clipped to +-clip, metric's unit.

    Returns:
        A p-value; 1 when there are no controls, for an empty pool is never dominance.

    Raises:
        ValueError: fewer than two units, unequal units, a value not finite, `clip` out of range.

    Source: Berger 1982 (intersection-union tests); METHODS 2.4.
    """
    target, rows = _same_units(claimed, controls)
    return float(p_above_each(target - rows, 0.0, clip=clip).max(initial=0.0)) if len(rows) else 1.0


def beats_claim_p(
    claimed: ArrayLike, controls: ArrayLike, *, clip: float, share: float = RIVAL_SHARE
) -> Values:
    """Per control, the p-value against "its mean effect is at most share * the claimed one".

    Correct for the number of controls with `family.holm` before calling any of them a rival.

    Args:
        claimed: effect of the claimed target in the claimed direction, shape (units,).
        controls: signed effects of the controls on the same units, shape (controls, units).
        clip: differences are clipped to +-clip, metric's unit.
        share: how much of the claimed effect a rival must exceed, dimensionless.

    Returns:
        p-values, shape (controls,).

    Raises:
        ValueError: fewer than two units, unequal units, a value not finite, `clip` out of range.
    """
    target, rows = _same_units(claimed, controls)
    return p_above_each(rows - share * target, 0.0, clip=clip)


def _same_units(claimed: ArrayLike, controls: ArrayLike) -> tuple[Values, Values]:
    target = one_sample(claimed, name="claimed")
    pool = np.asarray(controls, dtype=np.float64)
    if pool.size == 0:
        return target, np.empty((0, target.size))
    rows = many_samples(pool, name="controls")
    if rows.shape[1] != target.size:
        raise ValueError(
            f"claimed has {target.size} units and controls have {rows.shape[1]}: "
            "comparison needs the same units in the same order"
        )
    return target, rows
