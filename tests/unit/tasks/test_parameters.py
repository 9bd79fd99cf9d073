"""Texts of parameter problems."""

import pytest

from pytest_mecheval.tasks.parameters import (
    as_tuple,
    choice,
    different,
    interval,
    optional_token,
    refuse,
    whole,
)


def test_all_problems_come_at_once():
    with pytest.raises(ValueError, match=r"^a: 0 is below .* 1; b: 9 is above .* 5$"):
        refuse(whole("a", 0, low=1), "", whole("b", 9, low=1, high=5))
    refuse("", "")


@pytest.mark.parametrize("value", [1.0, "1", None, True, [1]])
def test_only_whole_numbers_are_whole(value):
    assert whole("p", value, low=0) == f"p: {value!r} is not a whole number"


def test_token_may_be_absent_but_not_negative():
    assert optional_token("bos", None) == ""
    assert optional_token("bos", 0) == ""
    assert optional_token("bos", -1).startswith("bos: -1 is below")


def test_interval_needs_two_ordered_numbers():
    assert interval("periods", (2, 2), low=2) == ""
    assert interval("periods", (1, 2), low=2) == "periods: 1 is below the smallest possible value 2"
    assert "pair" in interval("periods", (1, 2, 3), low=2)


def test_choice_lists_what_is_allowed():
    assert choice("mode", "a", ("a", "b")) == ""
    assert choice("mode", "c", ("a", "b")) == "mode: 'c' is not one of a, b"


def test_special_tokens_must_differ():
    assert different(end=None, bos=None) == ""
    assert different(end=1, bos=1) == "bos: token id 1 is already end"


def test_lists_become_tuples_at_every_depth():
    assert as_tuple([1, [2, "x"]]) == (1, (2, "x"))
    assert as_tuple("xy") == "xy"
