"""Many hypotheses at once: Holm's step-down correction, valid under any dependence."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_mecheval.stats.samples import Values


def holm(p_values: ArrayLike) -> Values:
    """Holm-adjusted p-values, shape (hypotheses,), in the order given.

    With sorted p_(1) <= ... <= p_(m): adjusted_(i) = min(1, max_{j <= i} (m - j + 1) p_(j)).

    Args:
        p_values: shape (hypotheses,); may be empty.

    Raises:
        ValueError: more than one axis, or a value outside [0, 1].

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p_values: need one number from 0 to 1 for each hypothesis")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def holm_rejects(p_values: ArrayLike, level: float) -> NDArray[np.bool_]:
    """Which hypotheses fall at family-wise error `level`, shape (hypotheses,)."""
    rejected: NDArray[np.bool_] = holm(p_values) <= level
    return rejected
