"""Untrusted text made inert: what a bundle wrote can be read in every report and can do nothing there.

Nothing here decides what is shown; callers pass every string that came from a bundle (quotes, file
names, task names, spec values) through `plain_line` or `plain_text` before a person or a viewer sees it.
"""

import re
import unicodedata

LINE_LIMIT = 300
"""Characters of a single line kept before a note says how many were cut."""
TEXT_LINES = 200
"""Lines of a longer text kept before a note says how many were cut."""
COMBINING_RUN = 3
"""Combining marks kept on one character; more of them paint over neighbouring lines."""

_DROPPED = frozenset("\ufe0e\ufe0f")
"""Emoji and text presentation selectors: no content, and common in honest prose."""
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Drawn as nothing although Unicode calls them letters, symbols or marks."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
_VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]")
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$^&=@:/?])")

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
"""The only places where an HTML parser leaves plain text (HTML standard, tag open state)."""
_ENTITY = re.compile(r"&(?=#|[A-Za-z][A-Za-z0-9]{1,31};)")
_SCHEME = re.compile(r"://")
_LOG_COMMAND = re.compile(r"(?<!\S)::(?=[A-Za-z])")
_LOG_DIRECTIVE = re.compile(r"##(?=[A-Za-z]*\[)")


def _visible(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"


def _legible(text: str) -> str:
    r"""Every character that is not drawn becomes an escape such as `\u{202e}`, odd spaces a space."""
    out: list[str] = []
    marks = 0
    for character in text:
        if " " <= character <= "~":
            marks = 0
            out.append(character)
            continue
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        if character in _DROPPED:
            continue
        if category == "Zs":
            out.append(" ")
        elif (
            category in _INVISIBLE
            or character in _BLANK
            or marks > COMBINING_RUN
            or _VARIATION.match(character)
        ):
            out.append(_visible(character))
        else:
            out.append(character)
    return "".join(out)


def disarm(text: str) -> str:
    r"""Look-alikes for what report viewers and CI logs act on: tags, entities, links, log commands.

    >>> ascii(disarm("<img> a < b https://x.org ::error::no"))
    "'\\u2039img> a < b https:\\u2044\\u2044x.org \\u2237error::no'"
    """
    text = _SCHEME.sub(":\u2044\u2044", _ENTITY.sub("\uff06", _TAG.sub("\u2039", text)))
    return _LOG_DIRECTIVE.sub("\u266f\u266f", _LOG_COMMAND.sub("\u2237", text))


def _note(missing: int) -> str:
    return f" [{missing} characters cut]"


def _taken(line: str, limit: int) -> str:
    """What is shown of a line: all of it where the note would be longer than what is missing."""
    missing = len(line) - limit
    return line if missing <= len(_note(missing)) else line[:limit]


def _cut(text: str, limit: int, *, beyond: int) -> str:
    """About `limit` characters, then a note on what is missing, `beyond` characters included."""
    missing = beyond + max(0, len(text) - limit)
    if not missing or (not beyond and missing <= len(_note(missing))):
        return text
    return f"{text[:limit].rstrip()}{_note(missing)}"


def plain_line(text: str, limit: int = LINE_LIMIT) -> str:
    r"""One inert line: white space collapsed, invisible characters escaped, overlong text cut.

    >>> plain_line("head\t1.6\n \x1b[2Kdestroys")
    'head 1.6 \\u{1b}[2Kdestroys'
    """
    line = " ".join(text.split())
    # What lies beyond the limit is never shown; escaping can only make the rest longer.
    taken = _taken(line, limit)
    shown = disarm(" ".join(_legible(taken).split()))
    return _cut(shown, limit, beyond=len(line) - len(taken))


def plain_text(text: str, limit: int = LINE_LIMIT, lines: int = TEXT_LINES) -> str:
    r"""Inert text that keeps its lines; every line is cut at `limit`, the whole after `lines`.

    >>> plain_text("a\r\nb\x07")
    'a\nb\\u{7}'
    """
    found = re.split(r"\r\n|\n|\r", text)
    shown = [
        _cut(disarm(_legible(taken).rstrip()), limit, beyond=length - len(taken))
        for length, taken in (
            (len(line), _taken(line, limit))
            for line in (line.expandtabs(4) for line in found[:lines])
        )
    ]
    if len(found) > lines:
        shown.append(f"[{len(found) - lines} lines cut]")
    return "\n".join(shown)


def markdown_escape(text: str, limit: int = LINE_LIMIT) -> str:
    r"""An inert line in which no character has a meaning in Markdown.

    >>> print(markdown_escape("![x](mailto:a) *a* 1.6"))
    \!\[x\]\(mailto\:a\) \*a\* 1\.6
    """
    return _PUNCTUATION.sub(r"\\\1", plain_line(text, limit))
