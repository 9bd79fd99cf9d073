"""Phases of a run, told apart by places in the code or by a file written between them, never by judgement.

A place is `run.py` (whole file), `run.py:select_heads` (function or Class.method), `run.py:30-45` (lines),
`analysis.ipynb:cell3` (cell), `before results/heads.json` or `after results/heads.json` (until, or since,
the file was first written). A forward belongs to a phase when one of the frames that called it lies there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_mecheval.checks.ran import numbers_in

STACK_DEPTH = 4
"""Frames of the bundle that the ledger keeps per forward, innermost first; deeper ones are not on record."""

_PLACE = re.compile(
    r"(?:before|after) \S.*|[^:\s][^:]*\.py(?::[A-Za-z_][\w.]*|:\d+(?:-\d+)?)?"
    r"|[^:\s][^:]*\.ipynb(?::cell\d+(?:-\d+)?(?::[A-Za-z_][\w.]*)?)?"
)
_FRAME = re.compile(r"(?P<file>.+?)(?::cell(?P<cell>\d+))?:(?P<line>\d+)")


def place(text: str) -> str:
    """The text unchanged, if it is a place.

    Raises:
        ValueError: it is not.
    """
    if not _PLACE.fullmatch(text):
        raise ValueError(
            f"{text!r} is no place (allowed: run.py, run.py:select_heads, run.py:30-45, "
            "analysis.ipynb:cell3, before results/heads.json, after results/heads.json)"
        )
    return text


@dataclass(frozen=True, slots=True)
class Phase:
    """What a run fed to the model during one phase."""

    rows: frozenset[str]
    """Hashes of input rows."""
    calls: frozenset[int]
    """Indices of the run's call sites that belong to it."""
    missing: tuple[str, ...]
    """Places that the code or the run does not have."""
    unclear: Mapping[int, frozenset[str]]
    """Rows by call site for call stacks longer than the ledger keeps, which may belong to it unseen."""
    origin: Mapping[str, str]
    """Row to the innermost place that fed it."""


def phase_of(places: Sequence[str], run: Mapping[str, Any], code: Mapping[str, Any]) -> Phase:
    """One phase of a run.

    Args:
        places: where it lies; empty: the whole run.
        run: facts of the rerun.
        code: facts of the bundle's code.
    """
    inputs = run["inputs"]
    spans, missing = _spans(places, code, inputs["writes"])
    every: list[str] = inputs["rows"]
    origin: dict[str, str] = {}
    members: set[int] = set()
    unclear: dict[int, frozenset[str]] = {}
    for number, call in enumerate(inputs["calls"]):
        stack = [str(frame) for frame in call["stack"]]
        if places and not _inside(stack, int(call["written"]), spans):
            if len(stack) >= STACK_DEPTH:
                unclear[number] = frozenset(every[row] for row in numbers_in(call["rows"]))
            continue
        members.add(number)
        for row in numbers_in(call["rows"]):
            origin.setdefault(every[row], stack[0] if stack else "")
    return Phase(frozenset(origin), frozenset(members), tuple(missing), unclear, origin)


@dataclass(frozen=True, slots=True)
class _Span:
    """Frames of a file (and cells) within lines, or calls by the number of files written before them."""

    file: str = ""
    cells: tuple[int, int] | None = None
    lines: tuple[int, int] | None = None
    written: tuple[int, int] | None = None


def _spans(
    places: Sequence[str], code: Mapping[str, Any], writes: Sequence[str]
) -> tuple[list[_Span], list[str]]:
    functions = {
        unit["place"]: (int(unit["first"]), int(unit["last"])) for unit in code["functions"]
    }
    spans: list[_Span] = []
    missing: list[str] = []
    for each in places:
        when, _, path = each.partition(" ")
        if when in ("before", "after") and path:
            if path not in writes:
                missing.append(each)
                continue
            at = list(writes).index(path)
            spans.append(_Span(written=(0, at) if when == "before" else (at + 1, len(writes))))
        elif each in functions:
            file, cell, _ = _parts(each)
            spans.append(_Span(file, cell, functions[each]))
        else:
            file, cell, rest = _parts(each)
            if rest and not rest[0].isdigit():
                missing.append(each)
                continue
            spans.append(_Span(file, cell, _bounds(rest) if rest else None))
    return spans, missing


def _parts(text: str) -> tuple[str, tuple[int, int] | None, str]:
    """File, cells and what follows of `analysis.ipynb:cell3:score`."""
    file, _, rest = text.partition(":")
    if not rest.startswith("cell"):
        return file, None, rest
    cell, _, inner = rest.removeprefix("cell").partition(":")
    return file, _bounds(cell), inner


def _bounds(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _inside(stack: Sequence[str], written: int, spans: Sequence[_Span]) -> bool:
    return any(
        _within(written, span.written) if span.written else any(_frame_in(f, span) for f in stack)
        for span in spans
    )


def _frame_in(frame: str, span: _Span) -> bool:
    match = _FRAME.fullmatch(frame)
    if match is None or match["file"] != span.file:
        return False
    cell = int(match["cell"] or 0)
    in_cell = span.cells is None or _within(cell, span.cells)
    return in_cell and (span.lines is None or _within(int(match["line"]), span.lines))


def _within(number: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= number <= bounds[1]
