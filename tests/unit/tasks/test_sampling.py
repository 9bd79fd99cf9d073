"""Splits by hash, distinct rows, and giving up with a number."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.sampling import (
    Candidates,
    distinct_draws,
    is_calibration,
    row_bytes,
    sample,
    with_bos,
)


def propose_from(space, width=1, answer=0, foil=1):
    """A task of `space` one-token prompts."""

    def propose(rng, rows):
        tokens = rng.integers(space, size=(rows, width))
        column = np.zeros(rows, dtype=np.int64)
        return Candidates(tokens, tokens + space, column + answer, column + foil, column)

    return propose


def test_split_is_the_documented_hash():
    prompt = np.array([[3, 1, 4]])
    (body,) = row_bytes(prompt)
    assert body == b"\x03" + bytes(7) + b"\x01" + bytes(7) + b"\x04" + bytes(7)
    assert row_bytes(prompt.astype(np.int32)) == [body]
    for other in row_bytes(np.arange(50)[:, None]):
        value = int.from_bytes(hashlib.blake2b(other, digest_size=8).digest(), "little")
        assert is_calibration(other) == (value % 5 == 0)


def test_a_fifth_of_all_prompts_is_calibration():
    share = np.mean([is_calibration(body) for body in row_bytes(np.arange(20_000)[:, None])])
    # standard deviation 0.0028: four of them
    assert abs(share - 0.2) < 0.0113


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 3000), st.integers(0, 2**32))
def test_whole_small_space_can_be_used_up(space, seed):
    prompts = row_bytes(np.arange(space)[:, None])
    possible = sum(is_calibration(prompt) for prompt in prompts)
    examples = sample(
        propose_from(space), "calibration", possible, np.random.default_rng(seed), place="t"
    )
    assert set(row_bytes(examples.tokens)) == {p for p in prompts if is_calibration(p)}
    assert np.array_equal(examples.counterfactual, examples.tokens + space)


def test_one_prompt_too_many_names_the_exact_number():
    possible = sum(is_calibration(prompt) for prompt in row_bytes(np.arange(100)[:, None]))
    with pytest.raises(
        SubjectError, match=rf"^toy: only {possible} distinct calibration prompts exist"
    ) as caught:
        sample(
            propose_from(100), "calibration", possible + 1, np.random.default_rng(0), place="toy"
        )
    assert f"need {possible + 1}" in str(caught.value)


def test_rows_whose_answer_is_the_foil_are_never_used():
    with pytest.raises(SubjectError, match="only 0 distinct"):
        sample(
            propose_from(1000, answer=3, foil=3),
            "evaluation",
            5,
            np.random.default_rng(0),
            place="toy",
        )


def test_zero_prompts_are_refused():
    with pytest.raises(SubjectError, match="0 prompts requested, need at least 1"):
        sample(propose_from(10), "evaluation", 0, np.random.default_rng(0), place="toy")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.sampled_from([0, 1, 5, 10_000]), st.integers(0, 2**32))
def test_distinct_draws_never_repeat_within_a_row(width, spare, seed):
    drawn = distinct_draws(np.random.default_rng(seed), 50, width, width + spare)
    assert drawn.shape == (50, width)
    assert drawn.min() >= 0
    assert drawn.max() < width + spare
    assert all(len(set(row)) == width for row in drawn.tolist())


def test_sparse_draws_that_repeat_are_drawn_again():
    # the smallest space of the redraw path: about 3% of first draws of 12 repeat a number
    drawn = distinct_draws(np.random.default_rng(0), 2000, 12, 16 * 12 * 12 + 1)
    assert all(len(set(row)) == 12 for row in drawn.tolist())


@pytest.mark.parametrize("choices", [6, 100])
def test_distinct_draws_are_uniform_in_every_place(choices):
    # 6 choices take the permutation path, 100 the redraw path (100 > 16 * 2 * 2)
    drawn = distinct_draws(np.random.default_rng(1), 60_000, 2, choices)
    for place in range(2):
        counts = np.bincount(drawn[:, place], minlength=choices)
        expected = 60_000 / choices
        assert abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_bos_goes_in_front():
    tokens = np.array([[1, 2], [3, 4]])
    assert with_bos(tokens, 9).tolist() == [[9, 1, 2], [9, 3, 4]]
    assert with_bos(tokens, None) is tokens
