"""How single prompts lie behind a mean: range, every twentieth, middle half and mean of each measured run."""

from collections.abc import Sequence

from markupsafe import Markup

from pytest_mecheval.report.columns import fit
from pytest_mecheval.report.html.svg import Scale, axis, diamond, drawable, drawing, element, number
from pytest_mecheval.report.outcome import Outcome, RecordUse
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.spread import Spread
from pytest_mecheval.report.tables import edit_label
from pytest_mecheval.wire import Attention, Attribution, PlanStep, Run, load_step

WIDTH = 460.0
MAX_ROWS = 4
"""Runs drawn; the CSV attached to the Allure report has all of them."""
_LEFT, _RIGHT = 8.0, 452.0
_ROW = 44.0
_LABEL_CHARACTERS = 42
"""With the mean behind it a label then fits the picture, also in the larger type of narrow screens."""


def spread_chart(outcome: Outcome) -> Markup | None:
    """The picture; None when no run of the deciding split has values."""
    rows = spread_rows(outcome)
    if not rows:
        return None
    ends = [end for _, spread in rows for end in (spread.lowest, spread.highest)]
    scale = Scale.around(ends, _LEFT, _RIGHT, margin=0.03)
    parts = [_row(scale, index, label, spread) for index, (label, spread) in enumerate(rows)]
    bottom = len(rows) * _ROW + 4
    counts = sorted({spread.n for _, spread in rows})
    prompts = " or ".join(map(str, counts))
    parts.append(axis(scale, bottom, f"{prompts} prompts each: range, middle half, mean"))
    return drawing(WIDTH, bottom + 42, _described(rows), *parts)


def spread_rows(outcome: Outcome) -> list[tuple[str, Spread]]:
    """What is drawn: runs of the deciding split with one metric, controls left out, unedited ones first."""
    decision = outcome.decision
    controls = {control.name for control in decision.controls} if decision else set()
    steps = [
        (load_step(record.step), record)
        for record in outcome.records
        if record.spread is not None and _shows(record.spread)
    ]
    kept = [(step, record) for step, record in steps if _is_shown(step, controls)]
    metrics = [step.probe.metric for step, _ in kept if isinstance(step.probe, Run)]
    kept = [
        (step, record)
        for step, record in kept
        if not isinstance(step.probe, Run) or step.probe.metric == metrics[0]
    ]
    kept.sort(key=lambda pair: (_edited(pair[0]), pair[0].slice.stratum, _label(pair[0])))
    return [_named(step, record) for step, record in kept[:MAX_ROWS]]


def _shows(spread: Spread) -> bool:
    return all(map(drawable, (*spread.quantiles, spread.mean)))


def _is_shown(step: PlanStep, controls: set[str]) -> bool:
    if step.slice.split != "evaluation":
        return False
    probe = step.probe
    match probe:
        case Run():
            edit = probe.intervention
            placebo = edit.source == "unchanged" and bool(edit.components)
            turned = edit.rotation >= 0
            return not (placebo or turned or "+".join(edit.components) in controls)
        case Attention():
            return probe.head not in controls
        case Attribution():
            return probe.component not in controls
        case _:
            return False


def _edited(step: PlanStep) -> int:
    return len(step.probe.intervention.components) if isinstance(step.probe, Run) else 0


def _label(step: PlanStep) -> str:
    probe = step.probe
    match probe:
        case Run():
            return f"{edit_label(probe.intervention)}: {probe.metric}"
        case Attention():
            return f"{probe.head}: attention from {probe.query} to {probe.key}"
        case Attribution():
            return f"{probe.component}: direct attribution"
        case _:
            return ""


def _named(step: PlanStep, record: RecordUse) -> tuple[str, Spread]:
    spread = record.spread
    if spread is None:
        raise ValueError("a record without values is never drawn")
    stratum = "" if step.slice.stratum == "fresh" else f", {step.slice.stratum}"
    return fit(plain_line(f"{_label(step)}{stratum}"), _LABEL_CHARACTERS), spread


def _row(scale: Scale, index: int, label: str, spread: Spread) -> Markup:
    y = index * _ROW + 30
    first, third = map(scale.at, spread.middle_half)
    whole = f"M{number(scale.at(spread.lowest))} {number(y)}H{number(scale.at(spread.highest))}"
    marks = "".join(f"M{number(scale.at(q))} {number(y - 5)}v10" for q in spread.quantiles)
    text = f"{label}, mean {spread.mean:.3g}"
    return Markup("").join(
        (
            element("text", text, x=_LEFT, y=y - 12, class_="row"),
            element("path", d=whole + marks, class_="tick"),
            element("path", d=f"M{number(first)} {number(y)}H{number(third)}", class_="half"),
            diamond(scale.at(spread.mean), y, 5.5, "mean"),
        )
    )


def _described(rows: Sequence[tuple[str, Spread]]) -> str:
    said = [
        f"{label}: mean {spread.mean:.3g}, middle half {spread.middle_half[0]:.3g} to "
        f"{spread.middle_half[1]:.3g}, range {spread.lowest:.3g} to {spread.highest:.3g}"
        for label, spread in rows
    ]
    return f"Values per prompt. {'; '.join(said)}."
