"""Pictures that only some kinds have: a map of attending heads, the curve of a circuit's share; as PNG for Allure."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mecheval.report.html.head_map import Heads, measured_heads
from pytest_mecheval.report.html.share_curve import Circuit, circuit_share
from pytest_mecheval.report.outcome import Outcome
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.plots import WIDTH_INCHES, drawing_style, kept, png
from pytest_mecheval.vocabulary import Component

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_INCHES = 0.45
_CLAIM, _CONTROL, _THRESHOLD = "#0b5394", "#6b6b6b", "#b45f06"
_DARK = 0.5
"""From this mass on a number is written in white."""


def kind_plots(outcome: Outcome, folder: Path | None = None) -> dict[str, bytes]:
    """Name to PNG; empty for kinds and outcomes that have no picture of their own.

    Args:
        outcome: what is shown.
        folder: where pictures are kept by content; None draws every time.
    """
    found: dict[str, bytes | None] = {}
    if (heads := measured_heads(outcome)) is not None:
        content = repr(("heads", heads)).encode()
        drawn = kept(folder, content, functools.partial(_heads_png, heads))
        found["attention of every measured head"] = drawn
    if (circuit := circuit_share(outcome)) is not None:
        content = repr(("circuit", circuit)).encode()
        drawn = kept(folder, content, functools.partial(_curve_png, circuit))
        found["faithfulness curve"] = drawn
    return {name: picture for name, picture in found.items() if picture is not None}


def _axes(height: float) -> "Axes":
    # Imported here: matplotlib takes longer to import than most claims take to decide.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height), layout="tight")
    FigureCanvasAgg(figure)
    axes: Axes = figure.add_subplot()
    return axes


def _heads_png(found: Heads) -> bytes:
    import numpy as np

    with drawing_style():
        axes = _axes(1.3 + _ROW_INCHES * found.layers)
        grid = np.full((found.layers, found.heads), np.nan)
        for place, mass in found.masses.items():
            grid[place] = mass
        axes.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (layer, head), mass in found.masses.items():
            color = "white" if mass >= _DARK else "black"
            axes.text(head, layer, f"{mass:.2f}", ha="center", va="center", color=color)
        own = Component.parse(found.claimed.head)
        axes.plot([own.head], [own.layer], "s", ms=26, mfc="none", mec=_THRESHOLD, mew=2.2)
        axes.set_yticks(range(found.layers), labels=[f"layer {i}" for i in range(found.layers)])
        axes.set_xticks(range(found.heads), labels=[f"h{i}" for i in range(found.heads)])
        names = (plain_line(name, 30) for name in (found.claimed.query, found.claimed.key))
        title = "mean attention from {} to {}; framed: the claimed head; empty: not measured"
        axes.set_title(title.format(*names).encode("ascii", "backslashreplace").decode())
        return png(axes.figure)  # type: ignore[arg-type]


def _curve_png(found: Circuit) -> bytes:
    with drawing_style():
        axes = _axes(3.6)
        estimate = found.estimate
        axes.axhspan(found.least, 2 - found.least, color="#d8efdf", zorder=0)
        points = ((0, 0.0), (found.inside, estimate.value), (found.whole, 1.0))
        axes.plot(*zip(*points, strict=True), color=_CLAIM, marker="o", markersize=4)
        axes.plot(
            [found.inside] * len(found.controls), found.controls, "o", mfc="white", mec=_CONTROL
        )
        axes.vlines(found.inside, estimate.lower, estimate.upper, color=_CLAIM, linewidth=2.4)
        axes.plot([found.inside], [estimate.value], "D", color=_CLAIM, markersize=8)
        axes.set_xlabel("components left in place")
        axes.set_ylabel("share of performance kept")
        axes.set_title(
            f"needed: {found.least:.3g} to {2 - found.least:.3g} (band); rings: random circuits"
        )
        return png(axes.figure)  # type: ignore[arg-type]
