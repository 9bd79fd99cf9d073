"""How text that others wrote is shown in our messages: one line, visible characters, bounded length."""

import unicodedata

SHOWN_CHARACTERS = 100
"""Longest excerpt in a message; a reader needs enough to recognise the sentence, not all of it."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def has_invisible(text: str) -> bool:
    """Whether a terminal or an editor could show this text as something else.

    Control characters (ANSI sequences, newlines), bidirectional and zero-width marks, lone surrogates.
    """
    return any(unicodedata.category(character) in _INVISIBLE for character in text)


def escaped(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    r"""The text with every invisible character spelled out, cut after `limit` characters.

    >>> escaped("a\x1b[31mb\nc")
    'a\\u{1b}[31mb\\u{a}c'
    """
    cut = text[:limit]
    shown = "".join(
        f"\\u{{{ord(character):x}}}" if _misleads(character) else character for character in cut
    )
    return shown if len(text) <= limit else f"{shown}…"


def _misleads(character: str) -> bool:
    """Not seen, or seen as a plain space without being one."""
    category = unicodedata.category(character)
    return category in _INVISIBLE or (category == "Zs" and character != " ")
