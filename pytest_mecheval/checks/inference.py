"""One claim's way of turning arrays into bounds: exact for whole populations, the betting bound otherwise.

Keeps alpha, clipping and the exhaustive case in one place, so that every kind decides alike.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from pytest_mecheval.evidence.decision import Estimate
from pytest_mecheval.evidence.measurement import Values
from pytest_mecheval.stats import betting, controls, exact, power, ratio, threshold
from pytest_mecheval.vocabulary import Metric

ALPHA = 0.01
"""Chance of a wrong SUPPORTED, and of a wrong REFUTED, per claim (DESIGN 12)."""
NUMERIC_GUARD = 2.0
"""A bound this many tolerances from the threshold is not decided (METHODS R07)."""


def clip_for(metric: Metric, clean: Values, counterfactual: Values) -> float:
    """Largest |effect| that counts, fixed on calibration data, metric's unit.

    Shares are bounded by 1. Otherwise twice the larger median score of the two unedited runs, so an
    edit that turns the model's answer fully around is still counted whole (METHODS 2.2).
    """
    if metric in (Metric.ACCURACY, Metric.PROB):
        return 1.0
    return max(
        threshold.clip_bound(clean, counterfactual=counterfactual),
        threshold.clip_bound(counterfactual),
    )


def damage(metric: Metric, before: Values, after: Values) -> Values:
    """How much worse each prompt got, metric's unit; negative means better."""
    change = before - after
    return -change if metric.lower_is_better else change


@dataclass(frozen=True, slots=True)
class Inference:
    """Bounds and p-values for means of per-unit values."""

    clip: float
    """Values are clipped to plus or minus this before betting."""
    exhaustive: bool = False
    """The units are all there are: bounds equal the mean."""
    tolerance: float = 0.0
    """Numeric deviation of the measuring paths."""
    reach: float = 0.0
    """Largest constant threshold a claim states, metric's unit; 0 when it states none."""

    @property
    def for_margins(self) -> "Inference":
        """The same with a clip at least twice the stated threshold, so that no margin is tested at the edge.

        Only margins need it: a clip widened for an absurd threshold could not even show that the
        model does the task, and the claim would escape as not testable.
        """
        return replace(self, clip=max(self.clip, threshold.THRESHOLD_FACTOR * abs(self.reach)))

    def lower(self, values: Values, alpha: float = ALPHA) -> float:
        """The mean lies below this with probability at most alpha."""
        if self.exhaustive:
            return exact.mean(values)
        return betting.lower_bound(values, alpha=alpha, clip=self.clip)

    def upper(self, values: Values, alpha: float = ALPHA) -> float:
        """The mean lies above this with probability at most alpha."""
        if self.exhaustive:
            return exact.mean(values)
        return betting.upper_bound(values, alpha=alpha, clip=self.clip)

    def p_above(self, values: Values, bound: float) -> float:
        """P-value against `mean <= bound`; 0 or 1 for a whole population."""
        if self.exhaustive:
            return exact.p_above(values, bound)
        return betting.p_above(values, bound, clip=self.clip)

    def exceeds(self, values: Values, limit: float, alpha: float = ALPHA) -> bool:
        """Whether the lower bound lies above the limit; the same as `lower(...) > limit`, without the search."""
        return self.p_above(values, limit) <= alpha

    def falls_below(self, values: Values, limit: float, alpha: float = ALPHA) -> bool:
        """Whether the upper bound lies below the limit."""
        return self.p_above(-values, -limit) <= alpha

    def detectable(self, values: Values) -> float:
        """Distance from a threshold that this many prompts of this spread show in 4 of 5 runs (V06)."""
        spread = float(np.std(values, ddof=1))
        return power.smallest_detectable_by_betting(
            spread, values.size, alpha=ALPHA, clip=self.clip
        )

    @property
    def guard(self) -> float:
        """How far beyond a limit a bound must lie for the numbers not to be noise."""
        return NUMERIC_GUARD * self.tolerance

    def estimate(self, values: Values, unit: str, alpha: float = ALPHA) -> Estimate:
        """Mean with its one-sided bounds."""
        if self.exhaustive:
            mean = exact.mean(values)
            return Estimate(mean, mean, mean, alpha, values.size, unit, "whole population")
        clipped = float(np.clip(values, -self.clip, self.clip).mean())
        lower, upper = self.lower(values, alpha), self.upper(values, alpha)
        method = f"betting, clipped at ±{self.clip:.3g}"
        return Estimate(clipped, lower, upper, alpha, values.size, unit, method)

    def share(self, part: Values, whole: Values, alpha: float = ALPHA) -> Estimate:
        """Ratio of means part / whole with bounds from the paired margin part - t * whole.

        The whole's mean is positive: callers have shown the behaviour first.
        """
        value = ratio.ratio_of_means(part, whole)
        if self.exhaustive:
            return Estimate(value, value, value, alpha, part.size, "", "whole population")
        bounds = ratio.ratio_bounds(part, whole, alpha=alpha, clip=self.clip)
        lower, upper = (bounds.lower, bounds.upper) if bounds else (-math.inf, math.inf)
        method = f"ratio of means, betting, margins clipped at ±{self.clip:.3g}"
        return Estimate(value, lower, upper, alpha, part.size, "", method)

    def dominance_p(self, claimed: Values, others: Values) -> float:
        """P-value for the claimed mean exceeding every |row mean| (intersection-union).

        Args:
            claimed: Shape (units,).
            others: Control effects, shape (controls, units).
        """
        if self.exhaustive:
            return 0.0 if bool((np.abs(others.mean(axis=1)) < claimed.mean()).all()) else 1.0
        return controls.dominance_p(claimed, controls.both_signs(others), clip=self.clip)

    def beats_claim_p(self, claimed: Values, others: Values, share: float) -> Values:
        """P-values for controls whose |mean| exceeds `share` of the claimed mean, both signs of each."""
        if self.exhaustive:
            beaten = np.abs(others.mean(axis=1)) > share * claimed.mean()
            return np.where(beaten, 0.0, 1.0)
        return controls.beats_claim_p(
            claimed, controls.both_signs(others), share=share, clip=self.clip
        )
