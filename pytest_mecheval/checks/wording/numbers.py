"""Every number in a spec stands in the quote, or the evaluator owns up to having filled it in."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_mecheval.bundle.naming import components_named, heads_numbered
from pytest_mecheval.checks.stated_numbers import figures_in, states
from pytest_mecheval.checks.wording.view import Mismatch, Rule, View
from pytest_mecheval.stats.rounding import Stated

CONTEXT_FIELDS = frozenset({"n"})
"""Sample sizes: reports state them once ("2,048 prompts, as everywhere below")."""
HEAD_FIELDS = frozenset({"heads"})
"""Numbers that are names."""
TOLERANCE = 1e-9
"""Relative difference of binary numbers that were the same decimal."""

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
_WORDS: Mapping[str, float] = {
    **{word: float(value) for value, word in enumerate(_UNITS.split())},
    **{"thirty": 30, "fifty": 50, "hundred": 100, "thousand": 1000},
    **{
        "half": 0.5,
        "third": 1 / 3,
        "quarter": 0.25,
        "tenth": 0.1,
        "single": 1,
        "pair": 2,
        "both": 2,
    },
}
_EVERY = re.compile(r"\b(all|each|every|any|both|in turn|remaining|other)\b", re.IGNORECASE)
_BACK = re.compile(r"\b(circuit|heads?|it|its|them|those|these|same)\b", re.IGNORECASE)
_SIZE = re.compile(
    r"(?:\bn\s*=\s*|(?<![\w.,]))\d[\d,]*(?:\s+[\w-]+){0,2}?\s+(?:prompts?|inputs?|examples?|samples?|sequences?|sentences?|pairs?|items?|texts?|lists?|strings?|problems?|trials?|instances?)\b"
    r"|\bn\s*=\s*\d[\d,]*",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"(?<=\d)\s*(?:per\s?cent|percent)\b", re.IGNORECASE)


def numbers_in(text: str) -> tuple[float, ...]:
    """Sizes of all numbers a text states, in digits or words; percent as a fraction.

    >>> numbers_in("three of 95% cost 1,200 nats")
    (0.95, 1200.0, 3.0)
    """
    figures = [abs(Stated(figure).value) for figure in figures_in(_PERCENT.sub("%", text))]
    words = [_WORDS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _WORDS]
    return (*figures, *words)


def number_mismatches(view: View) -> Iterator[Mismatch]:
    """Numbers of the spec that the text does not state."""
    exact = view.outer.figures(view.outer.spec.model_validate(dict(view.claim.spec)))
    for name, value in _leaves(view):
        field = name.rpartition(".")[2]
        if field in view.operationalised or name.partition(".")[0] in view.operationalised:
            continue
        if field in exact and isinstance(value, str):
            if not states(view.quote, value):
                yield Mismatch(Rule.NUMBER, _said(view.quote), f"{name}: {value}")
        elif isinstance(value, int | float) and not _stated(view, field, value):
            yield Mismatch(Rule.NUMBER, _said(view.quote), f"{name}: {value}")


def _said(quote: str) -> str:
    found = figures_in(quote)
    return f"only {', '.join(found)}" if found else "no number"


def _stated(view: View, field: str, value: float) -> bool:
    if field in HEAD_FIELDS:
        named = [each.component.head for each in components_named(view.quote)]
        if _EVERY.search(view.quote) or value in (*named, *heads_numbered(view.quote)):
            return True
        if _BACK.search(view.quote):
            around = [each.component.head for each in components_named(view.prose)]
            return value in (*around, *heads_numbered(view.prose))
    if field == "min_prompts":
        return True  # more than the text says only asks for more; less is for the strength rules
    found = sizes_in(view.document) if field in CONTEXT_FIELDS else numbers_in(view.quote)
    return any(abs(each - abs(value)) <= TOLERANCE * max(1.0, each) for each in found)


def sizes_in(text: str) -> tuple[float, ...]:
    """Numbers that count prompts."""
    return tuple(number for match in _SIZE.finditer(text) for number in numbers_in(match[0]))


def _leaves(view: View) -> Iterator[tuple[str, Any]]:
    """Numbers and number texts of the given fields, with their dotted names."""
    for name in sorted(view.given):
        yield from _walk(name, view.given[name])


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _walk(name, inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield name, value
