"""A claim's estimate with its interval beside its matched controls and the threshold, on one axis."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from pytest_mecheval.evidence.decision import Control, Decision, Estimate
from pytest_mecheval.report.columns import fit
from pytest_mecheval.report.failure import amount
from pytest_mecheval.report.html.svg import Scale, axis, diamond, drawable, drawing, element, number
from pytest_mecheval.report.plain import plain_line

WIDTH = 460.0
_LEFT, _RIGHT = 78.0, 448.0
_CLAIM_Y, _CONTROL_Y = 48.0, 92.0
_AXIS_Y = 122.0
_HEIGHT = 160.0
_LANES = 5
"""Controls are spread over this many heights, so that equal values stay apart."""
_LANE = 6.0
_CHARACTER = 6.6
"""Width of a label's character, to keep labels inside the picture."""
_NAME_CHARACTERS = 24


def effect_chart(decision: Decision) -> Markup | None:
    """The picture; None when there is no finite estimate."""
    estimate = decision.estimate
    if estimate is None or not drawable(estimate.value):
        return None
    controls = [each for each in decision.controls if drawable(each.value)]
    bounds = [bound for bound in (estimate.lower, estimate.upper) if drawable(bound)]
    threshold = decision.threshold if drawable(decision.threshold) else None
    shown = [0.0, estimate.value, *bounds, *(each.value for each in controls)]
    scale = Scale.around([*shown, *([] if threshold is None else [threshold])], _LEFT, _RIGHT)
    parts = [_line(scale.at(0.0), "zero", 22.0)]
    if threshold is not None:
        parts += _threshold(scale, threshold)
    parts += _claim(scale, estimate, bounds)
    parts += _controls(scale, controls)
    parts.append(axis(scale, _AXIS_Y, _caption(estimate)))
    return drawing(WIDTH, _HEIGHT, _described(decision, estimate, controls), *parts)


def _caption(estimate: Estimate) -> str:
    return (
        f"effect, {fit(plain_line(estimate.unit), _NAME_CHARACTERS)}"
        if estimate.unit
        else "share or score, no unit"
    )


def _described(decision: Decision, estimate: Estimate, controls: Sequence[Control]) -> str:
    unit = estimate.unit
    text = f"Estimate {amount(estimate.value, unit)}, {estimate.lower:.4g} to {estimate.upper:.4g}"
    if decision.threshold is not None:
        text += f"; threshold {amount(decision.threshold, unit)}"
    if controls:
        values = [each.value for each in controls]
        text += f"; {len(controls)} controls from {min(values):.4g} to {max(values):.4g}"
    return text


def _line(x: float, class_: str, top: float) -> Markup:
    return element("path", d=f"M{number(x)} {number(top)}V{number(_AXIS_Y)}", class_=class_)


def _threshold(scale: Scale, value: float) -> list[Markup]:
    x = scale.at(value)
    text = f"threshold {value:.4g}"
    return [_line(x, "thr", 20.0), _text(text, x, 13.0, "thr-t")]


def _text(text: str, x: float, y: float, class_: str) -> Markup:
    """Centred on `x`, pushed inside where it would leave the picture."""
    half = _CHARACTER * len(text) / 2
    return element("text", text, x=min(max(x, half + 2), WIDTH - half - 2), y=y, class_=class_)


def _claim(scale: Scale, estimate: Estimate, bounds: Sequence[float]) -> list[Markup]:
    ends = [scale.at(value) for value in (*bounds, estimate.value)]
    line = f"M{number(min(ends))} {number(_CLAIM_Y)}H{number(max(ends))}"
    for bound in bounds:
        line += f"M{number(scale.at(bound))} {number(_CLAIM_Y - 7)}v14"
    x = scale.at(estimate.value)
    return [
        element("text", "claim", x=0, y=_CLAIM_Y + 4.5, class_="row"),
        element("path", d=line, class_="whisker"),
        diamond(x, _CLAIM_Y, 6.5, "mark"),
        _text(_rounded(estimate.value, scale), x, _CLAIM_Y - 12, "val"),
    ]


def _rounded(value: float, scale: Scale) -> str:
    """The value with the digits that the axis can tell apart, so that noise around zero reads as zero."""
    decimals = max(0, 2 - math.floor(math.log10(scale.high - scale.low)))
    text = f"{value:.4g}" if abs(value) >= 10.0**-decimals else f"{abs(value):.{decimals}f}"
    return text.replace("-", "\u2212", 1) if text.startswith("-") else text


def _controls(scale: Scale, controls: Sequence[Control]) -> list[Markup]:
    """One ring per control, the strongest with its name."""
    if not controls:
        return [element("text", "no control", x=0, y=_CONTROL_Y + 4.5, class_="row")]
    ordered = sorted(controls, key=lambda control: (control.value, control.name))
    one = len(ordered) == 1
    parts = [
        element(
            "text",
            f"{len(ordered)} control{'' if one else 's'}",
            x=0,
            y=_CONTROL_Y + 4.5,
            class_="row",
        )
    ]
    for index, control in enumerate(ordered):
        y = _CONTROL_Y if one else _CONTROL_Y + _LANE * (index % _LANES - _LANES // 2)
        parts.append(element("circle", cx=scale.at(control.value), cy=y, r=3.4, class_="ctl"))
    strongest = max(ordered, key=lambda control: (abs(control.value), control.name))
    name = fit(plain_line(strongest.name), _NAME_CHARACTERS)
    return [
        *parts,
        _text(f"strongest: {name}", scale.at(strongest.value), _CONTROL_Y - 17, "row mid"),
    ]
