"""A bundle's prose as numbered passages with file and line: sentences, bullets, headings, table rows.

Line-based and deterministic; coverage counts over these. Every passage can be quoted at its line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pytest_mecheval.bundle.contents import Bundle, Document, Role
from pytest_mecheval.bundle.quoting import normalised

PassageKind = Literal["sentence", "bullet", "heading", "table_row", "code"]

ABBREVIATIONS = frozenset(
    {
        *("al", "approx", "ca", "cf", "ch", "e.g", "eq", "eqs", "esp", "etc", "fig", "figs"),
        *("i.e", "incl", "no", "nos", "p", "pp", "ref", "refs", "resp", "sec", "st", "tab", "viz"),
        *("vs", "dr", "mr", "ms", "prof"),
    }
)
"""Words whose full stop does not end a sentence; lower case, without that stop."""

_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"\s{0,3}#{1,6}(\s|$)")
_UNDERLINE = re.compile(r"\s{0,3}(=+|-+)\s*")
_BULLET = re.compile(r"\s*([-*+•‣✓✗✅❌]|\(?(\d{1,4}|[A-Za-z])[.)])\s+(?=\S)")
_TABLE_ROW = re.compile(r"\s{0,3}\|.*\|\s*")
_BLOCKQUOTE = re.compile(r"\s{0,3}(>\s?)+")
_SENTENCE_END = re.compile("(?<![.!?])[.!?]+[\"'\N{RIGHT DOUBLE QUOTATION MARK})\\]*_`]*\\s")
"""Starts only where a run of stops starts, which keeps a line of a million dots linear."""
_NAME = re.compile(
    r"(?:a\d{1,3}(?:\.h\d{1,3})?|[mr]\d{1,3}|[\w/-]{1,80}\.(?:py|ipynb|json))(?![\w.])"
)
"""Components and files keep their small letter at the start of a sentence."""
_LAST_WORD = re.compile(r"[\w.]+")
MIN_RULE_MARKS = 3
_TABLE_LINE_CHARACTERS = frozenset("-|: \t")
_COMMENT_START, _COMMENT_END = "<!--", "-->"


_Where = Literal["prose", "fence", "code"]


@dataclass(frozen=True, slots=True)
class Passage:
    """One statement-sized piece of prose."""

    number: int
    """From 1, over the whole bundle, in reading order."""
    file: str
    line: int
    """Line of the file on which it begins."""
    text: str
    """White space normalised; occurs like this in the file."""
    role: Role
    kind: PassageKind


@dataclass(frozen=True, slots=True)
class _Piece:
    index: int
    """Line of the text, from 0."""
    text: str
    kind: PassageKind


@dataclass
class _Block:
    """Consecutive lines that read as one text."""

    kind: PassageKind
    lines: list[tuple[int, str]]


def passages(bundle: Bundle) -> tuple[Passage, ...]:
    """All passages of a bundle: its documents in reading order, then its notebooks' markdown cells."""
    found: list[tuple[Document, _Piece]] = []
    for document in bundle.documents:
        found += [(document, piece) for piece in _pieces(document.text.split("\n"), 0)]
    for notebook in bundle.notebooks:
        for cell in notebook.cells:
            if cell.kind == "markdown":
                lines = cell.source.split("\n")
                found += [(notebook.document, piece) for piece in _pieces(lines, cell.first)]
    return tuple(
        Passage(
            number=number,
            file=document.path,
            line=document.line_number(piece.index),
            text=piece.text,
            role=document.role,
            kind=piece.kind,
        )
        for number, (document, piece) in enumerate(found, start=1)
    )


def _pieces(lines: list[str], first: int) -> Iterator[_Piece]:
    for block in _blocks(lines, first):
        yield from _sentences(block) if block.kind in ("sentence", "bullet") else _whole(block)


def _blocks(lines: list[str], first: int) -> Iterator[_Block]:
    """Lines grouped into paragraphs, list items, headings, table rows and fenced code."""
    current: _Block | None = None
    for index, line, place in _visible(lines, first):
        if place == "code" and current is not None:
            current.lines.append((index, line))
        elif place == "prose" and current is not None and _makes_heading(current, line):
            current.kind = "heading"
            yield current
            current = None
        elif place == "prose" and (continued := _continues(current, line)):
            continued.lines.append((index, line))
        else:
            if current is not None:
                yield current
            current = _Block("code", []) if place == "fence" else _opened(index, line)
    if current is not None:
        yield current


