"""Checks on generator parameters, each returning a readable problem or an empty string."""

from collections.abc import Sequence
from typing import Any

MAX_TOKEN = 2**31 - 1
"""Largest token id; no vocabulary comes near, and it fits every integer type on the way."""


def whole(name: str, value: Any, *, low: int, high: int = MAX_TOKEN) -> str:
    """Problem with a value that must be a whole number in [low, high], or ``.

    >>> whole("vocab", 3.5, low=4)
    'vocab: 3.5 is not a whole number'
    >>> whole("vocab", 3, low=4)
    'vocab: 3 is below the smallest possible value 4'
    """
    if isinstance(value, bool) or not isinstance(value, int):
        return f"{name}: {value!r} is not a whole number"
    if value < low:
        return f"{name}: {value} is below the smallest possible value {low}"
    if value > high:
        return f"{name}: {value} is above the largest possible value {high}"
    return ""


def optional_token(name: str, value: Any) -> str:
    """Problem with a token id that may be absent, or ``."""
    return "" if value is None else whole(name, value, low=0)


def flag(name: str, value: Any) -> str:
    """Problem with a value that must be true or false, or ``."""
    return "" if isinstance(value, bool) else f"{name}: {value!r} is neither true nor false"


def interval(name: str, value: Any, *, low: int, high: int = MAX_TOKEN) -> str:
    """Problem with a pair [smallest, largest] of whole numbers, both inclusive, or ``.

    >>> interval("periods", (9, 6), low=2)
    'periods: [9, 6] runs backwards'
    """
    if not isinstance(value, tuple) or len(value) != len(("smallest", "largest")):
        return f"{name}: {value!r} is not a pair [smallest, largest]"
    if problem := " and ".join(filter(None, (whole(name, v, low=low, high=high) for v in value))):
        return problem
    return f"{name}: {list(value)} runs backwards" if value[0] > value[1] else ""


def choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Problem with a word that must be one of a few, or ``."""
    if value in allowed:
        return ""
    return f"{name}: {value!r} is not one of {', '.join(allowed)}"


def different(**tokens: int | None) -> str:
    """Problem when two special tokens share an id, or ``; absent ones do not count."""
    taken: dict[int, str] = {}
    for name, token in tokens.items():
        if token is None:
            continue
        if token in taken:
            return f"{name}: token id {token} is already {taken[token]}"
        taken[token] = name
    return ""


def refuse(*problems: str) -> None:
    """Report all problems at once.

    Raises:
        ValueError: at least one text is not empty.
    """
    if found := [problem for problem in problems if problem]:
        raise ValueError("; ".join(found))


def as_tuple(value: Any) -> Any:
    """Lists, also nested ones, as tuples: claim files know only lists, frozen parameters only tuples."""
    return tuple(as_tuple(item) for item in value) if isinstance(value, list | tuple) else value
