"""The picture of one decision: the claim's estimate beside its controls and the threshold, then the raw values.

Readable without colour (shapes and line styles carry the meaning), the same bytes for the same numbers.
matplotlib is imported inside the function and never through pyplot: no global figure, no window.
"""

import hashlib
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_mecheval import __version__
from pytest_mecheval.evidence.decision import Control, Decision, Estimate
from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.report.columns import fit
from pytest_mecheval.report.failure import amount
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.tables import edit_label
from pytest_mecheval.wire import Run, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES = 8.0
DOTS_PER_INCH = 100
MAX_SERIES = 5
"""Raw series drawn; the CSV beside the plot has all of them."""
MAX_POINTS = 400
"""Points drawn per raw series, evenly spaced through it."""
LARGEST_DRAWN = 1e12
"""Beyond this an axis has no readable labels, so nothing is drawn."""
_LABEL_CHARACTERS = 34
_HEADER_CHARACTERS = 118
_INK = "#1a1a1a"
_CLAIM = "#0b5394"
_CONTROL = "#6b6b6b"
_THRESHOLD = "#b45f06"
_HEADER_INCHES = 0.55
_HALO = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
"""Keeps a label readable where a line passes behind it."""
_LANES = 5
"""Controls are spread over this many heights, so that equal values stay apart."""
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": _INK,
    "svg.hashsalt": "mecheval",
}


def effect_plot(
    decision: Decision, values: Mapping[str, Values] | None = None, *, title: str = ""
) -> bytes | None:
    """PNG of estimate, interval, matched controls and threshold; None when there is no finite estimate.

    Args:
        decision: what was decided; its unit labels the axis.
        values: raw per-unit values to show below, each shape (units,), metric's unit.
        title: one line above the plot.
    """
    estimate = decision.estimate
    if estimate is None or not _drawable(estimate.value):
        return None
    series = _drawable_series(values or {})
    # Imported here: matplotlib takes longer to import than most claims take to decide.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with drawing_style():
        upper_inches, lower_inches = 2.1, (0.7 + 0.34 * len(series)) if series else 0.0
        figure = Figure(figsize=(WIDTH_INCHES, _HEADER_INCHES + upper_inches + lower_inches))
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            2 if series else 1, 1, height_ratios=[upper_inches, lower_inches][: 2 if series else 1]
        )
        _draw_effect(figure.add_subplot(grid[0]), decision, estimate)
        if series:
            _draw_series(figure.add_subplot(grid[1]), series)
        top = 1 - _HEADER_INCHES / figure.get_figheight()
        line = 0.5 * (1 - top)
        figure.text(0.012, top + line, _ascii(title, _HEADER_CHARACTERS), fontweight="bold")
        figure.text(0.012, top + 0.2 * line, _ascii(_basis(decision, estimate), _HEADER_CHARACTERS))
        figure.tight_layout(rect=(0, 0, 1, top))
        return png(figure)


@contextmanager
def drawing_style() -> Iterator[None]:
    """While it lasts, pictures look the same whatever the reader's own matplotlib settings say."""
    from matplotlib import rc_context, rcParamsDefault

    # The backend is not a setting of the picture, and touching it would start one.
    settings: Any = {str(key): rcParamsDefault[key] for key in rcParamsDefault if key != "backend"}
    with rc_context(settings | _STYLE):
        yield


