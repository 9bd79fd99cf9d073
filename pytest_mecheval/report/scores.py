"""The numbers over all claims of a bundle: scores per dimension, coverage, the family-wise statement.

Shares of counted verdicts with exact intervals; nobody's opinion enters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_mecheval.report.outcome import Outcome
from pytest_mecheval.stats.family import holm
from pytest_mecheval.vocabulary import Dimension, Verdict

LEVEL = 0.95
"""Two-sided level of the interval of a dimension score."""
FAMILY_ALPHA = 0.05
"""Level at which Holm's procedure holds over all claims of a bundle (DESIGN section 12)."""


@dataclass(frozen=True, slots=True)
class Score:
    """Share of SUPPORTED claims among the tested ones of one dimension."""

    dimension: Dimension
    supported: int
    decided: int
    """Claims with a verdict other than NOT_TESTABLE; INCONCLUSIVE counts as not supported."""
    lower: float
    upper: float
    """Clopper-Pearson interval; 0 and 1 when nothing was decided."""
    level: float = LEVEL

    @property
    def share(self) -> float | None:
        """Supported over decided; None when nothing was decided."""
        return self.supported / self.decided if self.decided else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what the bundle states was tested at all."""

    tested: int
    stated: int

    @property
    def share(self) -> float | None:
        """Tested over stated; None when the bundle states nothing."""
        return self.tested / self.stated if self.stated else None


@dataclass(frozen=True)
class Family:
    """Which claims stay supported when all claims of the bundle are taken as one family."""

    alpha: float
    adjusted: Mapping[str, float]
    """Holm-adjusted p-value by claim id, for every claim that has a p-value."""
    supported: tuple[str, ...]
    """SUPPORTED claims whose adjusted p-value is at most alpha."""
    not_supported: tuple[str, ...]
    """SUPPORTED claims with a p-value that do not survive the adjustment."""

    @property
    def sentence(self) -> str:
        """The statement as one sentence."""
        candidates = len(self.supported) + len(self.not_supported)
        if not candidates:
            return "no supported claim has a p-value, so there is no family-wise statement"
        text = (
            f"{len(self.supported)} of {candidates} supported claims with a p-value stay supported "
            f"at family level {self.alpha:g} (Holm over {len(self.adjusted)} p-values)"
        )
        return f"{text}; not: {', '.join(self.not_supported)}" if self.not_supported else text


def dimension_scores(outcomes: Iterable[Outcome]) -> tuple[Score, ...]:
    """One score per dimension, in the order coherence, reproducibility, generalizability."""
    counts = {dimension: [0, 0] for dimension in Dimension}
    for outcome in outcomes:
        if outcome.decision is None or not outcome.tested:
            continue
        counts[outcome.dimension][0] += outcome.decision.verdict is Verdict.SUPPORTED
        counts[outcome.dimension][1] += 1
    # Imported here: scipy's distributions take longer to import than pytest takes to start.
    from pytest_mecheval.stats.proportion import clopper_pearson

    tail = (1 - LEVEL) / 2
    return tuple(
        Score(dimension, supported, decided, *clopper_pearson(supported, decided, alpha=tail))
        for dimension, (supported, decided) in counts.items()
    )


def coverage(outcomes: Iterable[Outcome], untested: int = 0) -> Coverage:
    """Tested over stated findings.

    Args:
        outcomes: every claim of the claim file, run or not.
        untested: what is stated beside them: listed as not testable, plan steps without a check.
    """
    listed = list(outcomes)
    return Coverage(sum(outcome.tested for outcome in listed), len(listed) + untested)


def family(outcomes: Iterable[Outcome], alpha: float = FAMILY_ALPHA) -> Family:
    """Holm's step-down procedure over all claims that come with a p-value.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure; valid under any
    dependence, which matters because claims share data.
    """
    found = {
        outcome.claim: (outcome.decision.p_value, outcome.decision.verdict)
        for outcome in sorted(outcomes, key=lambda outcome: outcome.claim)
        if outcome.decision is not None
    }
    # A p-value that is not a number is no evidence at all.
    p_values = {
        claim: p if 0 <= p <= 1 else 1.0 for claim, (p, _) in found.items() if p is not None
    }
    adjusted = dict(zip(p_values, holm(list(p_values.values())).tolist(), strict=True))
    supported = [claim for claim in adjusted if found[claim][1] is Verdict.SUPPORTED]
    kept = tuple(claim for claim in supported if adjusted[claim] <= alpha)
    lost = tuple(claim for claim in supported if claim not in kept)
    return Family(alpha, adjusted, kept, lost)
