"""Inline SVG as escaped text: elements, a scale with round ticks, numbers short enough for a page of a thousand plots.

Colours come from the page's style sheet through classes, so that pictures follow light, dark and print.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

LARGEST = 1e12
"""Beyond this an axis has no readable labels, so nothing is drawn."""
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Steps between ticks, times a power of ten."""


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """One element; `class_` becomes `class`, other underscores become dashes, everything is escaped.

    >>> print(element("text", "a < b", x=1.25, class_="m"))
    <text x="1.2" class="m">a &lt; b</text>
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _value(value))
        for key, value in attributes.items()
    )
    inner = Markup("").join(escape(child) for child in children)
    tag = Markup(name)  # noqa: S704 - a constant of this package
    if not inner:
        return Markup("<{}{}/>").format(tag, written)
    return Markup("<{0}{1}>{2}</{0}>").format(tag, written, inner)


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """A coordinate with at most one decimal.

    >>> number(12.04), number(3.25)
    ('12', '3.2')
    """
    return f"{value:.1f}".removesuffix(".0")


def drawing(width: float, height: float, label: str, *children: str) -> Markup:
    """A picture with its text alternative.

    Args:
        width: of the drawing area; the page scales it.
        height: of the drawing area.
        label: what a reader who does not see it is told.
        children: elements, drawn in this order.
    """
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
    )


def drawable(value: float | None) -> bool:
    """Whether a number has a place on an axis."""
    return value is not None and math.isfinite(value) and abs(value) < LARGEST


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis from data to pixels, with round ticks."""

    low: float
    high: float
    left: float
    right: float

    @classmethod
    def around(
        cls, values: Sequence[float], left: float, right: float, margin: float = 0.07
    ) -> "Scale":
        """An axis that shows all values and a margin; a single value gets room on both sides."""
        low, high = min(values), max(values)
        reach = (high - low) * margin or max(abs(high), 1.0) * 0.5
        return cls(low - reach, high + reach, left, right)

    def at(self, value: float) -> float:
        """Pixels of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)

    def ticks(self, most: int = 5) -> tuple[float, ...]:
        """Round values within the axis, at most so many.

        >>> Scale(0, 10.4, 0, 100).ticks(), Scale(-0.07, 1.07, 0, 1).ticks()
        ((0.0, 2.5, 5.0, 7.5, 10.0), (0.0, 0.25, 0.5, 0.75, 1.0))
        """
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        for step in (factor * power for factor in _NICE):
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            if last - first < most:
                return tuple(step * index for index in range(first, last + 1))
        return (0.0,)


def tick_text(value: float) -> str:
    """A tick's label.

    >>> tick_text(0.0), tick_text(-2.5), tick_text(1e6)
    ('0', '\u22122.5', '1e+06')
    """
    text = f"{value:.6g}" if abs(value) < 1e5 else f"{value:.3g}"
    return text.replace("-", "\u2212", 1) if text.startswith("-") else text


def axis(scale: Scale, y: float, caption: str = "") -> Markup:
    """Tick marks, their labels and what the axis shows, below `y`."""
    parts = [
        element("path", d=f"M{number(scale.left)} {number(y)}H{number(scale.right)}", class_="ax")
    ]
    for tick in scale.ticks():
        x = scale.at(tick)
        parts.append(element("path", d=f"M{number(x)} {number(y)}v4", class_="ax"))
        parts.append(element("text", tick_text(tick), x=x, y=y + 17, class_="tk"))
    if caption:
        parts.append(
            element("text", caption, x=(scale.left + scale.right) / 2, y=y + 34, class_="cap")
        )
    return Markup("").join(parts)


def diamond(x: float, y: float, size: float, class_: str) -> Markup:
    """A mark that differs from a circle without colour."""
    s = number(size)
    return element(
        "path", d=f"M{number(x)} {number(y - size)}l{s} {s}-{s} {s}-{s}-{s}z", class_=class_
    )
