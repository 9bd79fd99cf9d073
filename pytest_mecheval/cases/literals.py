"""Python source for plain values and calls, laid out the way black and ruff would."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

WIDTH = 88
"""Line length of the usual formatters' default."""
INDENT = "    "
QUOTES = '"""'


def call(name: str, arguments: Mapping[str, Any], indent: str = INDENT) -> str:
    """Source of a call with keyword arguments, wrapped where it does not fit.

    >>> print(call("audit.scope", {"strata": ["fresh"], "min_drop": 2.0}))
        audit.scope(strata=["fresh"], min_drop=2.0)
    """
    parts = [(f"{field}=", value) for field, value in arguments.items()]
    return _bracketed(f"{name}(", parts, ")", indent)


def docstring(text: str, indent: str = INDENT, remark: str = "") -> str:
    """A docstring line or block that reads back as `text`, whatever characters it holds.

    Control characters and text direction marks are written as escapes, so that a quote can neither
    end the docstring nor reorder what a reviewer sees.

    Args:
        text: any text; white space is collapsed.
        indent: of the docstring.
        remark: a second paragraph, written by us.
    """
    safe = "".join(_escaped(character) for character in " ".join(text.split()))
    safe = safe.replace(QUOTES, r"\"\"\"")
    if safe.endswith('"'):
        safe = safe[:-1] + r"\""
    line = f"{indent}{QUOTES}{safe}{QUOTES}"
    if len(line) <= WIDTH and not remark:
        return line
    lines = _filled(QUOTES + safe, indent)
    if remark:
        lines += ["", *_filled(remark, indent)]
    return "\n".join([*lines, indent + QUOTES])


def _filled(text: str, indent: str) -> list[str]:
    """Lines of at most `WIDTH` characters; words are never split."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def literal(value: Any) -> str:
    """One-line source of a JSON value, strings in double quotes."""
    match value:
        case str():
            return _string(value)
        case Mapping():
            return (
                "{" + ", ".join(f"{_string(str(k))}: {literal(v)}" for k, v in value.items()) + "}"
            )
        case list() | tuple():
            return "[" + ", ".join(literal(item) for item in value) + "]"
        case _:
            return repr(value)


def _string(text: str) -> str:
    """Source of a string, in the quotes that the usual formatters would choose."""
    body = "".join(_escaped(character) for character in text)
    if text.count('"') > text.count("'"):
        return "'" + body.replace("'", r"\'") + "'"
    return '"' + body.replace('"', r"\"") + '"'


def _bracketed(opening: str, parts: Iterable[tuple[str, Any]], closing: str, indent: str) -> str:
    """One line when it fits, else the content on one line of its own, else one item per line."""
    items = [(label, value) for label, value in parts]
    flat = ", ".join(label + literal(value) for label, value in items)
    if len(indent + opening + flat + closing) <= WIDTH or not items:
        return f"{indent}{opening}{flat}{closing}"
    inner = indent + INDENT
    if len(inner + flat) <= WIDTH and closing == ")":
        return f"{indent}{opening}\n{inner}{flat}\n{indent}{closing}"
    lines = [_item(label, value, inner) + "," for label, value in items]
    return "\n".join([f"{indent}{opening}", *lines, f"{indent}{closing}"])


def _item(label: str, value: Any, indent: str) -> str:
    line = f"{indent}{label}{literal(value)}"
    if len(line) + 1 <= WIDTH:
        return line
    match value:
        case Mapping() if value:
            pairs = [(f"{_string(str(key))}: ", entry) for key, entry in value.items()]
            return _bracketed(f"{label}{{", pairs, "}", indent)
        case list() | tuple() if value:
            return _bracketed(f"{label}[", [("", entry) for entry in value], "]", indent)
        case _:
            return line
