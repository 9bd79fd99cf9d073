import pytest
from scipy.stats import binom

from pytest_mecheval.stats.proportion import binomial_tail_p, clopper_pearson
from pytest_mecheval.stats.shams import is_vacuous, pass_rate_bounds


@pytest.mark.parametrize(("n", "bound"), [(14, 0.193), (20, 0.139), (59, 0.0495), (299, 0.00997)])
def test_published_certificates(n: int, bound: float) -> None:
    assert clopper_pearson(0, n, alpha=0.05)[1] == pytest.approx(bound, abs=5e-4)
    assert clopper_pearson(n, n, alpha=0.05)[0] == pytest.approx(1 - bound, abs=5e-4)


@pytest.mark.parametrize(("successes", "trials"), [(1, 10), (7, 20), (50, 100), (99, 100)])
def test_bounds_solve_their_defining_equations(successes: int, trials: int) -> None:
    low, high = clopper_pearson(successes, trials, alpha=0.03)
    assert binom.sf(successes - 1, trials, low) == pytest.approx(0.03)
    assert binom.cdf(successes, trials, high) == pytest.approx(0.03)


def test_ends_are_closed() -> None:
    assert clopper_pearson(0, 0, alpha=0.05) == (0.0, 1.0)
    assert clopper_pearson(0, 5, alpha=0.05)[0] == 0.0
    assert clopper_pearson(5, 5, alpha=0.05)[1] == 1.0


def test_tail_matches_the_published_random_circuit_design() -> None:
    assert binomial_tail_p(96, 100, 0.9) == pytest.approx(0.024, abs=5e-4)
    assert binomial_tail_p(95, 100, 0.9) > 0.05
    assert binomial_tail_p(29, 29, 0.9) == pytest.approx(0.9**29)
    assert binomial_tail_p(0, 7, 0.2) == 1.0
    assert binomial_tail_p(3, 9, 0.3) == pytest.approx(binom.sf(2, 9, 0.3))


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    for call in (
        lambda: clopper_pearson(successes, trials, alpha=0.05),
        lambda: binomial_tail_p(successes, trials, 0.5),
        lambda: is_vacuous(successes, trials),
        lambda: pass_rate_bounds(successes, trials),
    ):
        with pytest.raises(ValueError, match=f"{successes} of {trials}"):
            call()
    with pytest.raises(ValueError, match=r"share 1\.5"):
        binomial_tail_p(1, 2, 1.5)


def test_vacuity_needs_six_shams_and_half_of_them() -> None:
    assert not is_vacuous(5, 5)
    assert is_vacuous(3, 6)
    assert not is_vacuous(2, 6)
    assert not is_vacuous(3, 7)
    assert is_vacuous(10, 20)
    assert not is_vacuous(9, 20)
    assert not is_vacuous(0, 0)
    assert pass_rate_bounds(20, 20)[0] == pytest.approx(0.861, abs=5e-4)
    assert pass_rate_bounds(0, 0) == (0.0, 1.0)
