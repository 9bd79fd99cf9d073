"""What one run of a bundle's script gave, cut down to what a reader looks at: how it ended, its ledger, its numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_mecheval.checks import ran
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.wire import PlanStep, Rerun

MAX_ROWS = 6
"""Rows of a ledger that are shown of each sort."""
MAX_NUMBERS = 8
"""Numbers of a run that are shown: those nearest to a stated one, else the first."""


@dataclass(frozen=True, slots=True)
class Testimony:
    """One run of one script, as its checked ledger has it; every text in it is untrusted."""

    run: str
    """Which run: the script, and whether weights were shuffled or it was repeated."""
    ending: str
    """How it ended, in words."""
    standing: str
    """Of the ledger: complete, incomplete or forged."""
    ledger: tuple[str, ...]
    """First rows: what was changed, what was only looked at, where in the bundle."""
    numbers: tuple[str, ...]
    """Numbers it printed or wrote, at most `MAX_NUMBERS`."""
    count: int
    """How many it gave."""
    stated: str = ""
    """The number of the claim that it is compared with; empty when there is none."""
    agrees: bool | None = None
    """Whether some number of the run rounds to the stated one; None without a stated one."""


def accounts_of_runs(evidence: Evidence, spec: Mapping[str, Any]) -> tuple[Testimony, ...]:
    """One per run that the claim's evidence holds, in the order of its plan.

    Args:
        evidence: the claim's measurements.
        spec: the claim's; its `number`, if any, is what the runs are compared with.
    """
    stated = spec.get("number")
    return tuple(
        _testimony(step, measurement.facts, stated if isinstance(stated, str) else "")
        for step, measurement in evidence.measurements.items()
        if isinstance(step.probe, Rerun) and "numbers" in measurement.facts
    )


def _testimony(step: PlanStep, facts: Mapping[str, Any], stated: str) -> Testimony:
    numbers = [str(number) for number in facts["numbers"]]
    giving = ran.gives(facts, stated) if stated else []
    return Testimony(
        run=_name(step),
        ending=ran.ending(facts),
        standing=str(facts["standing"]),
        ledger=tuple(_rows(facts)),
        numbers=tuple(giving[:MAX_NUMBERS] or _nearest(numbers, stated)),
        count=len(numbers),
        stated=stated,
        agrees=bool(giving) if stated else None,
    )


def _name(step: PlanStep) -> str:
    probe = step.probe
    if not isinstance(probe, Rerun):
        return ""
    text = probe.entry
    if probe.sham == "shuffle":
        text += " on shuffled weights"
    return f"{text}, run {probe.repeat + 1}" if probe.repeat else text


def _rows(facts: Mapping[str, Any]) -> list[str]:
    edits, reads = facts.get("edits", ()), facts.get("reads", ())
    rows = [f"{facts.get('forwards', 0)} forward passes on {facts.get('prompts', 0)} prompts"]
    rows += [_edit(row) for row in edits[:MAX_ROWS]]
    rows += _more(edits, "changed sites")
    rows += [
        f"looked at {row['site']}, {row['prompts']} prompts{ran.placed(row)}"
        for row in reads[:MAX_ROWS]
    ]
    rows += _more(reads, "sites looked at")
    rows += [f"hook at {site} was never called" for site in facts.get("idle_hooks", ())[:MAX_ROWS]]
    rows += [f"tried: {event}" for event in facts.get("attempts", ())[:MAX_ROWS]]
    return rows


def _edit(row: Mapping[str, Any]) -> str:
    heads = f" heads {row['heads']}" if row["heads"] else ""
    return (
        f"changed {row['site']}{heads} ({row['kind']}), {row['prompts']} prompts{ran.placed(row)}"
    )


def _more(rows: Sequence[Any], what: str) -> list[str]:
    return [f"and {len(rows) - MAX_ROWS} more {what}"] if len(rows) > MAX_ROWS else []


def _nearest(numbers: Sequence[str], stated: str) -> list[str]:
    """The run's numbers nearest to the stated one; without a stated one the first."""
    if not stated:
        return list(numbers[:MAX_NUMBERS])
    wanted = Stated(stated).value
    return sorted(numbers, key=lambda text: _distance(text, wanted))[:MAX_NUMBERS]


def _distance(text: str, wanted: float) -> float:
    try:
        found = abs(float(text) - wanted)
    except ValueError:
        return float("inf")
    return float("inf") if math.isnan(found) else found
