"""What counts as a sample here: finite numbers, enough of them, checked once at the edge of a method."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
"""One value per independent unit, shape (units,), or one such row per control, shape (rows, units)."""

MIN_UNITS = 2
"""Fewest units from which anything about spread can be learned."""


def one_sample(values: ArrayLike, *, name: str = "values") -> Values:
    """The values as float64, shape (units,).

    Raises:
        ValueError: not one axis, fewer than two units, or a value that is not finite.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1:
        raise ValueError(f"{name}: shape {sample.shape}, need one axis with one value per unit")
    _check(sample, name)
    return sample


def many_samples(values: ArrayLike, *, name: str = "values") -> Values:
    """The values as float64, shape (rows, units); no rows at all are allowed.

    Raises:
        ValueError: not two axes, fewer than two units, or a value that is not finite.
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"{name}: shape {rows.shape}, need (rows, units)")
    _check(rows, name)
    return rows


def paired(first: ArrayLike, second: ArrayLike, *, names: tuple[str, str]) -> tuple[Values, Values]:
    """Two samples over the same units.

    Raises:
        ValueError: either is no sample, or their lengths differ.
    """
    one, two = one_sample(first, name=names[0]), one_sample(second, name=names[1])
    if one.size != two.size:
        raise ValueError(
            f"{names[0]} has {one.size} units and {names[1]} has {two.size}: "
            "paired values need the same units in the same order"
        )
    return one, two


def check_alpha(alpha: float) -> None:
    """Refuse an error level outside (0, 1).

    Raises:
        ValueError: `alpha` is not strictly between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha:g}: need a number strictly between 0 and 1")


def check_clip(clip: float) -> None:
    """Refuse a clipping bound that is not a positive finite number.

    Raises:
        ValueError: `clip` is zero, negative, infinite or not a number.
    """
    if not (np.isfinite(clip) and clip > 0):
        raise ValueError(f"clip {clip:g}: need a positive finite bound, see threshold.clip_bound")


def _check(sample: Values, name: str) -> None:
    units = sample.shape[-1]
    if units < MIN_UNITS:
        raise ValueError(f"{name}: {units} unit(s), need at least {MIN_UNITS}")
    bad = int(np.count_nonzero(~np.isfinite(sample)))
    if bad:
        raise ValueError(f"{name}: {bad} value(s) are NaN or infinite, need finite numbers")
