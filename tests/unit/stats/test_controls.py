import numpy as np
import pytest

from pytest_mecheval.stats.betting import p_above
from pytest_mecheval.stats.controls import beats_claim_p, both_signs, dominance_p, rank_p

RNG = np.random.default_rng(5)
UNITS = 256
CLIP = 8.0


def effects(mean: float, rows: int = 1) -> np.ndarray:
    return np.random.default_rng(round(100 * mean) + 1000 + rows).normal(mean, 0.5, (rows, UNITS))


def test_rank_p_counts_ties_against_the_claim_and_is_never_zero() -> None:
    assert rank_p(5.0, np.arange(5)) == pytest.approx(1 / 6)
    assert rank_p(4.0, np.arange(5)) == pytest.approx(2 / 6)
    assert rank_p(-1.0, np.arange(5)) == 1.0
    assert rank_p(1.0, []) == 1.0
    assert rank_p(1e9, np.zeros(98)) > 0.01
    assert rank_p(1e9, np.zeros(99)) == 0.01


@pytest.mark.parametrize(
    ("claimed", "controls"), [(np.nan, [1.0]), (1.0, [np.inf]), (1.0, [[1.0]])]
)
def test_rank_p_refuses_what_cannot_be_ranked(claimed: float, controls: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite statistic"):
        rank_p(claimed, controls)


def test_dominance_is_the_worst_pair() -> None:
    claimed, controls = effects(2.0)[0], effects(0.5, 4)
    p = dominance_p(claimed, controls, clip=CLIP)
    assert p == max(p_above(claimed - row, 0.0, clip=CLIP) for row in controls)
    assert p < 0.01
    assert dominance_p(claimed, np.vstack([controls, claimed]), clip=CLIP) == 1.0


def test_a_strong_opposite_control_is_noticed_only_with_both_signs() -> None:
    claimed, opposite = effects(2.0)[0], effects(-3.0)
    assert dominance_p(claimed, opposite, clip=CLIP) < 0.01
    assert dominance_p(claimed, both_signs(opposite), clip=CLIP) == 1.0


def test_an_empty_pool_is_never_dominance() -> None:
    claimed = effects(2.0)[0]
    assert dominance_p(claimed, np.empty((0, UNITS)), clip=CLIP) == 1.0
    assert dominance_p(claimed, [], clip=CLIP) == 1.0
    assert beats_claim_p(claimed, [], clip=CLIP).shape == (0,)


def test_rivals_are_found_by_their_share_of_the_claim() -> None:
    claimed = effects(2.0)[0]
    controls = np.vstack([0.5 * claimed, 0.95 * claimed, 2.0 * claimed])
    p = beats_claim_p(claimed, controls, clip=CLIP)
    assert p.shape == (3,)
    assert p[0] == 1.0
    assert p[2] < 0.01
    assert p[1] < 1.0  # 5 % above the share with hardly any noise
    assert beats_claim_p(claimed, controls, clip=CLIP, share=0.4)[0] < 0.01


def test_comparison_needs_the_same_units() -> None:
    with pytest.raises(ValueError, match="same units"):
        dominance_p(np.zeros(5), np.zeros((2, 6)), clip=CLIP)
    with pytest.raises(ValueError, match="NaN"):
        beats_claim_p(np.zeros(5), np.full((2, 5), np.nan), clip=CLIP)
