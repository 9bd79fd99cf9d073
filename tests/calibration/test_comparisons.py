"""Size and power of the comparisons with controls, of ratios, and of corrections for many hypotheses."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, norm

from pytest_mecheval.stats.controls import beats_claim_p, both_signs, dominance_p, rank_p
from pytest_mecheval.stats.family import holm_rejects
from pytest_mecheval.stats.proportion import binomial_tail_p, clopper_pearson
from pytest_mecheval.stats.ratio import ratio_bounds, ratio_p_above, ratio_p_below

pytestmark = pytest.mark.calibration

N = 256
ALPHA = 0.01
CLIP = 8.0
CONTROLS = 11
"""The other heads of a 12-head layer, where a rank test can never support."""

AtMost = Callable[[float, int], float]


def shared_noise(
    rng: np.random.Generator, means: np.ndarray, *, common: float = 0.7, own: float = 0.7
) -> np.ndarray:
    """Effects of several components on the same inputs, shape (components, N): inputs differ for all."""
    return (
        means[:, np.newaxis] + common * rng.normal(size=N) + own * rng.normal(size=(means.size, N))
    )


@pytest.mark.parametrize("sign", [1, -1], ids=["same direction", "opposite direction"])
@pytest.mark.parametrize("tied", [1, CONTROLS], ids=["one tie", "all tied"])
def test_a_tie_is_rarely_called_dominance(sign: int, tied: int, at_most: AtMost) -> None:
    repetitions, rng = 4_000, np.random.default_rng(1)
    means = np.full(1 + CONTROLS, 0.1)
    means[0], means[1 : 1 + tied] = 2.0, sign * 2.0
    passed = 0
    for _ in range(repetitions):
        claimed, *controls = shared_noise(rng, means)
        passed += dominance_p(claimed, both_signs(np.stack(controls)), clip=CLIP) <= ALPHA
    assert passed / repetitions <= at_most(ALPHA, repetitions)


def test_a_special_component_dominates() -> None:
    repetitions, rng = 500, np.random.default_rng(2)
    means = np.concatenate([[2.0], np.linspace(-0.5, 1.2, CONTROLS)])
    passed = 0
    for _ in range(repetitions):
        claimed, *controls = shared_noise(rng, means)
        passed += dominance_p(claimed, both_signs(np.stack(controls)), clip=CLIP) <= ALPHA
    assert passed / repetitions >= 0.95


def test_controls_just_below_the_share_are_rarely_called_rivals(at_most: AtMost) -> None:
    repetitions, rng = 4_000, np.random.default_rng(3)
    means = np.concatenate([[2.0], np.full(CONTROLS, 0.9 * 2.0)])
    wrong = 0
    for _ in range(repetitions):
        claimed, *controls = shared_noise(rng, means)
        p = beats_claim_p(claimed, np.stack(controls), clip=CLIP)
        wrong += holm_rejects(p, ALPHA).any()
    assert wrong / repetitions <= at_most(ALPHA, repetitions)


def test_one_equal_among_weak_controls_is_found_as_a_rival_with_enough_contrast() -> None:
    repetitions, rng = 500, np.random.default_rng(4)
    means = np.concatenate([[4.0, 4.2], np.full(CONTROLS - 1, 0.1)])
    found = 0
    for _ in range(repetitions):
        claimed, *controls = shared_noise(rng, means)
        rivals = holm_rejects(beats_claim_p(claimed, np.stack(controls), clip=CLIP), ALPHA)
        found += rivals[0]
        assert not rivals[1:].any()
    assert found / repetitions >= 0.95


@pytest.mark.parametrize("decimals", [12, 1], ids=["continuous", "with ties"])
def test_a_component_like_any_other_ranks_first_as_often_as_promised(
    decimals: int, at_most: AtMost
) -> None:
    repetitions, rng = 20_000, np.random.default_rng(5)
    statistics = rng.standard_normal((repetitions, 100)).round(decimals)
    p = np.array([rank_p(row[0], row[1:]) for row in statistics])
    for level in (0.01, 0.05):
        rate = np.mean(p <= level)
        assert rate <= at_most(level, repetitions)
        if decimals > 1:  # without ties the test is exact, not conservative
            assert rate >= 2 * level - at_most(level, repetitions)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
@pytest.mark.parametrize("true_effects", [0, 5])
def test_holm_keeps_the_family_wise_error(
    correlation: float, true_effects: int, at_most: AtMost
) -> None:
    repetitions, hypotheses, level, rng = 5_000, 20, 0.05, np.random.default_rng(6)
    common = rng.standard_normal((repetitions, 1))
    z = np.sqrt(correlation) * common
    z = z + np.sqrt(1 - correlation) * rng.standard_normal((repetitions, hypotheses))
    z[:, :true_effects] += 5.0
    rejected = np.array([holm_rejects(row, level) for row in norm.sf(z)])
    wrong = rejected[:, true_effects:].any(axis=1).mean()
    assert wrong <= at_most(level, repetitions)
    if true_effects:
        assert rejected[:, :true_effects].mean() >= 0.9


@pytest.mark.parametrize("trials", [1, 6, 20, 59, 256])
def test_clopper_pearson_covers_every_share(trials: int) -> None:
    # By enumeration of all outcomes: no simulation, no tolerance beyond rounding.
    alpha = 0.05
    counts = np.arange(trials + 1)
    low, high = np.array([clopper_pearson(int(k), trials, alpha=alpha) for k in counts]).T
    for share in np.linspace(0.0, 1.0, 501):
        weight = binom.pmf(counts, trials, share)
        assert weight[low > share].sum() <= alpha + 1e-12
        assert weight[high < share].sum() <= alpha + 1e-12


@pytest.mark.parametrize("trials", [20, 100])
def test_binomial_tail_has_its_size_at_the_boundary(trials: int) -> None:
    counts = np.arange(trials + 1)
    p = np.array([binomial_tail_p(int(k), trials, 0.9) for k in counts])
    for level in (0.01, 0.05, 0.2):
        assert binom.pmf(counts, trials, 0.9)[p <= level].sum() <= level + 1e-12


@pytest.mark.parametrize(
    ("ratio", "sd"), [(0.87, 1.0), (0.87, 3.0), (0.0, 1.0), (-0.5, 1.0), (2.5, 1.0)]
)
def test_a_ratio_at_its_threshold_is_rarely_called_above_or_below(
    ratio: float, sd: float, at_most: AtMost
) -> None:
    repetitions, rng = 3_000, np.random.default_rng(7)
    above = below = 0
    for _ in range(repetitions):
        denominator = rng.normal(4.0, sd, N)
        numerator = ratio * denominator + 0.5 - rng.exponential(0.5, N)
        above += ratio_p_above(numerator, denominator, ratio, clip=CLIP) <= ALPHA
        below += ratio_p_below(numerator, denominator, ratio, clip=CLIP) <= ALPHA
    assert above / repetitions <= at_most(ALPHA, repetitions)
    assert below / repetitions <= at_most(ALPHA, repetitions)


def test_ratio_bounds_miss_the_ratio_as_rarely_as_the_test_they_invert(at_most: AtMost) -> None:
    # At alpha = .2 a few hundred repetitions suffice to see an anti-conservative search.
    repetitions, alpha, ratio, rng = 300, 0.2, 0.87, np.random.default_rng(8)
    too_high = too_low = 0
    for _ in range(repetitions):
        denominator = rng.normal(2.0, 2.0, N)  # a sixth of the denominators are negative
        numerator = ratio * denominator + rng.normal(0.0, 0.7, N)
        found = ratio_bounds(numerator, denominator, alpha=alpha, clip=CLIP)
        assert found is not None
        too_high += found.lower > ratio
        too_low += found.upper < ratio
    assert too_high / repetitions <= at_most(alpha, repetitions)
    assert too_low / repetitions <= at_most(alpha, repetitions)


def test_faithfulness_close_to_the_stated_value_is_confirmed() -> None:
    repetitions, rng = 300, np.random.default_rng(9)
    confirmed = 0
    for _ in range(repetitions):
        denominator = rng.normal(4.0, 1.0, N)
        numerator = 0.87 * denominator + rng.normal(0.0, 0.5, N)
        confirmed += ratio_p_above(numerator, denominator, 0.8, clip=CLIP) <= ALPHA
    assert confirmed / repetitions >= 0.95
