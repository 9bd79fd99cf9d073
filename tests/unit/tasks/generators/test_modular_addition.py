"""Modular addition prompts against the addition table written out by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.wire import DataRef, Slice


def drawn(split="evaluation", n=64, **parameters):
    return draw(DataRef("modular_addition", parameters), Slice("t", split, "fresh", n), "salt")


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 40), st.booleans(), st.booleans())
def test_evaluation_is_the_whole_table_with_right_sums(p, far_equals, with_bos):
    equals = p + 3 if far_equals else p
    bos = p + 9 if with_bos else None
    special = {"equals": equals} if far_equals else {}
    examples = drawn(p=p, bos=bos, **special)
    front = [bos] if with_bos else []
    expected = [[*front, a, b, equals] for a in range(p) for b in range(p)]
    assert examples.exhaustive
    assert examples.tokens.tolist() == expected
    for tokens, answers in (
        (examples.tokens, examples.answers),
        (examples.counterfactual, examples.foils),
    ):
        for row, answer in zip(tokens.tolist(), answers.tolist(), strict=True):
            assert answer == (row[-3] + row[-2]) % p
            assert row[-1] == equals
    assert examples.read.tolist() == [len(front) + 2] * (p * p)
    assert examples.positions["A"].tolist() == [len(front)] * (p * p)
    assert examples.positions["B"].tolist() == [len(front) + 1] * (p * p)


def test_every_input_is_a_partner_exactly_once():
    examples = drawn()
    assert sorted(examples.counterfactual.tolist()) == examples.tokens.tolist()


def test_calibration_is_a_seeded_subset_of_the_asked_size():
    examples = drawn("calibration", 100)
    assert not examples.exhaustive
    assert len({tuple(row) for row in examples.tokens.tolist()}) == 100
    sums = examples.tokens[:, :2].sum(axis=1) % 31
    assert (sums == examples.answers).all()


def test_calibration_cannot_exceed_the_table():
    with pytest.raises(
        SubjectError, match=r"10 calibration prompts requested, p = 3 allows 1 to 9"
    ):
        drawn("calibration", 10, p=3)


def test_population_is_known_without_drawing():
    facts = describe(DataRef("modular_addition", {"p": 113}))
    assert (facts.population, facts.exhaustive) == (12769, True)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"p": 2}, "modular_addition: p: 2 is below the smallest possible value 3"),
        ({"p": 300}, "modular_addition: p: 300 is above the largest possible value 256"),
        (
            {"equals": 5},
            "modular_addition: equals: token id 5 is a number, ids below p = 31 are taken",
        ),
        ({"bos": 31}, "modular_addition: bos: token id 31 is already `=`"),
    ],
)
def test_impossible_tables_are_refused_readably(parameters, problem):
    assert describe(DataRef("modular_addition", parameters)).problems == (problem,)
