import numpy as np
import pytest

from pytest_mecheval.stats.betting import p_above, p_below
from pytest_mecheval.stats.equivalence import outside_p, tost_p

CLIP = 4.0


def values(mean: float, sd: float = 0.2, n: int = 256) -> np.ndarray:
    return np.random.default_rng(round(1000 * mean) + 10**6).normal(mean, sd, n)


def test_small_effects_are_equivalent_and_large_ones_are_outside() -> None:
    assert tost_p(values(0.0), 0.4, clip=CLIP) < 0.01
    assert outside_p(values(0.0), 0.4, clip=CLIP) == 1.0
    for mean in (1.0, -1.0):
        assert tost_p(values(mean), 0.4, clip=CLIP) == 1.0
        assert outside_p(values(mean), 0.4, clip=CLIP) < 0.01


def test_noise_is_no_support_for_a_negative_claim() -> None:
    noisy = values(0.0, sd=2.0, n=32)
    assert tost_p(noisy, 0.4, clip=CLIP) > 0.01
    assert outside_p(noisy, 0.4, clip=CLIP) > 0.01


def test_both_sides_are_tested() -> None:
    sample = values(0.3)
    above, below = p_above(sample, -0.4, clip=CLIP), p_below(sample, 0.4, clip=CLIP)
    assert above < below
    assert tost_p(sample, 0.4, clip=CLIP) == below
    assert tost_p(-sample, 0.4, clip=CLIP) == below
    assert outside_p(sample, 0.2, clip=CLIP) == min(1.0, 2 * p_above(sample, 0.2, clip=CLIP))


@pytest.mark.parametrize("margin", [0.0, -1.0, np.nan])
def test_a_margin_must_be_positive(margin: float) -> None:
    for test in (tost_p, outside_p):
        with pytest.raises(ValueError, match="margin"):
            test(values(0.0), margin, clip=CLIP)
