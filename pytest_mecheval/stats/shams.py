"""Can this test fail? What the pass rate of sham claims says about a decision rule (METHODS V01)."""

from pytest_mecheval.stats.proportion import clopper_pearson

MAX_SHAMS = 20
"""Sham claims tried at most: none of 20 passing bounds the rate below 14 %."""

MIN_SHAMS = 6
"""Fewest sham claims from which a rule may be called vacuous."""

VACUOUS_RATE = 0.5
"""A rule that passes this share of sham claims or more says nothing about the real one."""

CERTIFICATE_ALPHA = 0.05
"""Error probability of each bound of the pass rate."""


def pass_rate_bounds(
    passed: int, tried: int, *, alpha: float = CERTIFICATE_ALPHA
) -> tuple[float, float]:
    """Exact one-sided bounds of the rule's pass rate on sham claims; (0, 1) when none was tried.

    >>> [round(bound, 3) for bound in pass_rate_bounds(0, 20)]
    [0.0, 0.139]

    Raises:
        ValueError: counts that do not fit together, or `alpha` out of range.
    """
    return clopper_pearson(passed, tried, alpha=alpha)


def is_vacuous(passed: int, tried: int) -> bool:
    """Whether enough sham claims passed to say that the rule cannot fail.

    >>> is_vacuous(3, 6), is_vacuous(5, 5), is_vacuous(9, 20)
    (True, False, False)

    Raises:
        ValueError: counts that do not fit together.
    """
    if not 0 <= passed <= tried:
        raise ValueError(f"{passed} of {tried}: need 0 <= passed <= tried")
    return tried >= MIN_SHAMS and passed >= VACUOUS_RATE * tried
