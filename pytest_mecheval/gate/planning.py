"""What a run must decide, worked out from bundle and claim file before it starts, by another process than the run."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.claims.coverage import unlisted
from pytest_mecheval.claims.model import ClaimFile
from pytest_mecheval.claims.reading import read_claims
from pytest_mecheval.gate.judging import Reason
from pytest_mecheval.report.outcome import BundleReport, State

SHOWN = 5
"""Ids named in one reason."""


@dataclass(frozen=True)
class Plan:
    """The cases of one bundle, and what it is recognised by."""

    bundle: Path
    claims_file: Path
    bundle_hash: str
    claims_hash: str
    decided: frozenset[str]
    """Ids that must get a verdict."""
    untested: frozenset[str]
    """Ids that are stated but have no check."""
    runs_scripts: bool
    """Whether any case runs code of the bundle."""
    files: int = 0
    notes: tuple[str, ...] = ()
    """What was left out while reading the bundle."""
    unlisted: int = 0
    """Sentences that state something by rule and have no entry in the claim file; they count as untested."""


def plan_of(bundle: Path, claims_file: Path) -> Plan:
    """The plan of a bundle; reads, and runs nothing.

    Raises:
        BundleError, ClaimFileError, StaleClaimsError: as the run itself would.
    """
    found = discover(bundle)
    claims = read_claims(claims_file, found)
    steps = [item for item in claims.plan if item.spec]
    without = [item.id for item in claims.plan if not item.spec]
    return Plan(
        bundle=bundle,
        claims_file=claims_file,
        bundle_hash=found.digest,
        claims_hash=sha256(claims_file.read_bytes()).hexdigest(),
        decided=frozenset([*(each.id for each in claims.claims), *(each.id for each in steps)]),
        untested=frozenset([*without, *(each.id for each in claims.not_testable)]),
        runs_scripts=_runs_scripts(claims),
        files=len(found.files),
        notes=found.notes,
        unlisted=len(unlisted(claims, found)),
    )


def _runs_scripts(claims: ClaimFile) -> bool:
    model = claims.subject.model
    specs = [*(each.spec for each in claims.claims), *(each.spec for each in claims.plan)]
    return (
        any("entry" in spec for spec in specs)
        or (model is not None and model.loader == "python")
        or any(task.entry for task in claims.subject.tasks.values())
    )


def departures(plan: Plan, report: BundleReport) -> tuple[Reason, ...]:
    """How a report differs from what was planned; none when every case of the plan, and no other, is decided."""
    found = []
    decided = {each.claim for each in report.outcomes if each.state is State.DECIDED}
    if missing := plan.decided - decided:
        found.append(_reason("planned cases have no verdict", missing))
    if foreign := {each.claim for each in report.outcomes} - plan.decided:
        found.append(_reason("cases were reported that nobody planned", foreign))
    if len(report.outcomes) != len({each.claim for each in report.outcomes}):
        found.append(Reason("plan", "a case is reported twice"))
    if set(report.untested) != plan.untested:
        odd = set(report.untested) ^ plan.untested
        found.append(_reason("statements without a test differ from the plan", odd))
    if report.bundle_hash != plan.bundle_hash:
        found.append(Reason("identity", "the report is about other files than the plan"))
    if report.claims_hash != plan.claims_hash:
        found.append(Reason("identity", "the report is about another claim file than the plan"))
    return tuple(found)


def _reason(text: str, claims: set[str] | frozenset[str]) -> Reason:
    names = sorted(claims)
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return Reason("plan", f"{len(names)} {text}: {shown}", tuple(names))
