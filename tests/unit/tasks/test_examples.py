"""A misshapen block is refused before anything is measured on it."""

import numpy as np
import pytest

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.examples import Examples

GOOD = {
    "tokens": np.array([[1, 2], [3, 4]]),
    "counterfactual": np.array([[5, 2], [6, 4]]),
    "answers": np.array([1, 2]),
    "foils": np.array([2, 3]),
    "read": np.array([1, 1]),
    "positions": {"END": np.array([1, 1])},
}


def test_well_shaped_block_is_accepted():
    assert Examples(**GOOD).exhaustive is False


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tokens": np.zeros((0, 2), dtype=np.int64)}, "empty task"),
        (
            {"counterfactual": np.array([[5], [6]])},
            r"counterfactual has shape \(2, 1\), need \(2, 2\)",
        ),
        ({"answers": np.array([1])}, r"answers has shape \(1,\), need \(2,\)"),
        ({"positions": {"S2": np.array([0])}}, r"S2 has shape"),
        ({"read": np.array([1, 2])}, r"read points outside the prompt \(length 2\)"),
        ({"positions": {"S2": np.array([0, -1])}}, "S2 points outside the prompt"),
        ({"foils": np.array([1, 3])}, "an answer equals its foil"),
    ],
)
def test_misshapen_block_is_refused(change, text):
    with pytest.raises(SubjectError, match=text):
        Examples(**{**GOOD, **change})
