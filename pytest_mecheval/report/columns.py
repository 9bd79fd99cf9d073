"""Text laid out in terminal columns: how wide it is, wrapped, cut to fit, padded."""

import unicodedata
from collections.abc import Iterator

from pytest_mecheval.report.plain import disarm

ELLIPSIS = "\u2026"


def display_width(text: str) -> int:
    """Columns the text takes in a terminal; East Asian wide characters take two, marks none.

    >>> display_width("a1.h6"), display_width("\u6ce8\u610f")
    (5, 4)
    """
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if character < "\u0300":
        return 1
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _head(text: str, width: int) -> str:
    """The longest beginning that fits `width` columns."""
    used = 0
    for index, character in enumerate(text):
        used += _character_width(character)
        if used > width:
            return text[:index]
    return text


def _words(text: str, width: int) -> Iterator[str]:
    """The words of a text; a word wider than `width` comes in pieces."""
    for word in text.split():
        rest = word
        while display_width(rest) > width:
            # One character always goes out, so a column too narrow for it cannot loop for ever.
            piece = _head(rest, width) or rest[0]
            yield piece
            rest = rest[len(piece) :]
        if rest:
            yield rest


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, never empty; a line cannot begin with a CI log command.

    >>> wrap("one two three", 8)
    ['one two', 'three']
    """
    lines: list[str] = []
    line = ""
    for word in _words(text, width):
        longer = f"{line} {word}" if line else word
        if display_width(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = word
    # A piece of a broken word stands at the beginning of its line only now.
    return [disarm(shown) for shown in [*lines, line] if shown] or [""]


def fit(text: str, width: int, *, keep_end: bool = False) -> str:
    """The text in at most `width` columns, an ellipsis where something is missing.

    >>> fit("logs/documentation.md:41", 12, keep_end=True)
    '…ation.md:41'
    """
    if display_width(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    if keep_end:
        return ELLIPSIS + _head(text[::-1], width - 1)[::-1]
    return _head(text, width - 1).rstrip() + ELLIPSIS


def pad(text: str, width: int) -> str:
    """Spaces added on the right up to `width` columns."""
    return text + " " * max(0, width - display_width(text))
