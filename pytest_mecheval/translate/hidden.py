"""Text of a document that a reader of the rendered page does not see: found, taken out, named.

Comments, elements styled away or white, template code, LaTeX phantoms, and characters without a glyph.
Everything is found in one pass over the text, so a hostile document cannot make it slow. Taking it out
is a courtesy to reader and model alike; no verdict depends on it.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_mecheval.bundle.escaping import escaped

MAX_TAG_CHARACTERS = 2_000
"""Attributes longer than this are not read as a tag."""
MAX_LATEX_CHARACTERS = 300
"""A hidden LaTeX group longer than this is left standing."""
SHOWN_CHARACTERS = 80
SHOWN_CODES = 3

_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "wbr", "col", "source", "area"})
_NEVER_SHOWN = frozenset({"script", "style", "template"})
_TOKEN = re.compile(
    r"(?P<fence>^[ \t]{0,3}(?:`{3,}|~{3,}))"
    r"|(?P<comment><!--)"
    r"|(?P<reference>^[ ]{0,3}\[(?://|comment)\]:[ \t].*$)"
    rf"|<(?P<close>/)?(?P<tag>[a-zA-Z][a-zA-Z0-9-]{{0,30}})(?P<attributes>(?:\s[^<>]{{0,{MAX_TAG_CHARACTERS}}})?)>"
    r"|(?P<latex>\\(?:(?:text)?color\{(?:white|transparent)\}|[hv]?phantom)[ ]?\{)",
    re.MULTILINE,
)
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:hidden|opacity:0(?:\.0+)?(?![.\d])|font-size:[01](?:\.\d+)?(?:px|pt|em|%)?(?![\d.])"
    r"|(?<![\w-])color[:=][\"']?(?:white|transparent|#fff(?:fff)?(?![0-9a-f])|rgba?\(255,255,255)"
    r"|(?:left|top|text-indent):-\d{3,}"
)
_HIDDEN_ATTRIBUTE = re.compile(r"(?:^|\s)hidden(?=\s|=|/|$)")
_BRACE = re.compile(r"[{}]")
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")

_BLANK_GLYPHS = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Letters and marks by category, but nothing is drawn."""
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0000, 0xE1000))
"""They choose among glyphs, have none of their own, and can spell out text unseen."""
_TAGS = range(0xE0020, 0xE007F)
"""Invisible copies of ASCII."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """One thing a reader does not see."""

    offset: int
    """Where it begins in the text."""
    what: str
    shown: str
    """Its beginning, in visible characters; empty when it has none."""


def is_unseen(character: str) -> bool:
    r"""Whether a character has no glyph and is no white space.

    >>> [is_unseen(c) for c in ("a", " ", "\n", "\u200b", "\u202e", "\U000e0041")]
    [False, False, False, True, True, True]
    """
    if character.isascii():
        return not character.isprintable() and not character.isspace()
    if character.isspace():
        return False
    code = ord(character)
    return (
        unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs")
        or character in _BLANK_GLYPHS
        or any(code in codes for codes in _VARIATION_SELECTORS)
    )


def without_unseen(text: str) -> str:
    """The text without characters that have no glyph."""
    return "".join(character for character in text if not is_unseen(character))


def verbatim(quote: str, text: str) -> str | None:
    r"""The part of `text` that reads like `quote`, with the unseen characters it holds; None if none.

    A model sees passages without them, a claim file must quote what the file really holds.

    >>> verbatim("head 1.6", "The he\u200bad 1.6 copies") == "he\u200bad 1.6"
    True
    """
    kept = [index for index, character in enumerate(text) if not is_unseen(character)]
    wanted = without_unseen(quote)
    start = "".join(text[index] for index in kept).find(wanted)
    if start < 0 or not wanted:
        return None
    return text[kept[start] : kept[start + len(wanted) - 1] + 1]


def without_hidden(text: str, *, markup: bool) -> tuple[str, tuple[Hidden, ...]]:
    """A text as its reader sees it, and what was taken out.

    Line breaks stay, so that lines keep their numbers.

    Args:
        text: a document.
        markup: whether it is rendered (Markdown, HTML); otherwise only characters are looked at.
    """
    spans = list(_spans(text)) if markup else []
    found = [
        Hidden(start, what, escaped(" ".join(text[start:end].split()), SHOWN_CHARACTERS))
        for start, end, what in spans
    ]
    parts: list[str] = []
    position = 0
    for start, end, _ in spans:
        parts += [text[position:start], "\n" * text.count("\n", start, end)]
        position = end
    found += _unseen_runs(text, spans)
    kept = "".join([*parts, text[position:]])
    return without_unseen(kept), tuple(sorted(found, key=lambda hidden: hidden.offset))


def _unseen_runs(text: str, spans: list[tuple[int, int, str]]) -> Iterator[Hidden]:
    """Unseen characters outside the spans, one entry per line of the text."""
    by_line: dict[int, list[int]] = {}
    inside = iter([*spans, (len(text), len(text), "")])
    start, end, _ = next(inside)
    line = 0
    for index, character in enumerate(text):
        line += character == "\n"
        while index >= end:
            start, end, _ = next(inside)
        if index < start and is_unseen(character):
            by_line.setdefault(line, []).append(index)
    for indices in by_line.values():
        codes = sorted({f"U+{ord(text[index]):04X}" for index in indices})
        spelled = "".join(
            chr(ord(text[index]) - 0xE0000) for index in indices if ord(text[index]) in _TAGS
        )
        named = ", ".join(codes[:SHOWN_CODES]) + (", …" if len(codes) > SHOWN_CODES else "")
        many = f"{len(indices)} characters without a glyph ({named})"
        yield Hidden(indices[0], many, escaped(spelled, SHOWN_CHARACTERS))


def _spans(text: str) -> list[tuple[int, int, str]]:
    """Hidden stretches as (start, end, what), ascending, none inside another."""
    found: list[tuple[int, int, str]] = []
    open_tags: list[tuple[str, int, str]] = []
    open_count: dict[str, int] = {}
    last_comment_end = text.rfind("-->")
    position = 0
    while match := _TOKEN.search(text, position):
        position = match.end()
        if match["fence"]:
            position = _fence_end(text, match)
        elif match["comment"]:
            # A comment that never ends hides nothing, as in `bundle.passages`.
            if last_comment_end >= position:
                position = text.index("-->", position) + len("-->")
                found.append((match.start(), position, "comment"))
        elif match["reference"]:
            found.append((match.start(), match.end(), "comment"))
        elif match["latex"]:
            if end := _group_end(text, match.end()):
                found.append((match.start(), end, "white or phantom LaTeX"))
                position = end
        elif match["close"]:
            name = match["tag"].lower()
            if open_count.get(name):
                found += _closed(open_tags, open_count, name, match.end())
        else:
            name = match["tag"].lower()
            if name not in _VOID and not match["attributes"].endswith("/"):
                open_tags.append((name, match.start(), _why_hidden(name, match["attributes"])))
                open_count[name] = open_count.get(name, 0) + 1
    # An element that is never closed hides the rest of its paragraph.
    ends = [match.start() for match in _PARAGRAPH_END.finditer(text)] if open_tags else []
    ends.append(len(text))
    found += [(start, ends[bisect_left(ends, start)], why) for _, start, why in open_tags if why]
    return _outermost(found)


def _closed(
    open_tags: list[tuple[str, int, str]], open_count: dict[str, int], name: str, end: int
) -> Iterator[tuple[int, int, str]]:
    """The hidden elements that end with this closing tag: its own and those left open inside it."""
    while open_tags:
        inner, start, why = open_tags.pop()
        open_count[inner] -= 1
        if why:
            yield start, end, why
        if inner == name:
            return


def _outermost(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    kept: list[tuple[int, int, str]] = []
    for start, end, what in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, what))
        elif end > kept[-1][1]:
            kept[-1] = (kept[-1][0], end, kept[-1][2])
    return kept


def _why_hidden(name: str, attributes: str) -> str:
    """What hides an element's text, or nothing."""
    if name in _NEVER_SHOWN:
        return f"{name} element"
    lower = attributes.lower()
    style = _HIDDEN_STYLE.search("".join(lower.split()))
    if style or _HIDDEN_ATTRIBUTE.search(lower):
        return f"element styled {style[0]}" if style else "element marked hidden"
    return ""


def _fence_end(text: str, match: re.Match[str]) -> int:
    """Where a code block ends: its content is shown as it stands."""
    mark = match["fence"].strip()
    end = _FENCE_ENDS[mark[0]].finditer(text, match.end())
    return next((found.end() for found in end if len(found[1]) >= len(mark)), len(text))


_FENCE_ENDS: Mapping[str, re.Pattern[str]] = {
    mark: re.compile(rf"^[ \t]{{0,3}}({re.escape(mark)}{{3,}})", re.MULTILINE) for mark in "`~"
}


def _group_end(text: str, start: int) -> int:
    """Offset after the brace that closes a LaTeX group, or 0."""
    depth = 1
    for brace in _BRACE.finditer(text, start, start + MAX_LATEX_CHARACTERS):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return 0
