"""Where a quoted sentence stands in a document: verbatim, white space and line wraps normalised."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from pytest_mecheval.bundle.contents import Document

MAX_OCCURRENCES = 1_000
"""Enough to find the stated line; a one-letter quote in a long log must not cost more."""

_BLOCKQUOTE = re.compile(r"\s{0,3}(>\s?)+")
_MINUS = ("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The lines on which a quote begins."""

    lines: tuple[int, ...]
    """Lines of the file, ascending, where the text stands in whole words and numbers."""
    cut: tuple[int, ...]
    """Lines where it stands only as part of a longer word or number, so it says something else."""


def normalised(text: str) -> str:
    r"""White space as single spaces; markers of a markdown block quote dropped at line starts.

    >>> normalised("> Head 1.6\n>   copies")
    'Head 1.6 copies'
    """
    words = [word for line in text.split("\n") for word in _unquoted(line).split()]
    return " ".join(words)


def occurrences(document: Document, quote: str) -> Occurrences:
    """Where the quote occurs in the document.

    Args:
        document: any text of the bundle.
        quote: as written in the claim file; normalised here.
    """
    wanted = normalised(quote)
    if not wanted:
        return Occurrences((), ())
    text, starts, indices = _flattened(document.text)
    whole: set[int] = set()
    cut: set[int] = set()
    position = text.find(wanted)
    for _ in range(MAX_OCCURRENCES):
        if position < 0:
            break
        line = document.line_number(indices[bisect_right(starts, position) - 1])
        splits = _splits(text, position) or _splits(text, position + len(wanted))
        (cut if splits else whole).add(line)
        position = text.find(wanted, position + 1)
    return Occurrences(tuple(sorted(whole)), tuple(sorted(cut - whole)))


@lru_cache(maxsize=32)
def _flattened(text: str) -> tuple[str, list[int], list[int]]:
    """The normalised text, the offsets at which lines begin in it, and those lines' indices."""
    parts: list[str] = []
    starts: list[int] = []
    indices: list[int] = []
    offset = 0
    for index, line in enumerate(text.split("\n")):
        words = " ".join(_unquoted(line).split())
        if words:
            parts.append(words)
            starts.append(offset)
            indices.append(index)
            offset += len(words) + 1
    return " ".join(parts), starts, indices


def _unquoted(line: str) -> str:
    match = _BLOCKQUOTE.match(line)
    return line[match.end() :] if match else line


def _splits(text: str, position: int) -> bool:
    """Whether a cut here would split a word or a number ("head 1" out of "head 16", "0.7" of "0.72")."""
    if position <= 0 or position >= len(text):
        return False
    left, right = text[position - 1], text[position]
    if _wordlike(left) and _wordlike(right):
        return True
    before = text[position - 2] if position > 1 else " "
    after = text[position + 1] if position + 1 < len(text) else " "
    if left.isdigit() and right in ".,":
        return after.isdigit()
    if left in ".," and right.isdigit():
        return before.isdigit()
    # A sign belongs to its number, a hyphen between words does not.
    return left in _MINUS and right.isdigit() and not before.isalnum()


def _wordlike(character: str) -> bool:
    """Letters of scripts that write no spaces between words do not count."""
    return character.isdigit() or (
        character.isascii() and (character.isalnum() or character == "_")
    )
