"""Bracket prompts, labelled again by a stack that shares nothing with the generator."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.tasks.generators.brackets import _balanced
from pytest_mecheval.wire import DataRef, Slice


def drawn(stratum="fresh", split="evaluation", n=128, **parameters):
    return draw(DataRef("brackets", parameters), Slice("t", split, stratum, n), "salt")


def closes_properly(brackets):
    """Whether a string is balanced, by deleting `()` until nothing changes."""
    text = "".join("()"[bracket] for bracket in brackets)
    while "()" in text:
        text = text.replace("()", "")
    return text == ""


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([14, 16, 20, 30]), st.booleans(), st.sampled_from(["fresh", "distractor"]))
def test_class_tokens_agree_with_an_independent_checker(length, bos, stratum):
    front = {"bos": 9} if bos else {}
    examples = drawn(stratum, n=40, length=length, **front)
    first = int(bos)
    for tokens, classes in (
        (examples.tokens, examples.answers),
        (examples.counterfactual, examples.foils),
    ):
        for row, label in zip(tokens.tolist(), classes.tolist(), strict=True):
            brackets = row[first : first + length]
            assert set(brackets) <= {0, 1}
            assert label == (3 if closes_properly(brackets) else 4)
            assert row[first + length :] == [2]
            if stratum == "distractor":
                assert brackets.count(0) == brackets.count(1)
    assert (examples.positions["FIRST"] == first).all()
    assert (examples.positions["LAST"] == first + length - 1).all()


def test_half_of_the_prompts_are_balanced():
    assert (drawn(n=256).answers == 3).sum() == 128
    assert (drawn("new_lengths", n=65).answers == 3).sum() == 33


def test_counting_alone_does_not_solve_the_fresh_stratum():
    examples = drawn(n=256)
    unbalanced = examples.tokens[examples.answers == 4][:, :20]
    equal = (unbalanced.sum(axis=1) == 10).mean()
    assert 0.3 < equal < 0.7


def test_strings_that_dip_below_zero_only_once_are_among_the_unbalanced():
    rows = drawn("distractor", n=256)
    steps = 1 - 2 * rows.tokens[rows.answers == 4][:, :20]
    lowest = steps.cumsum(axis=1).min(axis=1)
    assert (lowest < 0).all()
    assert (lowest == -1).mean() > 0.1


def test_balanced_strings_are_uniform():
    words = _balanced(np.random.default_rng(0), 14_000, 8)
    seen, counts = np.unique(words, axis=0, return_counts=True)
    strings = [
        word
        for word in itertools.product((1, -1), repeat=8)
        if closes_properly([w < 0 for w in word])
    ]
    assert {tuple(row) for row in seen.tolist()} == set(strings)
    assert len(strings) == 14
    # 1000 expected each, standard deviation 30.5: five of them either side
    assert abs(counts - 1000).max() < 153


def test_without_end_token_the_last_bracket_is_read():
    examples = drawn(end=None)
    assert examples.tokens.shape == (128, 20)
    assert (examples.read == 19).all()
    assert (examples.positions["LAST"] == 19).all()


def test_scarce_class_is_named():
    # length 8 has 14 balanced strings
    with pytest.raises(
        SubjectError, match=r"balanced strings: only \d+ distinct evaluation"
    ) as caught:
        drawn(length=8)
    assert 5 <= int(str(caught.value).split("only ")[1].split()[0]) <= 14


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"length": 7}, "length: 7 is odd, so no string of that length is balanced"),
        ({"close": 0}, "close: token id 0 is already open"),
        ({"bos": 2}, "bos: token id 2 is already end"),
        ({"unbalanced": 3}, "unbalanced: token id 3 is already balanced"),
    ],
)
def test_impossible_strings_are_refused_readably(parameters, problem):
    assert describe(DataRef("brackets", parameters)).problems == (f"brackets: {problem}",)


def test_equal_lengths_rule_the_stratum_out():
    assert "new_lengths" not in describe(DataRef("brackets", {"new_length": 20})).strata
