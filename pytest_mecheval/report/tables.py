"""Per-example values as a table: one row per independent unit, one column per plan step."""

import csv
import io
import itertools
from collections.abc import Mapping

from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.wire import (
    Attention,
    Attribution,
    Code,
    Document,
    Intervention,
    PlanStep,
    Prose,
    Rerun,
    Run,
)

FORMULA_STARTS = ("=", "+", "-", "@")
"""A spreadsheet runs a cell that begins like this, so a text cell never does."""
NAMED_COMPONENTS = 4
"""More components than this are counted instead of named."""
_SOURCE_WORDS = {
    "zero": "zero-ablated",
    "mean": "mean-ablated",
    "counterfactual": "from counterfactual",
    "clean": "from clean",
    "unchanged": "rewritten unchanged",
}


def step_label(step: PlanStep) -> str:
    """What one array is, short enough for a column: `a1.h6 from counterfactual, logit_diff`."""
    probe = step.probe
    match probe:
        case Run():
            return plain_line(f"{edit_label(probe.intervention)}, {probe.metric}")
        case Attention():
            return plain_line(f"attention of {probe.head} from {probe.query} to {probe.key}")
        case Attribution():
            return plain_line(f"direct attribution of {probe.component}")
        case Document():
            return plain_line(f"document {probe.file}")
        case Prose():
            return plain_line(f"text around {probe.text} in {probe.file}")
        case Code():
            return "the bundle's code, read"
        case Rerun():
            return plain_line(_rerun_label(probe))


def _rerun_label(probe: Rerun) -> str:
    """One run of a script and what is changed in it.

    >>> _rerun_label(Rerun("run.py", sham="shuffle"))
    'run of run.py, weights shuffled'
    """
    return f"run of {probe.entry}{', '.join(['', *probe.changes])}"


def edit_label(edit: Intervention) -> str:
    """An intervention in words.

    >>> edit_label(Intervention(("a1.h6",), "mean", positions="END"))
    'a1.h6 mean-ablated at END'
    """
    run = "clean run" if edit.base == "clean" else "counterfactual run"
    if not edit.components:
        return run
    text = f"{_names(edit.components)} {_SOURCE_WORDS[edit.source]}"
    if edit.positions != "all":
        text += f" at {edit.positions}"
    if edit.receivers:
        text += f" into {_names(edit.receivers)}"
    if edit.joint != "alone":
        text += f" ({edit.joint.replace('_', ' ')})"
    if edit.rotation >= 0:
        text += f" (random direction {edit.rotation})"
    return text if edit.base == "clean" else f"{text} in {run}"


def _names(components: tuple[str, ...]) -> str:
    if len(components) <= NAMED_COMPONENTS:
        return "+".join(components)
    return f"{'+'.join(components[:3])}+{len(components) - 3} more"


def column_name(step: PlanStep) -> str:
    """A step's label with the prompts it was measured on."""
    place = step.slice
    return (
        f"{step_label(step)} [{plain_line(place.task)}, {plain_line(place.stratum)}, {place.split}]"
    )


def columns(evidence: Evidence) -> Mapping[str, Values]:
    """All arrays of a claim by column name, evaluation before calibration, each shape (units,)."""
    ordered = sorted(
        evidence.measurements.items(),
        key=lambda item: (item[0].slice.split != "evaluation", column_name(item[0]), repr(item[0])),
    )
    table: dict[str, Values] = {}
    for step, measurement in ordered:
        # Long lists of components are shortened, so two steps may share a name.
        table[_free_name(column_name(step), table)] = measurement.values
    return table


def _free_name(name: str, taken: Mapping[str, Values]) -> str:
    if name not in taken:
        return name
    return next(free for k in itertools.count(2) if (free := f"{name} #{k}") not in taken)


def values_csv(evidence: Evidence) -> str:
    """The values of every plan step as CSV; a step with fewer units leaves its last cells empty.

    Numbers carry nine significant digits, which is all a float32 has.
    """
    table = columns(evidence)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["unit", *map(safe_cell, table)])
    length = max((values.size for values in table.values()), default=0)
    for row in range(length):
        cells = (f"{v[row]:.9g}" if row < v.size else "" for v in table.values())
        writer.writerow([row, *cells])
    return out.getvalue()


def safe_cell(text: str) -> str:
    """Inert text that no spreadsheet takes for a formula.

    >>> safe_cell("=cmd()")
    "'=cmd()"
    """
    inert = plain_line(text)
    return f"'{inert}" if inert.startswith(FORMULA_STARTS) else inert
