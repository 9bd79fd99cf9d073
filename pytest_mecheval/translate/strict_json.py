"""JSON that others wrote, read strictly: one object, no duplicate keys, no NaN, bounded size and depth."""

import json
from typing import Any

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.json_hooks import no_constant, unique_keys
from pytest_mecheval.errors import UsageError

MAX_CHARACTERS = 1_000_000
"""Longest text read; an answer is a few thousand characters."""
MAX_DEPTH = 40
"""Objects and lists inside each other; a claim needs five."""
_FENCE = "```"


class NotJson(UsageError):
    """The text is no such JSON object; says why in one line."""


def json_object(text: str) -> dict[str, Any]:
    r"""The object that a text holds; a Markdown code fence around it is dropped.

    Raises:
        NotJson: not JSON, not an object, duplicate keys, NaN or infinity, too long or too deep.

    >>> json_object('```json\n{"a": [1]}\n```')
    {'a': [1]}
    """
    if len(text) > MAX_CHARACTERS:
        raise NotJson(f"{len(text)} characters, at most {MAX_CHARACTERS} are read")
    bare = _without_fence(text)
    _refuse_depth(bare)
    try:
        found = json.loads(bare, parse_constant=no_constant, object_pairs_hook=unique_keys)
    # A whole number of more than some thousand digits is a plain ValueError.
    except ValueError as error:
        raise NotJson(f"not JSON: {escaped(str(error))}") from None
    if not isinstance(found, dict):
        raise NotJson(f"must be one JSON object, not {_named(found)}")
    _refuse_infinity(found)
    return found


def _without_fence(text: str) -> str:
    bare = text.strip().removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    if not (bare.startswith(_FENCE) and bare.endswith(_FENCE) and "\n" in bare):
        return bare
    return bare.partition("\n")[2].removesuffix(_FENCE)


def _refuse_depth(text: str) -> None:
    """Before parsing, because the parser recurses: brackets outside strings are counted."""
    depth = 0
    in_text = skip = False
    for character in text:
        if skip:
            skip = False
        elif in_text:
            skip = character == "\\"
            in_text = character != '"'
        elif character == '"':
            in_text = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJson(f"more than {MAX_DEPTH} lists or objects inside each other")
        elif character in "]}":
            depth -= 1


def _refuse_infinity(value: Any) -> None:
    """`1e999` passes the parser as infinity."""
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise NotJson("a number is too large")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _refuse_infinity(item)


def _named(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else f"a {type(value).__name__}"
