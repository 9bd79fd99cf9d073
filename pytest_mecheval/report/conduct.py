"""What the bundle's own scripts did beyond computing, as notes of a decision: isolation, attempts, limits."""

from collections.abc import Iterator

from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.report.outcome import isolation_of

MAX_SHOWN = 6
"""Attempts and events named per claim; the rest is counted."""


def conduct_notes(evidence: Evidence) -> tuple[str, ...]:
    """Notes on how the scripts of the bundle behaved; none for a claim that ran no script."""
    return tuple(dict.fromkeys(_notes(evidence)))


def _notes(evidence: Evidence) -> Iterator[str]:
    for name in sorted({str(each["backend"]) for each in isolation_of(evidence)}):
        yield f"the bundle's code ran under isolation: {name}"
    tried = _facts(evidence, "attempts")
    if tried:
        yield f"the bundle's code tried to: {_listed(tried)}"
    said = _facts(evidence, "notes")
    if said:
        yield f"in its run: {_listed(said)}"


def _facts(evidence: Evidence, name: str) -> list[str]:
    """A list among the facts of all runs, each entry once."""
    found = (text for each in evidence.measurements.values() for text in each.facts.get(name, ()))
    return list(dict.fromkeys(map(str, found)))


def _listed(texts: list[str]) -> str:
    more = len(texts) - MAX_SHOWN
    return "; ".join(texts[:MAX_SHOWN]) + (f"; and {more} more" if more > 0 else "")
