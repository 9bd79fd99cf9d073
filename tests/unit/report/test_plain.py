"""Hostile text comes out inert, honest text comes out as it was."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mecheval.report.plain import (
    LINE_LIMIT,
    disarm,
    markdown_escape,
    plain_line,
    plain_text,
)

INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
HOSTILE = st.one_of(
    st.text(),
    st.text(alphabet=st.sampled_from("<>&:/#[]\x1b\r\n\u202e\u200b\u2066 a!\ud800\U000e0041")),
    st.text(alphabet=st.characters(categories=["Cc", "Cf", "Mn", "Zs", "Zl", "Zp", "Co"])),
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Ablating head 1.6 destroys induction", "Ablating head 1.6 destroys induction"),
        ("na\u00efve r\u00e9sum\u00e9, \u6ce8\u610f\u529b, \u03b1 < \u03b2 & \u03b3", None),
        ("\x1b[1A\x1b[2K\x1b[32mPASSED", "\\u{1b}[1A\\u{1b}[2K\\u{1b}[32mPASSED"),
        ("\x1b]0;title\x07x", "\\u{1b}]0;title\\u{7}x"),
        ("\x9b31m", "\\u{9b}31m"),
        ("REFUTED\rSUPPORTED", "REFUTED SUPPORTED"),
        ("a\u202eb\u2066c", "a\\u{202e}b\\u{2066}c"),
        ("ad\u200bmin\ufeff", "ad\\u{200b}min\\u{feff}"),
        ("tag\U000e0041\U000e0042", "tag\\u{e0041}\\u{e0042}"),
        ("a\u3164b\u2800c", "a\\u{3164}b\\u{2800}c"),
        ("half \ud800", "half \\u{d800}"),
        ("done \u2714\ufe0f", "done \u2714"),
        ("x\u00a0y\u3000z", "x y z"),
        ("<script>alert(1)</script>", "\u2039script>alert(1)\u2039/script>"),
        ("a < b, p<.05", "a < b, p<.05"),
        ("R&D &lt; &#x3c; x", "R&D \uff06lt; \uff06#x3c; x"),
        ("see https://evil.example/x", "see https:\u2044\u2044evil.example/x"),
        ("::error file=a::b", "\u2237error file=a::b"),
        ("x ::add-mask::y tests/a.py::test_b", "x \u2237add-mask::y tests/a.py::test_b"),
        (
            "##[error]x ##vso[task] ##teamcity[t",
            "\u266f\u266f[error]x \u266f\u266fvso[task] \u266f\u266fteamcity[t",
        ),
    ],
)
def test_one_line(raw: str, shown: str | None) -> None:
    assert plain_line(raw) == (raw if shown is None else shown)


def test_marks_that_paint_over_other_lines_are_escaped_after_three() -> None:
    assert plain_line("a" + "\u0301" * 5) == "a" + "\u0301" * 3 + "\\u{301}" * 2


def test_an_overlong_line_is_cut_with_a_note() -> None:
    assert plain_line("x" * 1000) == "x" * LINE_LIMIT + " [700 characters cut]"
    assert plain_line("x" * LINE_LIMIT) == "x" * LINE_LIMIT


def test_a_text_keeps_its_lines_up_to_a_limit() -> None:
    shown = plain_text("one\ntwo\r\nthree\x1b\n" + "y" * 20, limit=20, lines=3)
    assert shown == "one\ntwo\nthree\\u{1b}\n[1 lines cut]"
    assert plain_text("y" * 40, limit=10) == "y" * 10 + " [30 characters cut]"


def test_no_text_is_cut_for_a_note_longer_than_what_is_missing() -> None:
    nearly = "x" * LINE_LIMIT + " key)"
    assert plain_line(nearly) == nearly
    assert plain_text("y" * 20, limit=10) == "y" * 20


@given(HOSTILE)
def test_nothing_in_a_line_acts(raw: str) -> None:
    shown = plain_line(raw)
    assert not [c for c in shown if unicodedata.category(c) in INVISIBLE]
    assert not re.search(r"<[A-Za-z/!?]", shown)
    assert "://" not in shown
    assert not shown.startswith("::") or not shown[2:3].isalpha()
    assert "##[" not in shown
    assert len(shown) <= LINE_LIMIT + len(" [999999 characters cut]")
    assert plain_line(shown) == shown or len(shown) > LINE_LIMIT


@given(HOSTILE)
def test_a_text_has_only_line_feeds_beside_what_is_drawn(raw: str) -> None:
    shown = plain_text(raw)
    assert not [c for c in shown.replace("\n", "") if unicodedata.category(c) in INVISIBLE]


@given(HOSTILE)
def test_disarming_twice_is_disarming_once(raw: str) -> None:
    assert disarm(disarm(raw)) == disarm(raw)


@given(HOSTILE)
def test_markdown_has_no_unescaped_punctuation_left(raw: str) -> None:
    shown = markdown_escape(raw)
    assert not re.search(r"[\\`*_{}\[\]()<>#|~$!]", re.sub(r"\\[!-/:-@\[-`{-~]", "", shown))
    # Undoing the escapes gives the plain line back, so nothing is lost for the reader.
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown) == plain_line(raw)


def test_markdown_images_links_and_html_are_text() -> None:
    shown = markdown_escape("![x](https://e.example/b.png) <b>1. # h</b>")
    assert shown.startswith(r"\!\[x\]\(https\:")
    assert "<b" not in shown
