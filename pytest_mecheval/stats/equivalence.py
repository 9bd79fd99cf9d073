"""Does something *not* matter? Two one-sided tests; absence of evidence is never support."""

from numpy.typing import ArrayLike

from pytest_mecheval.stats.betting import p_above, p_below


def tost_p(values: ArrayLike, margin: float, *, clip: float) -> float:
    """p-value against "|mean| is at least `margin`": the larger of the two one-sided ones.

    Args:
        values: one per independent unit, shape (units,), metric's unit.
        margin: smallest effect of interest, metric's unit.
        clip: values are clipped to +-clip, metric's unit.

    Returns:
        A p-value; small means the effect is too small to matter.

    Raises:
        ValueError: `margin` not positive, fewer than two units, a value not finite.

    Source: Schuirmann 1987 (two one-sided tests); METHODS 2.3.
    """
    _check(margin)
    return max(p_above(values, -margin, clip=clip), p_below(values, margin, clip=clip))


def outside_p(values: ArrayLike, margin: float, *, clip: float) -> float:
    """p-value against "|mean| is at most `margin`"; small means the effect matters, in one direction.

    Either direction refutes, so the smaller one-sided p-value is doubled (Bonferroni).
    """
    _check(margin)
    smaller = min(p_above(values, margin, clip=clip), p_below(values, -margin, clip=clip))
    return min(1.0, 2 * smaller)


def _check(margin: float) -> None:
    if not margin > 0:
        raise ValueError(f"margin {margin:g}: need a positive smallest effect of interest")
