import numpy as np
import pytest
from scipy.stats import t

from pytest_mecheval.stats import bootstrap

ALPHA = 0.05


def test_normal_data_give_nearly_student_bounds() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 200)
    half = t.ppf(1 - ALPHA, 199) * values.std(ddof=1) / np.sqrt(200)
    low = bootstrap.lower_bound(values, alpha=ALPHA, seed=1)
    high = bootstrap.upper_bound(values, alpha=ALPHA, seed=1)
    assert low == pytest.approx(values.mean() - half, abs=0.12 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.12 * half)


def test_skew_widens_the_side_of_the_long_tail() -> None:
    values = -np.random.default_rng(0).exponential(1.0, 60)
    low = bootstrap.lower_bound(values, alpha=ALPHA, seed=1)
    high = bootstrap.upper_bound(values, alpha=ALPHA, seed=1)
    assert values.mean() - low > high - values.mean()


def test_agrees_with_resampling_written_out() -> None:
    values = np.array([0.3, 1.2, -0.7, 2.2, 0.1, 0.9, -0.2, 1.7])
    counts = bootstrap._resample_counts(8, 500, 4).astype(int)
    root, studentised = np.sqrt(8), []
    for row in counts:
        drawn = np.repeat(values, row)
        studentised.append((drawn.mean() - values.mean()) / (drawn.std(ddof=1) / root))
    quantile = np.quantile(studentised, 1 - ALPHA, method="higher")
    expected = values.mean() - quantile * values.std(ddof=1) / root
    got = bootstrap.lower_bound(values, alpha=ALPHA, seed=4, resamples=500)
    assert got == pytest.approx(expected, rel=1e-9)


def test_seed_fixes_the_bound() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first = bootstrap.lower_bound(values, alpha=ALPHA, seed=1)
    assert bootstrap.lower_bound(values, alpha=ALPHA, seed=1) == first
    assert bootstrap.lower_bound(values, alpha=ALPHA, seed=2) != first


def test_units_shift_and_scale_the_bound() -> None:
    values = np.random.default_rng(0).normal(size=50)
    bound = bootstrap.lower_bound(values, alpha=ALPHA, seed=1)
    moved = bootstrap.lower_bound(3 * values + 7, alpha=ALPHA, seed=1)
    assert moved == pytest.approx(3 * bound + 7)


def test_constant_and_unusable_values() -> None:
    assert bootstrap.lower_bound(np.full(9, 2.5), alpha=ALPHA, seed=1) == 2.5
    assert bootstrap.lower_bound([0.0, 1.0], alpha=ALPHA, seed=1) == -np.inf
    with pytest.raises(ValueError, match="NaN"):
        bootstrap.lower_bound([0.0, np.nan], alpha=ALPHA, seed=1)
    with pytest.raises(ValueError, match="alpha"):
        bootstrap.upper_bound([0.0, 1.0], alpha=1.5, seed=1)
