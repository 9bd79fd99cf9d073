"""What became of one claim, and of all claims of a bundle, as every report reads it.

An `Outcome` joins a claim with its decision and the addresses of its evidence. It holds plain values
only, so a worker process can send it to the controller and every report shows the same thing.
"""

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_mecheval.checks.check import AnyCheck, Subject
from pytest_mecheval.claims.model import Claim
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.report.jsonable import plain_json
from pytest_mecheval.report.spread import Spread, spread_of
from pytest_mecheval.report.subjects import subject_document
from pytest_mecheval.report.testimony import Testimony, accounts_of_runs
from pytest_mecheval.vocabulary import Dimension, Verdict

DISTINCT_VALUES = 8
"""Values listed per provenance key when the measurements of one claim differ in it."""
LARGEST = frozenset({"seconds"})
"""Provenance keys that only grow during a job, so that one number says it for all its measurements."""


class State(enum.StrEnum):
    """How far a claim came."""

    DECIDED = "decided"
    NOT_RUN = "not run"
    """Deselected, or the session ended first."""
    ERROR = "error"
    """Our own failure; never a verdict."""


@dataclass(frozen=True, slots=True)
class RecordUse:
    """One stored record that a decision read."""

    address: str
    """Where it lies in the evidence store: hash of everything that was asked for."""
    content: str
    """Hash of what was found there, so that damage and drift are seen."""
    step: Mapping[str, Any]
    """Plain JSON: the plan step it answers."""
    spread: Spread | None = None
    """How its values lie; None when it has none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One claim and what became of it."""

    claim: str
    """Claim id."""
    kind: str
    dimension: Dimension
    file: str
    line: int
    quote: str
    """The claim's own words, as the bundle has them: not yet safe to display."""
    spec: Mapping[str, Any]
    """Plain JSON."""
    decision: Decision | None = None
    """None exactly when `state` is not `decided`."""
    state: State = State.DECIDED
    problem: str = ""
    """What went wrong when `state` is `error`."""
    headline: bool = False
    operationalised: tuple[str, ...] = ()
    """Spec fields the evaluator filled in."""
    records: tuple["RecordUse", ...] = ()
    """Every record the decision read, in the order of its plan."""
    unavailable: str = ""
    """Why nothing could be measured; then there are no records, and the decision read this instead."""
    subject: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON: what the claim is about, as the decision saw it (`report.subjects`)."""
    isolation: tuple[Mapping[str, Any], ...] = ()
    """Plain JSON: what protected this machine while scripts of the bundle ran for this claim."""
    testimony: tuple[Testimony, ...] = ()
    """What runs of the bundle's scripts gave, cut down to what a reader looks at."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON: versions, device, controls, seconds."""

    @property
    def word(self) -> str:
        """The verdict, or `not run` or `error`."""
        return str(self.decision.verdict) if self.decision else str(self.state)

    @property
    def source(self) -> str:
        """`logs/documentation.md:41`."""
        return f"{self.file}:{self.line}"

    @property
    def evidence(self) -> tuple[str, ...]:
        """Content addresses of the records the decision read, sorted."""
        return tuple(sorted({record.address for record in self.records}))

    @property
    def tested(self) -> bool:
        """Whether a verdict came out of a measurement."""
        return self.decision is not None and self.decision.verdict is not Verdict.NOT_TESTABLE


