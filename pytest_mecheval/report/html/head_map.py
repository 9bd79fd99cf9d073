"""Attention of every measured head between two named positions, as a map of layers and heads."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from pytest_mecheval.errors import UsageError
from pytest_mecheval.report.html.svg import drawable, drawing, element
from pytest_mecheval.report.outcome import Outcome
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.vocabulary import Component
from pytest_mecheval.wire import Attention, load_step

MOST_CELLS = 1024
"""A larger map is unreadable, and would fill the page."""
WIDTH = 460.0
_LEFT, _TOP = 64.0, 26.0
_LARGEST_CELL = 46.0
_NUMBERS_FROM = 24.0
"""Cells of at least this size hold their number."""
_DARK = 0.5
"""From this mass on a cell's number is written in the light colour."""
_PALE, _FULL = 0.9, (0.78, 0.44)
"""Opacity is 0.9 times the mass below `_DARK`, then 0.78 and 0.44 more per unit: no cell lies between, where
neither colour of number could be read."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Mean attention mass of every head that was measured for one claim."""

    masses: Mapping[tuple[int, int], float]
    """By layer and head; a share."""
    layers: int
    """Rows of the map: up to the last measured layer."""
    heads: int
    claimed: Attention
    """The claim's own head, and from where to where it looks."""


def measured_heads(outcome: Outcome) -> Heads | None:
    """What a map shows; None unless attention of at least two heads was measured.

    Claimed head and controls only: other heads that the bundle makes claims about are no controls, so
    they were not measured for this claim and stay empty.
    """
    decision = outcome.decision
    claimed = _claimed(outcome)
    if decision is None or decision.estimate is None or claimed is None:
        return None
    named = [(control.name, control.value) for control in decision.controls]
    masses: dict[tuple[int, int], float] = {}
    for name, mass in [(claimed.head, decision.estimate.value), *named]:
        try:
            head = Component.parse(name)
        except UsageError:
            return None
        if head.kind == "head" and drawable(mass):
            masses[head.layer, head.head] = mass
    if len(masses) < 2:
        return None
    layers, heads = (1 + max(index) for index in zip(*masses, strict=True))
    return Heads(masses, layers, heads, claimed) if layers * heads <= MOST_CELLS else None


def head_map(outcome: Outcome) -> Markup | None:
    """The picture; None when there is nothing to compare."""
    found = measured_heads(outcome)
    return None if found is None else _map(found)


def _claimed(outcome: Outcome) -> Attention | None:
    """The attention entry that the claim is about."""
    probes = [load_step(record.step).probe for record in outcome.records]
    named = outcome.spec.get("head")
    if not isinstance(named, str):
        return None
    for probe in probes:
        if isinstance(probe, Attention) and probe.head == _canonical(named):
            return probe
    return None


def _canonical(name: str) -> str:
    try:
        return str(Component.parse(name))
    except UsageError:
        return name


def _map(found: Heads) -> Markup:
    masses, layers, heads, probe = found.masses, found.layers, found.heads, found.claimed
    size = min(_LARGEST_CELL, (WIDTH - _LEFT) / heads)
    claimed = Component.parse(probe.head)
    parts = []
    for layer in range(layers):
        y = _TOP + layer * size
        parts.append(element("text", f"layer {layer}", x=0, y=y + size / 2 + 4, class_="row"))
        for head in range(heads):
            x = _LEFT + head * size
            mass = masses.get((layer, head))
            parts.append(_cell(x, y, size, mass))
            if (layer, head) == (claimed.layer, claimed.head):
                parts.append(
                    element(
                        "rect",
                        x=x + 1,
                        y=y + 1,
                        width=size - 4,
                        height=size - 4,
                        rx=3,
                        class_="own",
                    )
                )
    if size >= _NUMBERS_FROM:
        parts += [
            element("text", f"h{head}", x=_LEFT + (head + 0.5) * size, y=_TOP - 8, class_="tk")
            for head in range(heads)
        ]
    query, key = plain_line(probe.query, 40), plain_line(probe.key, 40)
    caption = (
        f"mean attention from {query} to {key}; outlined: the claimed head; empty: not measured"
    )
    height = _TOP + layers * size + 4
    return drawing(WIDTH, height, f"{caption}. {_listed(masses)}", *parts)


def _cell(x: float, y: float, size: float, mass: float | None) -> Markup:
    box = {"x": x, "y": y, "width": size - 2, "height": size - 2, "rx": 3.0}
    if mass is None:
        return element("rect", **box, class_="gap")
    share = min(max(mass, 0.0), 1.0)
    opacity = _PALE * share if share < _DARK else _FULL[0] + _FULL[1] * (share - _DARK)
    cell = element("rect", **box, class_="gap") + element(
        "rect", **box, class_="heat", fill_opacity=f"{opacity:.2f}"
    )
    if size < _NUMBERS_FROM:
        return cell
    dark = "tk inv" if share >= _DARK else "tk cell"
    return cell + element(
        "text",
        f"{mass:.2f}".removeprefix("0"),
        x=x + size / 2 - 1,
        y=y + size / 2 + 3.5,
        class_=dark,
    )


def _listed(masses: Mapping[tuple[int, int], float]) -> str:
    strongest = sorted(masses.items(), key=lambda item: -item[1])[:5]
    said = ", ".join(f"a{layer}.h{head} {mass:.2f}" for (layer, head), mass in strongest)
    return f"Strongest: {said}"
