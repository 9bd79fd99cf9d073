"""The three dimensions as a radar: share supported, its exact interval, and how much was tested at all."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from pytest_mecheval.report.html.svg import diamond, drawing, element, number
from pytest_mecheval.report.scores import Coverage, Score

WIDTH, HEIGHT = 420.0, 304.0
_CENTRE = (210.0, 194.0)
_RADIUS = 128.0
_RINGS = (0.25, 0.5, 0.75, 1.0)
_WHISKER = 7.0


def radar(scores: Sequence[Score], covered: Sequence[Coverage]) -> Markup:
    """The picture; a dimension without a tested claim is an open, dashed axis and joins no area.

    Args:
        scores: one per dimension, drawn clockwise from the top.
        covered: tested and stated findings of the same dimensions.
    """
    parts = [_ring(len(scores), share) for share in _RINGS]
    parts += [_axis(index, len(scores), score) for index, score in enumerate(scores)]
    shares = [score.share for score in scores]
    if all(share is not None for share in shares):
        lower, upper = [s.lower for s in scores], [s.upper for s in scores]
        # The band between the two bounds: outer outline and inner one cut out of it.
        parts.append(
            element("path", d=_outline(upper) + _outline(lower), class_="band", fill_rule="evenodd")
        )
        parts.append(element("path", d=_outline([s or 0.0 for s in shares]), class_="area"))
    for index, (score, cover) in enumerate(zip(scores, covered, strict=True)):
        parts += _measured(index, len(scores), score)
        parts += _label(index, len(scores), score, cover)
    parts += [_ring_label(len(scores), share) for share in (0.5, 1.0)]
    return drawing(WIDTH, HEIGHT, described(scores, covered), *parts)


def described(scores: Sequence[Score], covered: Sequence[Coverage]) -> str:
    """The picture in words."""
    said = [
        f"{score.dimension}: "
        + (
            "nothing tested"
            if score.share is None
            else f"{score.share:.0%} supported, interval {score.lower:.0%} to {score.upper:.0%}"
        )
        + f", {cover.tested} of {cover.stated} findings tested"
        for score, cover in zip(scores, covered, strict=True)
    ]
    return f"Radar of three dimensions. {'; '.join(said)}."


def _point(index: int, count: int, share: float) -> tuple[float, float]:
    angle = -math.pi / 2 + 2 * math.pi * index / count
    return (
        _CENTRE[0] + _RADIUS * share * math.cos(angle),
        _CENTRE[1] + _RADIUS * share * math.sin(angle),
    )


def _outline(shares: Sequence[float]) -> str:
    points = [_point(index, len(shares), share) for index, share in enumerate(shares)]
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "Z"


def _ring(count: int, share: float) -> Markup:
    return element("path", d=_outline([share] * count), class_="ring")


def _ring_label(count: int, share: float) -> Markup:
    """Beside the middle of the ring's left edge, where no axis and no mark lies."""
    (x0, y0), (x1, y1) = _point(0, count, share), _point(count - 1, count, share)
    return element("text", f"{share:.0%}", x=(x0 + x1) / 2 - 6, y=(y0 + y1) / 2, class_="rg")


def _axis(index: int, count: int, score: Score) -> Markup:
    x, y = _point(index, count, 1.0)
    class_ = "ring" if score.decided else "ring none"
    line = f"M{number(_CENTRE[0])} {number(_CENTRE[1])}L{number(x)} {number(y)}"
    return element("path", d=line, class_=class_)


def _measured(index: int, count: int, score: Score) -> list[Markup]:
    """The interval along its axis, a bar across each end, and the share as a diamond."""
    if score.share is None:
        x, y = _point(index, count, 0.0)
        return [element("circle", cx=x, cy=y, r=4, class_="open")]
    angle = 2 * math.pi * index / count
    across = (_WHISKER * math.cos(angle), _WHISKER * math.sin(angle))
    ends = [_point(index, count, bound) for bound in (score.lower, score.upper)]
    line = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in ends)
    for x, y in ends:
        line += (
            f"M{number(x - across[0])} {number(y - across[1])}"
            f"L{number(x + across[0])} {number(y + across[1])}"
        )
    x, y = _point(index, count, score.share)
    return [element("path", d=line, class_="whisker"), diamond(x, y, 7, "mark")]


def _label(index: int, count: int, score: Score, cover: Coverage) -> list[Markup]:
    """Name, share and coverage beside the axis' outer end."""
    x, y = _point(index, count, 1.0)
    if index == 0:
        x, y, anchor = _CENTRE[0], 18.0, "middle"
    else:
        left = x < _CENTRE[0]
        x, y, anchor = (0.0, y + 26, "start") if left else (WIDTH, y + 26, "end")
    share = "not tested" if score.share is None else f"{score.share:.0%}"
    tested = f"{cover.tested} of {cover.stated} findings tested"
    return [
        element(
            "text",
            element("tspan", str(score.dimension), class_="nm"),
            element("tspan", f" {share}", class_="sh"),
            x=x,
            y=y,
            text_anchor=anchor,
        ),
        element("text", tested, x=x, y=y + 18, text_anchor=anchor, class_="cv"),
    ]
