"""Max-of-k prompts against Python's own max."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.wire import DataRef, Slice


def drawn(stratum="fresh", split="evaluation", n=128, **parameters):
    return draw(DataRef("max_of_k", parameters), Slice("t", split, stratum, n), "salt")


def lists(examples, front, back):
    """Clean and counterfactual lists without special tokens, with their answers."""
    for tokens, answers in (
        (examples.tokens, examples.answers),
        (examples.counterfactual, examples.foils),
    ):
        stop = tokens.shape[1] - back
        yield tokens[:, front:stop].tolist(), answers.tolist()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(4, 9),
    st.integers(12, 100),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["fresh", "distractor"]),
)
def test_answer_is_the_only_maximum_at_its_named_position(k, vocab, bos, end, stratum):
    special = {"bos": 200} if bos else {}
    special |= {"end": 201} if end else {}
    examples = drawn(stratum, n=64, k=k, vocab=vocab, **special)
    for rows, answers in lists(examples, int(bos), int(end)):
        for row, answer, place in zip(
            rows, answers, examples.positions["MAX"].tolist(), strict=True
        ):
            assert len(row) == k
            assert answer == max(row)
            assert row.count(answer) == 1
            assert row.index(answer) == place - int(bos)
            if stratum == "distractor":
                assert sorted(row)[-2] == answer - 1
    assert (examples.read == examples.tokens.shape[1] - 1).all()
    assert (examples.tokens[:, -1] == 201).all() or not end


def test_new_lengths_uses_the_other_length():
    assert drawn("new_lengths").tokens.shape == (128, 4)
    assert describe(DataRef("max_of_k", {"k": 4})).strata == ("fresh", "distractor")


def test_maximum_stands_everywhere_equally_often():
    places = drawn(n=256).positions["MAX"].tolist()
    counts = [places.count(place) for place in range(6)]
    # 256 / 6 = 42.7, standard deviation 6.0: four of them either side
    assert all(19 <= count <= 66 for count in counts)


def test_tiny_space_says_what_was_possible():
    with pytest.raises(
        SubjectError, match=r"max_of_k, stratum fresh: only \d+ distinct evaluation"
    ):
        drawn(vocab=3, k=2)


def test_special_tokens_may_not_be_numbers():
    problems = describe(DataRef("max_of_k", {"end": 63, "bos": 70, "k": 1})).problems
    assert problems == ("max_of_k: k: 1 is below the smallest possible value 2",)
    problems = describe(DataRef("max_of_k", {"end": 63})).problems
    assert problems == ("max_of_k: end: token id 63 is a number, ids below vocab = 64 are taken",)
    problems = describe(DataRef("max_of_k", {"end": 64, "bos": 64})).problems
    assert problems == ("max_of_k: bos: token id 64 is already end",)
