import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mecheval.stats.family import holm, holm_rejects

p_lists = st.lists(st.floats(0, 1), max_size=12)


def test_worked_example() -> None:
    # Sorted: .005*4=.02, .01*3=.03, .03*2=.06, .04*1=.04 raised to .06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm_rejects([0.01, 0.04, 0.03, 0.005], 0.05).tolist() == [True, False, False, True]


def test_ends() -> None:
    assert holm([]).shape == (0,)
    assert holm([0.2]).tolist() == [0.2]
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([0.0, 1.0]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [np.nan], [[0.5]]])
def test_what_is_no_p_value_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm(bad)


@given(p_lists, st.floats(0.001, 0.2))
def test_adjusted_values_reject_what_the_step_down_procedure_rejects(
    p: list[float], level: float
) -> None:
    expected = set()
    for step, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[index] * (len(p) - step) > level:
            break
        expected.add(index)
    assert set(np.flatnonzero(holm_rejects(p, level)).tolist()) == expected


@given(p_lists)
def test_adjusting_keeps_the_order_and_never_helps(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.asarray(p) - 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