@dataclass(frozen=True)
class BundleReport:
    """Everything one bundle's reports are made of."""

    bundle: str
    bundle_hash: str
    claims_file: str
    """As given on the command line or found beside the bundle."""
    claims_hash: str
    salt: str
    """Decides which fresh prompts were drawn; printed so that everybody can draw them again."""
    outcomes: tuple[Outcome, ...]
    unchecked: tuple[Outcome, ...] = ()
    """What the bundle states but nothing here tests: listed as not testable, plan steps without a check."""
    versions: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    """The bundle's folder relative to where pytest was started; empty when it lies elsewhere."""
    sources: Mapping[str, Any] = field(default_factory=lambda: {"model": None, "tasks": {}})
    """Plain JSON: model and tasks as hashes and parameters; with a step and the salt they give an address."""
    sandbox: str = ""
    """Isolation that was asked for, such as `auto`."""
    notes: tuple[str, ...] = ()
    """What was odd about the bundle: skipped files, hidden text, orders to a machine."""

    @property
    def untested(self) -> Mapping[str, str]:
        """Claim id to reason of everything that has no test."""
        return {outcome.claim: outcome.unavailable for outcome in self.unchecked}

    @property
    def isolation(self) -> tuple[Mapping[str, Any], ...]:
        """Every isolation in force while scripts of the bundle ran, each once."""
        found = {repr(each): each for outcome in self.outcomes for each in outcome.isolation}
        return tuple(found[key] for key in sorted(found))

    def sorted_outcomes(self) -> tuple[Outcome, ...]:
        """By claim id, whatever order the workers finished in."""
        return tuple(sorted(self.outcomes, key=lambda outcome: outcome.claim))

    def sorted_unchecked(self) -> tuple[Outcome, ...]:
        """By claim id."""
        return tuple(sorted(self.unchecked, key=lambda outcome: outcome.claim))


def outcome(
    claim: Claim,
    check: AnyCheck,
    decision: Decision | None = None,
    *,
    subject: Subject | None = None,
    evidence: Evidence | None = None,
    problem: str = "",
) -> Outcome:
    """The outcome of a claim: decided, failed with `problem`, or, with neither, not run.

    Args:
        claim: the claim as the claim file has it.
        check: its kind.
        decision: the decision with its tier filled in; None when there is none.
        subject: what the claim is about, as `decide` was given it.
        evidence: its measurements, whose provenance is merged.
        problem: what failed on our side.
    """
    state = State.DECIDED if decision else State.ERROR if problem else State.NOT_RUN
    return Outcome(
        claim=claim.id,
        kind=check.kind,
        dimension=check.dimension,
        file=claim.quote.file,
        line=claim.quote.line,
        quote=claim.quote.text,
        spec=plain_json(dict(claim.spec)),
        decision=decision,
        state=state,
        problem=problem,
        headline=claim.headline,
        operationalised=tuple(sorted(claim.operationalised)),
        records=_records(evidence) if evidence else (),
        unavailable=evidence.unavailable if evidence else "",
        subject=subject_document(subject) if subject else {},
        isolation=isolation_of(evidence) if evidence else (),
        testimony=accounts_of_runs(evidence, claim.spec) if evidence else (),
        provenance=merged_provenance(evidence) if evidence else {},
    )


def _records(evidence: Evidence) -> tuple[RecordUse, ...]:
    return tuple(
        RecordUse(
            measurement.address,
            measurement.content,
            plain_json(asdict(step)),
            spread_of(measurement.values),
        )
        for step, measurement in evidence.measurements.items()
        if measurement.address
    )


def isolation_of(evidence: Evidence) -> tuple[Mapping[str, Any], ...]:
    """What protected this machine while the bundle's scripts ran, each kind of isolation once."""
    found = [
        plain_json(measurement.facts["isolation"])
        for measurement in evidence.measurements.values()
        if "isolation" in measurement.facts
    ]
    return tuple({repr(each): each for each in found}.values())


def merged_provenance(evidence: Evidence) -> dict[str, Any]:
    """One provenance for many measurements: shared values once, differing ones as a list."""
    seen: dict[str, list[Any]] = {}
    largest: dict[str, float] = {}
    for measurement in evidence.measurements.values():
        for key, raw in measurement.provenance.items():
            value = plain_json(raw)
            if key in LARGEST and isinstance(value, int | float):
                largest[key] = max(largest.get(key, value), value)
            elif value not in seen.setdefault(key, []):
                seen[key].append(value)
    merged = {
        key: values[0] if len(values) == 1 else sorted(values, key=repr)[:DISTINCT_VALUES]
        for key, values in seen.items()
    }
    return {"measurements": len(evidence.measurements)} | merged | largest
