"""Which claim a reader should look at first: main claims, then by verdict, then by how far off they are."""

import math
from collections.abc import Iterable

from pytest_mecheval.report.outcome import Outcome, State
from pytest_mecheval.vocabulary import Verdict

WORST_FIRST = (
    Verdict.REFUTED,
    Verdict.VACUOUS,
    State.ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_TESTABLE,
    State.NOT_RUN,
    Verdict.SUPPORTED,
)
FELL = frozenset({Verdict.REFUTED, Verdict.VACUOUS, Verdict.INCONCLUSIVE, State.ERROR})
"""What a reader must know about before anything else."""


def standing(outcome: Outcome) -> Verdict | State:
    """The verdict, or how far the claim came without one."""
    return outcome.decision.verdict if outcome.decision else outcome.state


def worst_first(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Failures before the rest; among failures main claims first, then verdict, then distance, then id."""
    return sorted(outcomes, key=_rank)


def _rank(outcome: Outcome) -> tuple[bool, bool, int, float, str]:
    word = standing(outcome)
    fell = word in FELL
    return (
        not fell,
        not (fell and outcome.headline),
        WORST_FIRST.index(word),
        -shortfall(outcome) if fell else 0.0,
        outcome.claim,
    )


def shortfall(outcome: Outcome) -> float:
    """How far the estimate lies from its threshold, as a share of the threshold; 0 where there is none."""
    decision = outcome.decision
    if decision is None or decision.estimate is None or not decision.threshold:
        return 0.0
    off = abs(decision.estimate.value - decision.threshold) / abs(decision.threshold)
    return off if math.isfinite(off) else 0.0
