"""Deviations from a plan: what was planned, what was done, whether the report says so, and which came first."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_mecheval.checks.phases import STACK_DEPTH
from pytest_mecheval.checks.ran import Facts, numbers_in

VALUE_WORDS: Mapping[str, tuple[str, ...]] = {
    "zero": ("zero",),
    "mean": ("mean", "average"),
    "copy": ("resampl", "patch", "interchange", "swap"),
    "permuted": ("resampl", "shuffl", "permut", "interchange"),
    "constant": ("constant", "fixed value"),
    "scaled": ("scal", "multipl"),
    "added": ("steer", "add"),
    "other": (),
}
"""Beginnings of words with which a report names what a hook wrote, by the ledger's word for it."""
MAX_NAMED = 40
"""More heads or positions than this are not expected to be listed in a sentence."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the ledger shows of one requirement."""

    code: str
    """Short reason; empty when it is met."""
    said: str
    """One sentence."""
    planned: str = ""
    """The field that differs, as planned; empty when the event did not happen at all."""
    actual: str = ""
    """What was done instead."""
    named: tuple[tuple[str, ...], ...] = ()
    """Words that a disclosure must hold: of every group at least one."""


def discloses(text: str, finding: Finding) -> bool:
    """Whether a sentence names what was really done.

    >>> mean = Finding("another value", "", "zero", "mean", (("mean", "average"),))
    >>> discloses("We mean-ablated instead.", mean), discloses("We ablated head 2.", mean)
    (True, False)
    """
    return bool(finding.named) and all(
        any(_mentions(text, word) for word in group) for group in finding.named
    )


def numbers_named(ranges: str) -> tuple[tuple[str, ...], ...]:
    """Groups for heads or positions that a disclosure must list; `all` must be said."""
    if ranges == "all":
        return (("all", "every"),)
    numbers = sorted(numbers_in(ranges))
    return tuple((str(number),) for number in numbers[:MAX_NAMED])


def _mentions(text: str, word: str) -> bool:
    if word.isdigit():
        return re.search(rf"(?<![\d.]){word}(?![\d]|\.\d)", text.replace(",", "")) is not None or (
            # a head in a component name: a0.h2, 0.2
            re.search(rf"(?:\bh|\d\.){word}(?!\d)", text) is not None
        )
    return re.search(rf"(?<![a-z]){re.escape(word)}", text, re.IGNORECASE) is not None


def ran_before(plan: str, facts: Facts, *, edits: bool) -> tuple[str, bool]:
    """A call that ran the model before the plan was written, and whether that is certain.

    Args:
        plan: a file that the run may write, or a notebook cell such as `analysis.ipynb:cell5`.
        facts: of the run.
        edits: count only forwards in which an activation was changed.

    Returns:
        Where the call was made, empty when there is none; False when it may have been later.
    """
    inputs = facts["inputs"]
    calls: Sequence[Mapping[str, Any]] = [
        call for call in inputs["calls"] if call["edits"] or not edits
    ]
    notebook, _, cell = plan.partition(":cell")
    if cell:
        return _in_cells_before(calls, notebook, int(cell))
    if plan not in inputs["writes"]:
        return "", True
    at = inputs["writes"].index(plan)
    early = [call for call in calls if int(call["written"]) <= at]
    place = str(early[0]["stack"][0]) if early and early[0]["stack"] else "a forward"
    return (place if early else ""), True


def _in_cells_before(
    calls: Sequence[Mapping[str, Any]], notebook: str, cell: int
) -> tuple[str, bool]:
    """A function runs in the cell that calls it, which comes after the one that defines it."""
    unclear = ""
    for call in calls:
        stack = [str(frame) for frame in call["stack"]]
        running = max(stack, key=lambda frame: _cell(frame, notebook), default="")
        if 0 < _cell(running, notebook) < cell:
            if len(stack) < STACK_DEPTH:
                return running, True
            unclear = unclear or running  # the frame of the cell itself may be off record
    return unclear, not unclear


def _cell(frame: str, notebook: str) -> int:
    """The cell of a frame in this notebook, 0 when it is not in it."""
    match = re.fullmatch(rf"{re.escape(notebook)}:cell(\d+):\d+", frame)
    return int(match[1]) if match else 0
