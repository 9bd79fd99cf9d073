"""Induction prompts, read with nothing but the definition of induction."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.wire import DataRef, Slice


def drawn(stratum="fresh", split="evaluation", n=128, **parameters):
    return draw(DataRef("induction", parameters), Slice("t", split, stratum, n), "salt")


def token_after_last_occurrence(prompt, read):
    """Where the current token last stood before `read`, how often, and what followed."""
    earlier = [place for place in range(read) if prompt[place] == prompt[read]]
    return earlier[-1], len(earlier), prompt[earlier[-1] + 1]


def check_semantics(examples, *, max_previous=1):
    for row in range(examples.answers.size):
        read = int(examples.read[row])
        places = {name: int(column[row]) for name, column in examples.positions.items()}
        for tokens, answer in (
            (examples.tokens[row], examples.answers[row]),
            (examples.counterfactual[row], examples.foils[row]),
        ):
            previous, times, after = token_after_last_occurrence(tokens.tolist(), read)
            assert after == answer
            assert 1 <= times <= max_previous
            assert places["PREV_OCCURRENCE"] == previous
            assert places["INDUCTION_TARGET"] == previous + 1
            assert tokens[places["INDUCTION_TARGET"]] == answer
        assert places["PREVIOUS"] == read - 1
        assert places["END"] == read
        assert places["START"] == 0


@st.composite
def layouts(draw_value):
    bos = draw_value(st.sampled_from([None, 0, 7, 200]))
    low = draw_value(st.integers(2, 9))
    high = draw_value(st.integers(low, low + 8))
    length = draw_value(st.integers(high + 6, 2 * high + 12))
    vocab = draw_value(st.sampled_from([high + 24, 64, 5000]))
    return {"vocab": vocab, "length": length, "bos": bos, "periods": [low, high]}


@settings(max_examples=40, deadline=None)
@given(layouts(), st.sampled_from(["fresh", "distractor"]))
def test_answer_followed_the_only_earlier_occurrence(layout, stratum):
    calibration, evaluation = (
        drawn(stratum, split, n, **layout) for split, n in (("calibration", 8), ("evaluation", 24))
    )
    rows = [row.tobytes() for part in (calibration, evaluation) for row in part.tokens]
    assert len(set(rows)) == 32
    for examples in (calibration, evaluation):
        check_semantics(examples)
        assert examples.tokens.shape[1] == layout["length"]
        if layout["bos"] is not None:
            assert (examples.tokens[:, 0] == layout["bos"]).all()
            assert (examples.tokens[:, 1:] != layout["bos"]).all()
            assert (examples.answers != layout["bos"]).all()


def test_no_fixed_offset_predicts_the_answer():
    examples = drawn(n=256)
    period = examples.read - examples.positions["PREV_OCCURRENCE"]
    assert set(period.tolist()) == set(range(6, 21))
    for offset in range(1, 20):
        place = np.maximum(examples.read - offset, 0)
        hit = examples.tokens[np.arange(256), place] == examples.answers
        assert hit.mean() < 0.2


def test_new_lengths_has_only_periods_outside_the_trained_range():
    examples = drawn("new_lengths")
    check_semantics(examples)
    period = examples.read - examples.positions["PREV_OCCURRENCE"]
    assert set(period.tolist()) == {22, 23}
    asked = drawn("new_lengths", new_periods=[3, 4])
    assert set((asked.read - asked.positions["PREV_OCCURRENCE"]).tolist()) == {3, 4}


def test_distractor_prefix_never_repeats():
    examples = drawn("distractor")
    check_semantics(examples)
    for prompt in examples.tokens.tolist():
        counts = {token: prompt.count(token) for token in prompt}
        assert counts[prompt[0]] == 1
        assert counts[prompt[-1]] > 1


def test_counterfactual_changes_current_token_unless_told_to_keep_it():
    row = np.arange(128)
    fresh, kept = drawn(), drawn(keep_current=True)
    assert (fresh.tokens[row, fresh.read] != fresh.counterfactual[row, fresh.read]).all()
    check_semantics(kept)
    assert (kept.tokens[row, kept.read] == kept.counterfactual[row, kept.read]).all()
    # what a previous-token head would copy to the induction target
    before = kept.positions["PREV_OCCURRENCE"]
    assert (kept.tokens[row, before] == kept.counterfactual[row, before]).all()


def test_read_position_may_lie_in_later_copies_when_allowed():
    examples = drawn(max_previous=0, periods=[6, 8])
    check_semantics(examples, max_previous=48)
    assert examples.read.max() == 47


def test_length_that_rules_a_stratum_out_is_known_without_drawing():
    facts = describe(DataRef("induction", {"length": 22}))
    assert facts.strata == ("fresh",)
    with pytest.raises(SubjectError, match=r"new_lengths cannot be drawn: a block of 23 does not"):
        drawn("new_lengths", length=22)


def test_small_vocabulary_says_how_many_prompts_exist():
    # 5 tokens in ordered pairs: 20 prompts, about 4 of them calibration
    with pytest.raises(
        SubjectError, match=r"only \d+ distinct calibration prompts exist"
    ) as caught:
        drawn(split="calibration", n=64, vocab=5, length=6, periods=[2, 2])
    assert 0 <= int(str(caught.value).split("only ")[1].split()[0]) <= 12


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"length": 20},
            "periods: a block of 20 does not begin to repeat in a prompt of 20 tokens",
        ),
        ({"vocab": 12}, "periods: a block of 20 needs more than the 12 tokens there are"),
        ({"periods": [9, 6]}, r"periods: \[9, 6\] runs backwards"),
        ({"periods": 6}, r"periods: 6 is not a pair"),
        ({"vocab": True}, "vocab: True is not a whole number"),
        ({"keep_current": "no"}, "keep_current: 'no' is neither true nor false"),
    ],
)
def test_impossible_layouts_are_refused_readably(parameters, text):
    (problem,) = describe(DataRef("induction", parameters)).problems
    assert re.search(text, problem)
