import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_mecheval.stats import betting
from pytest_mecheval.stats.betting import lower_bound, p_above, p_below, upper_bound

ALPHA = 0.01
CLIP = 1.0
INNER = 0.5
"""Values drawn within +-INNER stay unclipped when shifted by up to INNER."""

samples = arrays(np.float64, st.integers(2, 60), elements=st.floats(-INNER, INNER, width=32))
shifts = st.floats(0, INNER, width=32)


def test_capital_equals_the_formula_written_as_a_loop() -> None:
    values = np.random.default_rng(3).normal(0.4, 0.8, 40)
    clip, threshold = 1.5, 0.1
    x = [(min(max(v / clip, -1), 1) + 1) / 2 for v in values]
    m = (threshold / clip + 1) / 2
    capital, best = 1.0, 1.0
    for i, value in enumerate(x):
        past = x[:i]
        squares = sum((y - sum(past) / i) ** 2 for y in past) if i else 0.0
        variance = (0.25 + squares) / (1 + i)
        bet = min(math.sqrt(2 * math.log(100) / (len(x) * variance)), 0.9 / m)
        capital *= 1 + bet * (value - m)
        best = max(best, capital)
    assert best > 10  # the example is one where something is won
    assert p_above(values, threshold, clip=clip) == pytest.approx(1 / best, rel=1e-9)


def test_bounds_of_constant_values_are_narrow_at_n_256() -> None:
    values = np.zeros(256)
    lower = lower_bound(values, alpha=ALPHA, clip=CLIP)
    upper = upper_bound(values, alpha=ALPHA, clip=CLIP)
    assert lower < 0 < upper
    assert upper - lower <= 0.08 * CLIP


def test_constant_values_leave_open_what_256_of_them_cannot_exclude() -> None:
    # A share q of unseen values at -clip survives n draws with probability (1 - q)^n; no valid lower bound
    # of values that are all 0 lies above -q for (1 - q)^n = alpha.
    q = 1 - ALPHA ** (1 / 256)
    assert lower_bound(np.zeros(256), alpha=ALPHA, clip=CLIP) < -q


def test_bounds_enclose_the_mean_of_ordinary_data_and_shrink_with_n() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for n in (16, 64, 256, 1024):
        values = rng.normal(0.3, 0.2, n)
        low = lower_bound(values, alpha=ALPHA, clip=CLIP)
        high = upper_bound(values, alpha=ALPHA, clip=CLIP)
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


def test_a_value_exactly_at_the_threshold_wins_nothing() -> None:
    values = np.full(50, 0.3)
    assert p_above(values, 0.3, clip=0.7) == 1.0
    assert p_below(values, 0.3, clip=0.7) == 1.0


@pytest.mark.parametrize(
    ("threshold", "above", "below"), [(5.0, 1.0, 0.0), (1.0, 1.0, 0.0), (-5.0, 0.0, 1.0)]
)
def test_thresholds_at_or_beyond_the_range(threshold: float, above: float, below: float) -> None:
    values = np.random.default_rng(1).normal(0, 0.2, 200)
    assert p_above(values, threshold, clip=CLIP) == pytest.approx(above, abs=1e-6)
    assert p_below(values, threshold, clip=CLIP) == pytest.approx(below, abs=1e-6)


def test_no_p_value_is_zero_and_all_values_at_the_end_prove_nothing_beyond_it() -> None:
    assert 0 < p_above(np.ones(64), -1.0, clip=CLIP) < ALPHA
    assert p_above(np.full(64, -1.0), -1.0, clip=CLIP) == 1.0
    assert lower_bound(np.full(64, -1.0), alpha=ALPHA, clip=CLIP) == -1.0


def test_rows_give_what_single_samples_give() -> None:
    rows = np.random.default_rng(2).normal(0.1, 0.5, (7, 90))
    p = betting.p_above_each(rows, 0.05, clip=CLIP)
    low = betting.lower_bound_each(rows, alpha=ALPHA, clip=CLIP)
    high = betting.upper_bound_each(rows, alpha=ALPHA, clip=CLIP)
    for row, each_p, each_low, each_high in zip(rows, p, low, high, strict=True):
        assert each_p == p_above(row, 0.05, clip=CLIP)
        assert each_low == lower_bound(row, alpha=ALPHA, clip=CLIP)
        assert each_high == upper_bound(row, alpha=ALPHA, clip=CLIP)
    assert betting.p_above_each(np.empty((0, 10)), 0.0, clip=CLIP).shape == (0,)


