import numpy as np
import pytest

from pytest_mecheval.stats import exact


def test_a_population_decides_without_chance() -> None:
    population = [0.0, 1.0, 1.0, 1.0]
    assert exact.mean(population) == 0.75
    assert exact.p_above(population, 0.74) == 0.0
    assert exact.p_above(population, 0.75) == 1.0
    assert exact.p_below(population, 0.76) == 0.0
    assert exact.p_below(population, 0.75) == 1.0
    assert exact.mean([3.0]) == 3.0


@pytest.mark.parametrize("bad", [[], [[1.0]], [np.nan], [np.inf, 1.0]])
def test_what_is_no_population_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="values"):
        exact.mean(bad)
