import numpy as np
import pytest

from pytest_mecheval.stats.betting import lower_bound
from pytest_mecheval.stats.power import smallest_detectable_by_betting, smallest_detectable_effect


@pytest.mark.parametrize(
    ("n", "alpha", "power", "effect"),
    [
        (156, 0.05, 0.80, 0.2),
        (272, 0.05, 0.95, 0.2),
        (115, 0.01, 0.80, 0.3),
        (178, 0.01, 0.95, 0.3),
    ],
)
def test_published_sample_sizes(n: int, alpha: float, power: float, effect: float) -> None:
    # METHODS 2.7, computed there with Student's t: the normal approximation differs by about a percent.
    assert smallest_detectable_effect(1.0, n, alpha=alpha, power=power) == pytest.approx(
        effect, rel=0.02
    )


def test_effects_scale_with_their_unit_and_betting_needs_more() -> None:
    normal = smallest_detectable_effect(1.0, 256, alpha=0.01)
    assert smallest_detectable_effect(10.0, 256, alpha=0.01) == pytest.approx(10 * normal)
    assert smallest_detectable_effect(1.0, 4 * 256, alpha=0.01) == pytest.approx(normal / 2)
    betting = smallest_detectable_by_betting(1.0, 256, alpha=0.01, clip=4.0)
    assert normal < betting < 1.5 * normal
    scaled = smallest_detectable_by_betting(10.0, 256, alpha=0.01, clip=40.0)
    assert scaled == pytest.approx(10 * betting)


def test_without_spread_the_effect_is_the_width_of_the_constant_bound() -> None:
    effect = smallest_detectable_by_betting(0.0, 256, alpha=0.01, clip=1.0)
    low = lower_bound(np.full(256, effect), alpha=0.01, clip=1.0)
    assert low == pytest.approx(0.0, abs=0.1 * effect)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"sd": -1.0}, "sd -1"),
        ({"sd": np.nan}, "sd nan"),
        ({"n": 1}, "n 1"),
        ({"alpha": 0.0}, "alpha 0"),
        ({"power": 1.0}, "power 1"),
        ({"clip": 0.0}, "clip 0"),
        ({"threshold": 4.0}, "threshold 4"),
    ],
)
def test_unusable_settings_are_refused(changed: dict[str, float], complaint: str) -> None:
    settings = {"sd": 1.0, "n": 256, "alpha": 0.01, "power": 0.8, "clip": 4.0} | changed
    with pytest.raises(ValueError, match=complaint):
        smallest_detectable_by_betting(**settings)
    if not changed.keys() & {"clip", "threshold"}:
        settings.pop("clip")
        with pytest.raises(ValueError, match=complaint):
            smallest_detectable_effect(**settings)