def test_clipping_is_reported_and_is_what_is_tested() -> None:
    values = [4.0, 0.0, 0.0, -1.0]
    assert betting.clipped_share(values, clip=1.0) == 0.25
    assert betting.clipped_mean(values, clip=1.0) == 0.0
    cut = np.clip(values, -1.0, 1.0)
    assert p_above(values, -0.5, clip=1.0) == p_above(cut, -0.5, clip=1.0)


@pytest.mark.parametrize(
    ("values", "clip", "complaint"),
    [
        ([1.0], 1.0, "1 unit"),
        ([], 1.0, "0 unit"),
        ([1.0, math.nan], 1.0, "NaN or infinite"),
        ([1.0, math.inf, -math.inf], 1.0, "2 value"),
        ([[1.0, 2.0]], 1.0, "one axis"),
        ([1.0, 2.0], 0.0, "clip 0"),
        ([1.0, 2.0], -1.0, "clip -1"),
        ([1.0, 2.0], math.inf, "clip inf"),
    ],
)
def test_unusable_input_is_refused(values: list[float], clip: float, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        p_above(values, 0.0, clip=clip)
    with pytest.raises(ValueError, match=complaint):
        p_below(values, 0.0, clip=clip)
    with pytest.raises(ValueError, match=complaint):
        lower_bound(values, alpha=ALPHA, clip=clip)
    with pytest.raises(ValueError, match=complaint):
        upper_bound(values, alpha=ALPHA, clip=clip)


def test_alpha_and_threshold_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha 0"):
        lower_bound([0.0, 1.0], alpha=0.0, clip=CLIP)
    with pytest.raises(ValueError, match="alpha 1"):
        upper_bound([0.0, 1.0], alpha=1.0, clip=CLIP)
    with pytest.raises(ValueError, match="threshold nan"):
        p_above([0.0, 1.0], math.nan, clip=CLIP)
    with pytest.raises(ValueError, match=r"need \(rows, units\)"):
        betting.p_above_each([0.0, 1.0], 0.0, clip=CLIP)


@settings(deadline=None)
@given(samples, shifts)
def test_shifting_unclipped_values_up_never_lowers_a_bound(
    values: np.ndarray, shift: float
) -> None:
    slack = 1e-9
    before = lower_bound(values, alpha=ALPHA, clip=CLIP)
    assert lower_bound(values + shift, alpha=ALPHA, clip=CLIP) >= before - slack
    before = upper_bound(values, alpha=ALPHA, clip=CLIP)
    assert upper_bound(values + shift, alpha=ALPHA, clip=CLIP) >= before - slack


@settings(deadline=None)
@given(samples, st.floats(-1, 1), st.floats(0, 1))
def test_p_never_falls_when_the_threshold_rises(
    values: np.ndarray, threshold: float, step: float
) -> None:
    low = p_above(values, threshold, clip=CLIP)
    assert p_above(values, threshold + step, clip=CLIP) >= low * (1 - 1e-9)


@settings(deadline=None)
@given(samples, st.integers(-20, 20))
def test_units_do_not_matter(values: np.ndarray, power: int) -> None:
    scale = 2.0**power  # exact in binary, so equality is exact
    assert lower_bound(values * scale, alpha=ALPHA, clip=CLIP * scale) == scale * lower_bound(
        values, alpha=ALPHA, clip=CLIP
    )
    assert p_below(values * scale, 0.25 * scale, clip=CLIP * scale) == p_below(
        values, 0.25, clip=CLIP
    )


@settings(deadline=None)
@given(samples, st.floats(-0.9, 0.9))
def test_bound_and_p_value_say_the_same(values: np.ndarray, threshold: float) -> None:
    low = lower_bound(values, alpha=ALPHA, clip=CLIP)
    p = p_above(values, threshold, clip=CLIP)
    if abs(low - threshold) > 1e-9:
        assert (low > threshold) == (p <= ALPHA)
    assert -CLIP <= low <= CLIP


@settings(deadline=None)
@given(samples)
def test_directions_mirror_each_other(values: np.ndarray) -> None:
    assert upper_bound(values, alpha=ALPHA, clip=CLIP) == -lower_bound(
        -values, alpha=ALPHA, clip=CLIP
    )
    assert p_below(values, 0.1, clip=CLIP) == p_above(-values, -0.1, clip=CLIP)
