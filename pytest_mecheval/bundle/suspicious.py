"""Text that a reader of the rendered page would not see, or that speaks to a machine: named, never obeyed.

A warning for the reviewer. No verdict depends on it, so a phrase that slips through changes nothing.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from pytest_mecheval.bundle.contents import Document
from pytest_mecheval.bundle.escaping import escaped

ORDER = "reads like an order to a machine"
"""Begins what a note says about a phrase that speaks to a machine."""
MAX_NOTES = 20
"""Per document; the rest is counted."""
SHOWN = 80
"""Characters of a phrase that are shown."""

_INVISIBLE = frozenset({"Cf", "Co", "Cn"})
_JOINERS = frozenset("\u00ad\u200c\u200d\ufeff")
"""Ordinary in some scripts, in hyphenated text and at the start of files."""
_COMMENT_START, _COMMENT_END = "<!--", "-->"
_ELEMENT = re.compile(
    r"<(script|style|iframe|object|embed|svg|img|link|meta|form)\b[^<>]{0,200}>", re.IGNORECASE
)
_PHRASES = re.compile(
    r"(?:ignore|disregard|forget|override)[^.\n]{0,40}(?:instruction|prompt|above|previous|rules?\b)"
    r"|(?:mark|label|count|report|treat|rate|classify|consider)[^.\n]{0,40}(?:as|to be) (?:passed|passing|supported|true|verified|correct|green|successful)"
    r"|(?:you are|as) an? (?:ai|llm|language model|assistant|evaluator|reviewer|grader)\b"
    r"|(?:system|developer) prompt|</?(?:system|assistant|user|instructions?)>"
    r"|(?:do not|don't|never) (?:test|check|verify|evaluate|flag|report) (?:this|these|the|any)"
    r"|all (?:claims|tests|checks) (?:must|should|are to) (?:pass|be (?:passed|supported))",
    re.IGNORECASE,
)


def suspicious(document: Document) -> Iterator[str]:
    """Notes about one document, each with its line: hidden characters, comments, HTML, orders to a machine."""
    found = sorted(_found(document.text))
    for offset, what in found[:MAX_NOTES]:
        line = document.line_number(document.text.count("\n", 0, offset))
        yield f"{escaped(document.path)}:{line}: {what}"
    if len(found) > MAX_NOTES:
        yield f"{escaped(document.path)}: {len(found) - MAX_NOTES} more places like these"


def _found(text: str) -> Iterator[tuple[int, str]]:
    """Offsets and what is there."""
    hidden = [
        (offset, character)
        for offset, character in enumerate(text)
        if not character.isascii()
        and unicodedata.category(character) in _INVISIBLE
        and character not in _JOINERS
    ]
    if hidden:
        counts = Counter(f"u+{ord(character):04x}" for _, character in hidden)
        named = ", ".join(f"{code} x{count}" for code, count in counts.most_common(3))
        yield hidden[0][0], f"hidden characters ({named})"
    yield from _comments(text)
    for match in _ELEMENT.finditer(text):
        yield match.start(), f"HTML element: {escaped(match[0], SHOWN)}"
    for match in _PHRASES.finditer(text):
        yield match.start(), f"{ORDER}: {escaped(match[0], SHOWN)}"


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Comments that end; one that never ends hides nothing."""
    start = text.find(_COMMENT_START)
    while start >= 0:
        end = text.find(_COMMENT_END, start + len(_COMMENT_START))
        if end < 0:
            return
        if content := " ".join(text[start + len(_COMMENT_START) : end].split()):
            yield start, f"comment that a rendered page hides: {escaped(content, SHOWN)}"
        start = text.find(_COMMENT_START, end)