def png(figure: "Figure") -> bytes:
    """The picture's file; no software or date field, so equal numbers give equal bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return out.getvalue()


def kept_plot(
    folder: Path | None, decision: Decision, values: Mapping[str, Values], *, title: str
) -> bytes | None:
    """`effect_plot`, drawn once per content: equal decisions and values give the stored picture."""
    content = hashlib.sha256(repr((title, decision)).encode())
    for label, series in values.items():
        content.update(label.encode() + series.tobytes())
    return kept(folder, content.digest(), lambda: effect_plot(decision, values, title=title))


def kept(folder: Path | None, content: bytes, draw: Callable[[], bytes | None]) -> bytes | None:
    """A picture, drawn once per content.

    Args:
        folder: where pictures are kept; None draws every time.
        content: everything the picture depends on, beside our version.
        draw: makes it; None when there is nothing to draw.
    """
    if folder is None:
        return draw()
    path = folder / f"{hashlib.sha256(__version__.encode() + content).hexdigest()}.png"
    try:
        return path.read_bytes()
    except OSError:
        picture = draw()
    if picture is not None:
        write_atomically(path, picture)
    return picture


def raw_series(evidence: Evidence, decision: Decision) -> dict[str, Values]:
    """The runs a plot shows: those of the deciding split with one metric, controls left out.

    Returns:
        Values by label, each shape (units,), unedited runs first.
    """
    controls = {control.name for control in decision.controls}
    runs = [
        (step, step.probe)
        for step in evidence.measurements
        if isinstance(step.probe, Run) and step.slice.split == "evaluation"
    ]
    shown = [
        (step, probe)
        for step, probe in runs
        if probe.intervention.source != "unchanged" or not probe.intervention.components
        if probe.intervention.rotation < 0
        if "+".join(probe.intervention.components) not in controls
        if probe.metric == runs[0][1].metric
    ]
    shown.sort(
        key=lambda pair: (len(pair[1].intervention.components), edit_label(pair[1].intervention))
    )
    series: dict[str, Values] = {}
    for step, probe in shown[:MAX_SERIES]:
        label = edit_label(probe.intervention)
        if label in series:
            label = f"{label} ({step.slice.stratum})"
        if label not in series:
            series[label] = evidence.values(step)
    return series


def _drawable(value: float) -> bool:
    return math.isfinite(value) and abs(value) < LARGEST_DRAWN


def _drawable_series(values: Mapping[str, Values]) -> dict[str, Values]:
    kept = {}
    for label, array in list(values.items())[:MAX_SERIES]:
        finite = array[np.isfinite(array) & (np.abs(array) < LARGEST_DRAWN)]
        if finite.size:
            kept[label] = finite
    return kept


def _ascii(text: str, characters: int = _LABEL_CHARACTERS) -> str:
    """Text the built-in font can draw."""
    inert = plain_line(text).encode("ascii", "backslashreplace").decode()
    return fit(inert, characters).replace("\u2026", "...")


def _draw_effect(axes: "Axes", decision: Decision, estimate: Estimate) -> None:
    """The claim above, its controls below, the threshold through both."""
    controls = [control for control in decision.controls if _drawable(control.value)]
    claim_y, control_y = 1.0, 0.0
    axes.axvline(0.0, color="#c8c8c8", linewidth=0.8, zorder=0)
    if decision.threshold is not None and _drawable(decision.threshold):
        axes.axvline(decision.threshold, color=_THRESHOLD, linestyle=(0, (5, 3)), linewidth=1.4)
        axes.annotate(
            _ascii(f"threshold {amount(decision.threshold, estimate.unit)}"),
            (decision.threshold, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 2),
            textcoords="offset points",
            color=_THRESHOLD,
            va="bottom",
        )
    _draw_interval(axes, estimate, claim_y)
    if controls:
        _draw_controls(axes, controls, control_y)
    axes.set_yticks(
        [claim_y, control_y],
        labels=[
            "claim",
            f"{len(controls)} matched\ncontrols" if controls else "no matched\ncontrol",
        ],
    )
    axes.set_ylim(-0.62, 1.55)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    axes.set_xlabel(_ascii(f"estimate and controls{f', {estimate.unit}' if estimate.unit else ''}"))


def _basis(decision: Decision, estimate: Estimate) -> str:
    if estimate.lower == estimate.upper == estimate.value:
        text = f"exact over {estimate.n} inputs"
    else:
        level = f"{100 * (1 - estimate.alpha):g}%"
        text = f"bars: {level} one-sided bounds, n={estimate.n}, {estimate.method}"
    if decision.shams is not None and decision.shams.tried:
        text += f"; sham claims that pass: {decision.shams.passed} of {decision.shams.tried}"
    return text


def _draw_interval(axes: "Axes", estimate: Estimate, y: float) -> None:
    bounds = [bound for bound in (estimate.lower, estimate.upper) if _drawable(bound)]
    ends = [*bounds, estimate.value]
    axes.plot([min(ends), max(ends)], [y, y], color=_CLAIM, linewidth=2.2, solid_capstyle="butt")
    axes.plot(
        bounds,
        [y] * len(bounds),
        linestyle="none",
        marker="|",
        markersize=13,
        color=_CLAIM,
        markeredgewidth=2.2,
    )
    axes.plot([estimate.value], [y], marker="D", markersize=8, color=_CLAIM, linestyle="none")
    axes.annotate(
        _ascii(amount(estimate.value, estimate.unit)),
        (estimate.value, y),
        xytext=(0, 10),
        textcoords="offset points",
        ha="center",
        color=_CLAIM,
        fontweight="bold",
        bbox=_HALO,
    )


def _draw_controls(axes: "Axes", controls: Sequence[Control], y: float) -> None:
    ordered = sorted(controls, key=lambda control: (control.value, control.name))
    heights = [y + 0.13 * (index % _LANES - _LANES // 2) for index in range(len(ordered))]
    if len(ordered) == 1:
        heights = [y]
    axes.plot(
        [control.value for control in ordered],
        heights,
        linestyle="none",
        marker="o",
        markersize=5.5,
        markerfacecolor="white",
        markeredgecolor=_CONTROL,
        markeredgewidth=1.2,
    )
    strongest = max(range(len(ordered)), key=lambda index: abs(ordered[index].value))
    outwards = 1 if ordered[strongest].value >= 0 else -1
    axes.annotate(
        _ascii(ordered[strongest].name),
        (ordered[strongest].value, heights[strongest]),
        xytext=(7 * outwards, 0),
        textcoords="offset points",
        ha="left" if outwards > 0 else "right",
        va="center",
        color=_CONTROL,
        bbox=_HALO,
    )


def _draw_series(axes: "Axes", series: Mapping[str, Values]) -> None:
    """Every drawn prompt as a tick, the mean as a diamond, the quartiles as a bar."""
    for row, values in enumerate(series.values()):
        index = np.linspace(0, values.size - 1, min(values.size, MAX_POINTS)).astype(int)
        drawn = values[index]
        axes.plot(drawn, np.full(drawn.size, row), "|", color=_CONTROL, markersize=9, alpha=0.35)
        first, third = np.quantile(values, [0.25, 0.75])
        axes.plot([first, third], [row + 0.36] * 2, color=_INK, linewidth=2.0)
        axes.plot([values.mean()], [row + 0.36], "D", color=_INK, markersize=4.5)
    axes.set_yticks(range(len(series)), labels=[_ascii(label) for label in series])
    axes.set_ylim(len(series) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("value per prompt (ticks); mean (diamond) and middle half (bar)")
