"""Faithfulness as a curve: the share of performance kept by nothing, random circuits, the circuit, everything."""

from dataclasses import dataclass

from markupsafe import Markup

from pytest_mecheval.evidence.decision import Estimate
from pytest_mecheval.report.html.svg import Scale, axis, diamond, drawable, drawing, element, number
from pytest_mecheval.report.outcome import Outcome

WIDTH, _HEIGHT = 460.0, 214.0
_LEFT, _RIGHT = 44.0, 420.0
_TOP, _BOTTOM = 16.0, 168.0
KIND = "faithfulness"


@dataclass(frozen=True, slots=True)
class Circuit:
    """Share of the model's performance that a circuit of known size keeps; random ones beside it."""

    inside: int
    """Components of the circuit."""
    whole: int
    """Components of the model."""
    estimate: Estimate
    """A share: the whole model keeps 1 and the empty circuit 0 by its definition."""
    least: float
    """Smallest share that supports the claim; 2 minus it is the largest."""
    controls: tuple[float, ...]
    """Shares kept by random circuits of the same size."""


def circuit_share(outcome: Outcome) -> Circuit | None:
    """What a curve shows; None unless a share of a circuit of known size was measured."""
    decision, size = outcome.decision, _sizes(outcome)
    if outcome.kind != KIND or decision is None or decision.threshold is None or size is None:
        return None
    estimate = decision.estimate
    if estimate is None or not all(map(drawable, (estimate.value, estimate.lower, estimate.upper))):
        return None
    controls = tuple(control.value for control in decision.controls if drawable(control.value))
    return Circuit(*size, estimate, decision.threshold, controls)


def share_curve(outcome: Outcome) -> Markup | None:
    """The picture: three known points of the curve, the middle one with its interval and random circuits."""
    found = circuit_share(outcome)
    if found is None:
        return None
    inside, whole, estimate = found.inside, found.whole, found.estimate
    least, controls = found.least, found.controls
    values = [0.0, 1.0, 2 - least, estimate.lower, estimate.upper, *controls]
    y = Scale.around(values, _BOTTOM, _TOP)
    x = Scale(0, whole, _LEFT, _RIGHT)
    place = x.at(inside)
    band_top, band_bottom = y.at(2 - least), y.at(least)
    points = ((x.at(0), y.at(0)), (place, y.at(estimate.value)), (x.at(whole), y.at(1)))
    interval = f"M{number(place)} {number(y.at(estimate.lower))}V{number(y.at(estimate.upper))}"
    for bound in (estimate.lower, estimate.upper):
        interval += f"M{number(place - 6)} {number(y.at(bound))}h12"
    parts = [
        element(
            "rect",
            x=_LEFT,
            y=band_top,
            width=_RIGHT - _LEFT,
            height=band_bottom - band_top,
            class_="ok",
        ),
        element(
            "text",
            f"needed: {least:.3g} to {2 - least:.3g}",
            x=_RIGHT - 6,
            y=band_top - 5,
            class_="row end",
        ),
        *(_gridline(y, tick) for tick in y.ticks()),
        element(
            "path", d="M" + "L".join(f"{number(a)} {number(b)}" for a, b in points), class_="curve"
        ),
        *(element("circle", cx=place, cy=y.at(value), r=3.4, class_="ctl") for value in controls),
        element("path", d=interval, class_="whisker"),
        diamond(*points[1], 6.5, "mark"),
        *(
            element("circle", cx=a, cy=b, r=3.5, class_="end-dot")
            for a, b in (points[0], points[2])
        ),
        axis(x, _BOTTOM, "components left in place"),
    ]
    said = (
        f"Share of performance kept: nothing 0, the circuit of {inside} of {whole} components "
        f"{estimate.value:.3g} ({estimate.lower:.3g} to {estimate.upper:.3g}), the whole model 1; "
        f"{len(controls)} random circuits of that size"
    )
    return drawing(WIDTH, _HEIGHT, said, *parts)


def _gridline(y: Scale, tick: float) -> Markup:
    return element(
        "path", d=f"M{number(_LEFT)} {number(y.at(tick))}h{number(_RIGHT - _LEFT)}", class_="ring"
    ) + element("text", f"{tick:.3g}", x=_LEFT - 7, y=y.at(tick) + 4, class_="tk end")


def _sizes(outcome: Outcome) -> tuple[int, int] | None:
    """Components in the circuit and in the model; a whole attention layer counts as its heads."""
    shape = outcome.subject.get("shape")
    components = outcome.spec.get("components")
    if not isinstance(shape, dict) or not isinstance(components, list):
        return None
    heads, layers = int(shape["n_heads"]), int(shape["n_layers"])
    whole = layers * (heads + (1 if shape.get("d_mlp") else 0))
    inside = sum(heads if "." not in name and name.startswith("a") else 1 for name in components)
    return (inside, whole) if 0 < inside < whole else None
