"""Stated numbers beside the numbers that came out, from our measurement or from runs of the bundle's own scripts."""

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mecheval.report.outcome import Outcome
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.testimony import Testimony
from pytest_mecheval.vocabulary import Verdict

REPORTED_NUMBER = "reported_number"
_SHOWN = 4
"""Numbers of a run shown in one row."""
_AGREES = {Verdict.SUPPORTED: "yes", Verdict.REFUTED: "no"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A stated number beside what came out; inert text."""

    where: str
    stated: str
    found: str
    agrees: str
    """yes, no, or empty when the comparison decides nothing."""


def comparisons(outcome: Outcome) -> Iterator[Comparison]:
    """Our own measurement of a reported number, and one row per run with a stated number."""
    decision, stated = outcome.decision, outcome.spec.get("number")
    if (
        outcome.kind == REPORTED_NUMBER
        and decision is not None
        and decision.estimate is not None
        and isinstance(stated, str)
    ):
        estimate = decision.estimate
        found = f"{estimate.value:.5g} [{estimate.lower:.4g}, {estimate.upper:.4g}]"
        agrees = _AGREES.get(decision.verdict, "")
        yield Comparison("our measurement", plain_line(stated), found, agrees)
    for each in outcome.testimony:
        if each.stated:
            agrees = "yes" if each.agrees else "no"
            yield Comparison(plain_line(each.run), plain_line(each.stated), _numbers(each), agrees)


def _numbers(testimony: Testimony) -> str:
    shown = ", ".join(plain_line(number, 40) for number in testimony.numbers[:_SHOWN])
    if not testimony.numbers:
        return "no number at all"
    if testimony.agrees or testimony.count <= 1:
        return shown
    return f"nearest of {testimony.count}: {shown}"


def diff_text(outcome: Outcome) -> str:
    """The comparisons as a diff for reading: what agrees is unchanged; empty without any."""
    lines = []
    for row in comparisons(outcome):
        if row.agrees == "yes":
            lines.append(f"  {row.stated}  ({row.where}: {row.found})")
        else:
            lines += [f"- {row.stated}  (stated)", f"+ {row.found}  ({row.where})"]
    return "\n".join(lines)


def ledger_text(outcome: Outcome) -> str:
    """First rows of the ledger of every run, each behind a bar so that none starts a line; empty without any."""
    lines = []
    for each in outcome.testimony:
        lines.append(plain_line(f"{each.run}: {each.ending}; ledger {each.standing}"))
        lines += [f"| {plain_line(row)}" for row in each.ledger]
    return "\n".join(lines)
