import pytest

from pytest_mecheval.bundle.contents import Document
from pytest_mecheval.bundle.quoting import normalised, occurrences

TEXT = """\
Head 1.6 is necessary.

Ablating  head 16 drops the
logit difference by -0.72 nats.
> A quoted
> finding.
Head 1.6 is necessary.
"""


def found(quote, text=TEXT):
    return occurrences(Document("d.md", "report", text, ""), quote)


@pytest.mark.parametrize(
    ("quote", "lines"),
    [
        ("Head 1.6 is necessary.", (1, 7)),
        ("Ablating head 16 drops the logit difference", (3,)),
        ("Ablating\n  head 16", (3,)),
        ("logit difference by -0.72 nats", (4,)),
        ("A quoted finding.", (5,)),
        ("> A quoted\n> finding.", (5,)),
        ("necessary. Ablating", (1,)),
        ("-0.72", (4,)),
    ],
)
def test_white_space_and_wraps_do_not_matter(quote, lines):
    assert found(quote).lines == lines


@pytest.mark.parametrize(
    "quote", ["head 1", "Head 1", "0.7", "0.72 nats", "72", ".72", "blating head", "6 is necessary"]
)
def test_part_of_a_word_or_number_is_no_quote(quote):
    places = found(quote)
    assert places.lines == ()
    assert places.cut


@pytest.mark.parametrize("quote", ["head 1.6 is necessary.", "Head 9.9", "", "  "])
def test_other_words_are_not_found(quote):
    places = found(quote)
    assert (places.lines, places.cut) == ((), ())


def test_hyphens_between_words_may_be_cut_at():
    assert found("layer 1", "the two-layer 1\nlayer 1 head").lines == (1, 2)


def test_markdown_emphasis_is_part_of_the_words():
    text = "**Copying**: head 1.6 copies"
    assert found("**Copying**: head 1.6", text).lines == (1,)
    assert found("Copying: head 1.6", text).lines == ()


def test_a_single_letter_in_a_long_text_stays_cheap():
    assert found("x", "x " * 100_000).lines == (1,)


def test_normalised_is_stable():
    assert normalised(normalised("> a\n  > b\tc ")) == normalised("> a\n  > b\tc ") == "a b c"
