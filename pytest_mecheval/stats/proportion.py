"""Shares of yes/no outcomes: exact bounds and exact tail probabilities of the binomial.

scipy is imported where it is used: that takes longer than most runs spend on statistics.
"""

from pytest_mecheval.stats.samples import check_alpha


def clopper_pearson(successes: int, trials: int, *, alpha: float) -> tuple[float, float]:
    """Exact one-sided bounds of a share, each wrong with probability at most `alpha`.

    Together they are a 1 - 2 alpha interval.

    Args:
        successes: number of yes outcomes.
        trials: number of independent outcomes; 0 gives (0, 1).
        alpha: error probability on each side.

    Raises:
        ValueError: counts that do not fit together, or `alpha` out of range.

    Source: Clopper & Pearson 1934, Biometrika 26, 404-413 (beta quantile form).

    >>> low, high = clopper_pearson(0, 14, alpha=0.05)
    >>> low, round(high, 3)
    (0.0, 0.193)
    """
    _check(successes, trials)
    check_alpha(alpha)
    from scipy.special import betaincinv

    low = float(betaincinv(successes, trials - successes + 1, alpha)) if successes else 0.0
    misses = trials - successes
    high = float(betaincinv(successes + 1, misses, 1 - alpha)) if misses else 1.0
    return low, high


def binomial_tail_p(successes: int, trials: int, share: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, share): p-value against "at most `share` succeed".

    Args:
        successes: number of yes outcomes.
        trials: number of independent outcomes.
        share: largest share under the hypothesis.

    Raises:
        ValueError: counts that do not fit together, or `share` outside [0, 1].

    >>> round(binomial_tail_p(96, 100, 0.9), 3)
    0.024
    """
    _check(successes, trials)
    if not 0 <= share <= 1:
        raise ValueError(f"share {share:g}: need a number from 0 to 1")
    # bdtrc is P(X > k); scipy.stats would say the same and costs most of a second to import.
    from scipy.special import bdtrc

    return float(bdtrc(successes - 1, trials, share)) if successes else 1.0


def _check(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials}: need 0 <= successes <= trials")
