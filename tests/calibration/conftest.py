"""Calibration: error rates of the statistics measured by simulation, with the Monte-Carlo error allowed for."""

import math
from collections.abc import Callable

import pytest

STANDARD_ERRORS = 3
"""How far a simulated rate may lie above the promised one by chance."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "calibration: simulated error rates and power of the statistics (seconds each)"
    )


@pytest.fixture
def at_most() -> Callable[[float, int], float]:
    """The largest rate that `repetitions` draws may show when the true one is `alpha`."""

    def allowed(alpha: float, repetitions: int) -> float:
        return alpha + STANDARD_ERRORS * math.sqrt(alpha * (1 - alpha) / repetitions)

    return allowed
