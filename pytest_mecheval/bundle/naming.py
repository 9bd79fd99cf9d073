"""Components as prose names them, in every style that bundles use: a9.h6, L9H6, 9.6, head 6 of layer 9, MLP 4."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mecheval.vocabulary import Component

MAX_LISTED = 64
"""Numbers after one word ("heads 1, 2 and 3"); longer lists are data, not prose."""

_LIST = r"\d{1,3}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)\d{1,3})*(?![\d.]*\d)"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<![\w.])a(?P<layer>\d{1,3})\.h(?P<head>\d{1,3})(?!\w)",
        r"(?<![\w.])L(?P<layer>\d{1,3})[.\s]?H(?P<head>\d{1,3})(?!\w)",
        r"(?<![\w.])heads?\s+(?P<layer>\d{1,3})\.(?P<head>\d{1,3})(?!\w|\.\d)",
        rf"(?<!\w)heads?\s+(?P<heads>{_LIST})\s+(?:of|in|at)\s+layer\s+(?P<layer>\d{{1,3}})(?![\d.]*\d)",
        rf"(?<!\w)layer[\s-]+(?P<layer>\d{{1,3}})[,\s]+(?:attention\s+)?heads?\s+(?P<heads>{_LIST})",
        r"(?<![\w.])m(?P<mlp>\d{1,3})(?!\w|\.\w)",
        r"(?<!\w)(?:L(?P<mlp>\d{1,3})\s+MLP|MLP[\s_-]?(?P<mlp2>\d{1,3})|MLP\s+(?:of|in|at)\s+layer\s+(?P<mlp3>\d{1,3})|layer[\s-]+(?P<mlp4>\d{1,3})(?:'s)?\s+MLP)(?!\w|\.\d)",
        r"(?<!\w)blocks\.(?P<mlp>\d{1,3})\.(?:hook_mlp_out|mlp)(?!\w)",
        r"(?<!\w)blocks\.(?P<attn>\d{1,3})\.(?:hook_attn_out|attn)(?!\w)",
    )
)
_BARE_HEAD = re.compile(rf"(?<!\w)heads?\s+(?P<heads>{_LIST})(?!\.\d)", re.IGNORECASE)
_DOTTED = re.compile(r"(?<![\w.,])(?P<layer>\d{1,2})\.(?P<head>\d{1,2})(?![\w.%]|\s*%)")
_HEAD_WORD = re.compile(r"(?<!\w)heads?(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """A component and where a text names it."""

    component: Component
    start: int
    end: int


def components_named(text: str) -> tuple[Named, ...]:
    """Every component that a text names with its layer, in reading order, each mention once.

    A bare `9.6` counts only in a list that the word "heads" opens ("heads 9.6 and 10.0"): elsewhere it
    is a decimal number.

    >>> [str(n.component) for n in components_named("Heads 9.6 and 10.0, L4H11, MLP 3 gain 0.7 nats")]
    ['a9.h6', 'a10.h0', 'a4.h11', 'm3']
    """
    found = [named for pattern in _PATTERNS for named in _matches(pattern, text)]
    for named in tuple(found):
        if _HEAD_WORD.match(text[named.start : named.end]):
            found += _dotted_list(text, named.end)
    kept: dict[tuple[int, Component], Named] = {}
    for named in sorted(found, key=lambda each: (each.start, each.component)):
        kept.setdefault((named.start, named.component), named)
    return tuple(kept.values())


def heads_numbered(text: str) -> tuple[int, ...]:
    """Numbers of heads that a text names without a layer, as one-layer models allow: `head 2`.

    >>> heads_numbered("Head 2 was ablated, heads 0 and 1 were not; head 1.6 has a layer")
    (2, 0, 1)
    """
    numbers = [number for match in _BARE_HEAD.finditer(text) for number in _numbers(match["heads"])]
    return tuple(dict.fromkeys(numbers))


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[Named]:
    for match in pattern.finditer(text):
        groups = {name: value for name, value in match.groupdict().items() if value is not None}
        for component in _components(groups):
            yield Named(component, match.start(), match.end())


def _components(groups: dict[str, str]) -> Iterator[Component]:
    mlp = next((value for name, value in groups.items() if name.startswith("mlp")), None)
    if mlp is not None:
        yield Component("mlp", int(mlp))
    elif "attn" in groups:
        yield Component("attn", int(groups["attn"]))
    else:
        heads = [int(groups["head"])] if "head" in groups else _numbers(groups["heads"])
        for head in heads:
            yield Component("head", int(groups["layer"]), head)


def _numbers(listed: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,3}", listed)[:MAX_LISTED]]


def _dotted_list(text: str, position: int) -> Iterator[Named]:
    """`and 10.0` after `heads 9.6`."""
    joint = re.compile(r"\s*(?:,\s*and|,|and|&|or)\s+")
    for _ in range(MAX_LISTED):
        glue = joint.match(text, position)
        match = _DOTTED.match(text, glue.end()) if glue else None
        if match is None:
            return
        component = Component("head", int(match["layer"]), int(match["head"]))
        yield Named(component, match.start(), match.end())
        position = match.end()
