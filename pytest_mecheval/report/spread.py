"""How the values of one measurement lie: a few quantiles instead of every value, so that reports can draw them."""

from dataclasses import dataclass

import numpy as np

from pytest_mecheval.evidence.measurement import Values

STEPS = 20
"""The range is cut into this many parts of equal share: one mark in twenty is 5 % of the prompts."""
DIGITS = 5
"""Significant digits kept; a picture shows three."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Location and spread of one array of per-unit values, metric's unit."""

    n: int
    """Independent units."""
    mean: float
    quantiles: tuple[float, ...]
    """Lowest to highest in `STEPS` equal shares, so `STEPS` + 1 values."""

    @property
    def lowest(self) -> float:
        return self.quantiles[0]

    @property
    def highest(self) -> float:
        return self.quantiles[-1]

    @property
    def middle_half(self) -> tuple[float, float]:
        """First and third quartile."""
        return self.quantiles[STEPS // 4], self.quantiles[3 * STEPS // 4]


def spread_of(values: Values) -> Spread | None:
    """The spread of an array of shape (units,); None when there is nothing finite in it.

    >>> spread_of(np.arange(21.0)).middle_half
    (5.0, 15.0)
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    found = np.quantile(finite, np.linspace(0, 1, STEPS + 1)).tolist()
    return Spread(int(finite.size), _short(float(finite.mean())), tuple(map(_short, found)))


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
