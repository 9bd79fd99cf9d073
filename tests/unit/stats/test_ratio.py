import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.stats.ratio import (
    RatioBounds,
    denominator_sign,
    ratio_bounds,
    ratio_of_means,
    ratio_p_above,
    ratio_p_below,
)

ALPHA = 0.01
CLIP = 8.0


def pair(ratio: float, *, mean: float = 4.0, sd: float = 1.0, noise: float = 0.3, seed: int = 0):
    rng = np.random.default_rng(seed)
    denominator = rng.normal(mean, sd, 256)
    return ratio * denominator + rng.normal(0, noise, 256), denominator


def bounds(numerator: np.ndarray, denominator: np.ndarray) -> RatioBounds:
    found = ratio_bounds(numerator, denominator, alpha=ALPHA, clip=CLIP)
    assert found is not None
    return found


def test_ratio_of_means_is_not_the_mean_of_ratios() -> None:
    assert ratio_of_means([1.0, 1.0], [1.0, 0.1]) == pytest.approx(2 / 1.1)
    with pytest.raises(ValueError, match="mean is 0"):
        ratio_of_means([1.0, 1.0], [1.0, -1.0])


def test_bounds_enclose_the_estimate_closely() -> None:
    found = bounds(*pair(0.87))
    assert found.lower < 0.87 < found.upper
    assert found.lower < found.estimate < found.upper
    assert found.upper - found.lower < 0.1


def test_pairing_removes_the_spread_of_the_denominator() -> None:
    numerator, denominator = pair(0.87, sd=2.0, noise=0.1)
    paired = bounds(numerator, denominator)
    unpaired = bounds(np.random.default_rng(9).permutation(numerator), denominator)
    assert paired.upper - paired.lower < 0.5 * (unpaired.upper - unpaired.lower)


def test_bounds_and_p_values_say_the_same() -> None:
    numerator, denominator = pair(0.6)
    found = bounds(numerator, denominator)
    for shift in (-0.01, 0.01):
        p = ratio_p_above(numerator, denominator, found.lower + shift, clip=CLIP)
        assert (p <= ALPHA) == (shift < 0)
        p = ratio_p_below(numerator, denominator, found.upper + shift, clip=CLIP)
        assert (p <= ALPHA) == (shift > 0)


def test_a_negative_denominator_turns_the_comparison() -> None:
    numerator, denominator = pair(0.87)
    assert denominator_sign(denominator, alpha=ALPHA, clip=CLIP) == 1
    assert denominator_sign(-denominator, alpha=ALPHA, clip=CLIP) == -1
    assert bounds(-numerator, -denominator) == bounds(numerator, denominator)
    kept = ratio_p_above(numerator, denominator, 0.7, clip=CLIP)
    assert ratio_p_above(-numerator, -denominator, 0.7, clip=CLIP, sign=-1) == kept < ALPHA


def test_a_denominator_that_may_be_zero_has_no_ratio() -> None:
    numerator, _ = pair(0.87)
    noise = np.random.default_rng(1).normal(0, 1, 256)
    assert denominator_sign(noise, alpha=ALPHA, clip=CLIP) == 0
    assert ratio_bounds(numerator, noise, alpha=ALPHA, clip=CLIP) is None
    with pytest.raises(ValueError, match="sign 0"):
        ratio_p_above(numerator, noise, 0.5, clip=CLIP, sign=0)


def test_single_negative_denominators_leave_the_ratio_bounded() -> None:
    denominator = np.where(np.arange(256) % 2 == 0, 4.0, -0.5)
    found = bounds(0.5 * denominator, denominator)
    assert -1 < found.lower < 0.5 < found.upper < 2


def test_an_unbounded_ratio_is_infinite_not_large() -> None:
    numerator = np.where(np.arange(256) % 2 == 0, 1e9, -1e9)
    assert bounds(numerator, np.ones(256)) == RatioBounds(0.0, -np.inf, np.inf)


def test_unequal_units_are_refused() -> None:
    with pytest.raises(ValueError, match="same units"):
        ratio_bounds([1.0, 2.0], [1.0, 2.0, 3.0], alpha=ALPHA, clip=CLIP)


@settings(deadline=None, max_examples=30)
@given(st.floats(-3, 3), st.integers(0, 10**6))
def test_a_noise_free_ratio_lies_within_its_bounds(ratio: float, seed: int) -> None:
    numerator, denominator = pair(ratio, noise=0.0, seed=seed)
    found = bounds(numerator, denominator)
    assert found.lower <= ratio + 1e-9
    assert found.upper >= ratio - 1e-9
    assert found.upper - found.lower < 0.1 * max(1.0, abs(ratio))
