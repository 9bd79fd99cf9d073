"""What the bundle's own scripts did beyond computing, as notes of a decision: isolation, attempts, limits."""

from collections.abc import Iterator

from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.report.outcome import BundleReport, isolation_of

MAX_SHOWN = 6
"""Attempts and events named per claim; the rest is counted."""


def isolation_line(report: BundleReport) -> str:
    """Under what the bundle's own code ran, and what that does not protect from, as one sentence."""
    if not report.isolation:
        return "no code of the bundle was run"
    found = []
    for each in report.isolation:
        lacking = list(each.get("gaps", {}))
        without = f", which lacks: {_listed(lacking, ', ')}" if lacking else ""
        network = f", network {each['network']}" if "network" in each else ""
        found.append(f"{each['backend']}{network}{without}")
    return f"the bundle's code ran under {'; '.join(dict.fromkeys(found))}; kernel shared"


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


def _listed(texts: list[str], between: str = "; ") -> str:
    more = len(texts) - MAX_SHOWN
    return between.join(texts[:MAX_SHOWN]) + (f"{between}and {more} more" if more > 0 else "")
