"""An enumerated population has no sampling error: its mean is the truth, bounds and p-values follow.

Who calls decides that the values are the whole population; this module cannot know.
"""

import numpy as np
from numpy.typing import ArrayLike


def mean(values: ArrayLike) -> float:
    """The population mean, which is also its own lower and upper bound.

    Args:
        values: one per member of the population, shape (units,); one member is enough.

    Raises:
        ValueError: no values, more than one axis, or a value not finite.
    """
    population = np.asarray(values, dtype=np.float64)
    if population.ndim != 1 or population.size == 0:
        raise ValueError(f"values: shape {population.shape}, need one value per member")
    if not np.isfinite(population).all():
        raise ValueError("values: some are NaN or infinite, need finite numbers")
    return float(population.mean())


def p_above(values: ArrayLike, threshold: float) -> float:
    """0 when the population mean exceeds the threshold, else 1: nothing is left to chance.

    >>> p_above([1.0, 2.0], 1.4), p_above([1.0, 2.0], 1.5)
    (0.0, 1.0)
    """
    return 0.0 if mean(values) > threshold else 1.0


def p_below(values: ArrayLike, threshold: float) -> float:
    """0 when the population mean is smaller than the threshold, else 1."""
    return 0.0 if mean(values) < threshold else 1.0
