"""Whether a quoted sentence states a number: a claim file must not check a figure the bundle never wrote."""

import re
from decimal import Decimal

from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.stats.rounding import Stated

_FIGURE = re.compile(
    r"""(?<![\w.,])
        (?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:(?<=[0-9])|(?=\.[0-9]))(?:\.[0-9]+)?
        (?:[eE][+-]?[0-9]{1,3}|\s?[x\u00d7\u00b7*]\s?10\^?\{?[+\-\u2212⁻⁺]?[0-9⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}\}?)?
        (?:\s?%)?""",
    re.VERBOSE,
)
"""A figure in prose that is no part of a name such as a1.h3; its sign is read as part of the sentence."""


def states(quote: str, number: str) -> bool:
    """Whether the quote states the number with the same digits; signs are left to the sentence.

    >>> states("Zeroing a1.h3 costs 14.1 nats (98.5 %)", "14.1"), states("costs 14.1 nats", "1e1")
    (True, False)
    """
    return _digits(number) in {_digits(figure) for figure in figures_in(quote)}


def figures_in(quote: str) -> list[str]:
    """Every figure of a text as it is written, in reading order."""
    return [match[0] for match in figure_matches(normalised(quote))]


def figure_matches(text: str) -> list[re.Match[str]]:
    """Where the figures of a text stand."""
    found = []
    for match in _FIGURE.finditer(text):
        try:
            Stated(match[0])
        except ValueError:
            continue
        found.append(match)
    return found


def _digits(number: str) -> tuple[Decimal, int]:
    """Size and stated decimals: 0.72 and 0.720 are different statements."""
    stated = Stated(number)
    return abs(stated.exact), stated.decimals