def _continues(current: _Block | None, line: str) -> _Block | None:
    """The paragraph or list item that this line goes on with, or None."""
    if current is None or current.kind not in ("sentence", "bullet"):
        return None
    bare = _BLOCKQUOTE.sub("", line, count=1)
    starts_anew = (
        not bare.strip()
        or _HEADING.match(bare)
        or _BULLET.match(bare)
        or _TABLE_ROW.fullmatch(bare)
        or _is_table_line(bare)
        or _is_rule(bare)
    )
    return None if starts_anew else current


def _opened(index: int, line: str) -> _Block | None:
    """The block that a line begins; None for blank lines and rules."""
    bare = _BLOCKQUOTE.sub("", line, count=1)
    if not bare.strip() or _is_rule(bare) or _is_table_line(bare):
        return None
    if match := _HEADING.match(bare):
        title = bare[match.end() :].strip()
        return _Block("heading", [(index, title)]) if title else None
    if _TABLE_ROW.fullmatch(bare):
        return _Block("table_row", [(index, bare)])
    if match := _BULLET.match(bare):
        return _Block("bullet", [(index, bare[match.end() :])])
    return _Block("sentence", [(index, line)])


def _makes_heading(current: _Block, line: str) -> bool:
    """Whether this line says that the one before is a title: underlined, or a table's header row."""
    if current.kind == "table_row":
        return _is_table_line(line)
    return current.kind == "sentence" and _UNDERLINE.fullmatch(line) is not None


def _is_table_line(line: str) -> bool:
    """The line under a table's header: only dashes, bars and colons."""
    return "-" in line and "|" in line and set(line) <= _TABLE_LINE_CHARACTERS


def _is_rule(line: str) -> bool:
    """A horizontal rule: three or more equal marks and nothing else."""
    marks = "".join(line.split())
    return len(marks) >= MIN_RULE_MARKS and marks[0] in "-*_" and marks == marks[0] * len(marks)


def _visible(lines: list[str], first: int) -> Iterator[tuple[int, str, _Where]]:
    """Lines and where they stand, without HTML comments, which a reader of the rendered text misses.

    A blank line stands where a comment was, so that no passage runs across it. A comment that never
    ends hides nothing: otherwise one mark would keep a whole report out of the coverage.
    """
    last_end = max((i for i, line in enumerate(lines) if _COMMENT_END in line), default=-1)
    hidden = False
    fence = ""
    for offset, line in enumerate(lines):
        match = None if hidden else _FENCE.match(line)
        if match and (not fence or match[1].startswith(fence)):
            fence = "" if fence else match[1]
            yield first + offset, line, "fence"
            continue
        if fence:
            yield first + offset, line, "code"
            continue
        rest = line
        while rest:
            if hidden:
                _, ended, rest = rest.partition(_COMMENT_END)
                hidden = not ended
                continue
            before, started, after = rest.partition(_COMMENT_START)
            if not started or not (offset < last_end or _COMMENT_END in after):
                break
            yield first + offset, before, "prose"
            yield first + offset, "", "prose"
            hidden, rest = True, after
        if not hidden:
            yield first + offset, rest, "prose"


def _whole(block: _Block) -> Iterator[_Piece]:
    text = normalised("\n".join(line for _, line in block.lines))
    if text:
        index = next(index for index, line in block.lines if line.strip())
        yield _Piece(index, text, block.kind)


def _sentences(block: _Block) -> Iterator[_Piece]:
    """The sentences of a paragraph or list item, each with the line it begins on."""
    parts = [(index, text) for index, line in block.lines if (text := normalised(line))]
    starts: list[int] = []
    offset = 0
    for _, text in parts:
        starts.append(offset)
        offset += len(text) + 1
    whole = " ".join(text for _, text in parts)
    part = 0
    begin = 0
    for end in _sentence_ends(whole):
        sentence = whole[begin:end].strip()
        if sentence:
            while part + 1 < len(starts) and starts[part + 1] <= begin:
                part += 1
            yield _Piece(parts[part][0], sentence, block.kind)
        begin = end


def _sentence_ends(text: str) -> Iterable[int]:
    """Offsets just after the white space that follows each sentence; the last is the text's end."""
    for match in _SENTENCE_END.finditer(text):
        if _ends_sentence(text, match):
            yield match.end()
    yield len(text)


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    if text[match.end() : match.end() + 1].islower() and not _NAME.match(text, match.end()):
        return False
    if not match[0].startswith("."):
        return True
    # Bounded look-back: the longest abbreviation is far shorter.
    words = _LAST_WORD.findall(text[max(0, match.start() - 20) : match.start()])
    word = words[-1].lower().strip(".") if words else ""
    # A single letter before the stop is an initial; a single digit may well end a sentence.
    return word not in ABBREVIATIONS and not (len(word) == 1 and text[match.start() - 1].isalpha())
