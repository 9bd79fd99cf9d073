import numpy as np
import pytest

from pytest_mecheval.stats.threshold import FALLBACK_CLIP, clip_bound, default_delta, metric_range

CLEAN = np.array([3.0, 4.0, 5.0])
COUNTERFACTUAL = np.array([-1.0, 0.0, 1.0])


def test_range_is_a_distance_of_means() -> None:
    assert metric_range(CLEAN, COUNTERFACTUAL) == 4.0
    assert metric_range(COUNTERFACTUAL, CLEAN) == 4.0


def test_delta_is_the_larger_of_range_share_and_control_quantile() -> None:
    assert default_delta(CLEAN, COUNTERFACTUAL, []) == pytest.approx(0.4)
    assert default_delta(CLEAN, COUNTERFACTUAL, [0.1, -0.1]) == pytest.approx(0.4)
    assert default_delta(CLEAN, COUNTERFACTUAL, [-2.0] * 9) == pytest.approx(2.0)
    controls = np.linspace(0.0, 1.0, 21)
    assert default_delta(CLEAN, COUNTERFACTUAL, controls) == pytest.approx(0.95)
    assert default_delta(CLEAN, COUNTERFACTUAL, -controls) == pytest.approx(0.95)


def test_delta_refuses_controls_without_a_mean() -> None:
    with pytest.raises(ValueError, match="one finite mean"):
        default_delta(CLEAN, COUNTERFACTUAL, [np.nan])
    with pytest.raises(ValueError, match="one finite mean"):
        default_delta(CLEAN, COUNTERFACTUAL, [[1.0, 2.0]])
    with pytest.raises(ValueError, match="counterfactual: 1 unit"):
        default_delta(CLEAN, [1.0], [])


def test_clip_is_twice_the_median_and_only_ever_raised() -> None:
    assert clip_bound(CLEAN) == 8.0
    assert clip_bound(-CLEAN) == 8.0
    assert clip_bound([1.0, 1.0, 9.0]) == 9.0
    assert clip_bound(CLEAN, counterfactual=[-10.0, -10.0]) == 14.0
    assert clip_bound(CLEAN, counterfactual=COUNTERFACTUAL) == 8.0
    assert clip_bound(CLEAN, threshold=6.0) == 12.0
    assert clip_bound(CLEAN, threshold=-6.0) == 12.0


def test_clip_is_never_zero() -> None:
    assert clip_bound([0.0, 0.0, 0.0]) == FALLBACK_CLIP
    assert clip_bound([0.0, 0.0, 0.0, 0.25]) == 0.25
    with pytest.raises(ValueError, match="threshold nan"):
        clip_bound(CLEAN, threshold=np.nan)
    with pytest.raises(ValueError, match="clean_calibration: 1 unit"):
        clip_bound([1.0])
