"""Widths are what a terminal shows."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_mecheval.report.columns import display_width, fit, pad, wrap
from pytest_mecheval.report.plain import plain_line


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert display_width("a1.h6") == 5
    assert display_width("\u6ce8\u610f") == 4
    assert display_width("e\u0301") == 1


def test_words_are_kept_whole_until_one_is_too_long() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]
    assert wrap("abcdefghij kl", 4) == ["abcd", "efgh", "ij", "kl"]
    assert wrap("", 10) == [""]


def test_a_log_command_cannot_begin_a_continuation_line() -> None:
    assert wrap("abcd::error::x", 4)[1].startswith("\u2237")


def test_fitting_keeps_the_end_of_a_path() -> None:
    assert fit("logs/documentation.md:41", 12, keep_end=True) == "\u2026ation.md:41"
    assert fit("short", 12) == "short"
    assert fit("longer text", 7) == "longer\u2026"
    assert fit("ab", 1) == "\u2026"


@given(st.text(), st.integers(2, 120))
def test_no_wrapped_line_is_wider_than_asked_and_no_word_is_lost(raw: str, width: int) -> None:
    text = plain_line(raw)
    lines = wrap(text, width)
    assert all(display_width(line) <= width for line in lines)
    joined = "".join(lines).replace(" ", "").replace("\u2237", "::")
    assert joined == text.replace(" ", "").replace("\u2237", "::")


@given(st.text(), st.integers(2, 60), st.booleans())
def test_fitted_text_fits(raw: str, width: int, keep_end: bool) -> None:
    text = fit(plain_line(raw), width, keep_end=keep_end)
    assert display_width(text) <= width
    assert display_width(pad(text, width)) == width
