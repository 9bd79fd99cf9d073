"""What became of one claim, and of all claims of a bundle, as every report reads it.

An `Outcome` joins a claim with its decision and the addresses of its evidence. It holds plain values
only, so a worker process can send it to the controller and every report shows the same thing.
"""

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_mecheval.checks.check import AnyCheck
from pytest_mecheval.claims.model import Claim
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
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
    evidence: tuple[str, ...] = ()
    """Content addresses of the records the decision read, sorted."""
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
    untested: Mapping[str, str] = field(default_factory=dict)
    """What the bundle states but nothing here tests (listed as not testable, plan steps): id to reason."""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was odd about the bundle: skipped files, hidden text, orders to a machine."""

    def sorted_outcomes(self) -> tuple[Outcome, ...]:
        """By claim id, whatever order the workers finished in."""
        return tuple(sorted(self.outcomes, key=lambda outcome: outcome.claim))


def outcome(
    claim: Claim,
    check: AnyCheck,
    decision: Decision | None = None,
    *,
    addresses: Iterable[str] = (),
    evidence: Evidence | None = None,
    problem: str = "",
) -> Outcome:
    """The outcome of a claim: decided, failed with `problem`, or, with neither, not run.

    Args:
        claim: the claim as the claim file has it.
        check: its kind.
        decision: the decision with its tier filled in; None when there is none.
        addresses: content addresses of the evidence the decision read.
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
        evidence=tuple(sorted(set(addresses))),
        provenance=merged_provenance(evidence) if evidence else {},
    )


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


def plain_json(value: Any) -> Any:
    """The value in JSON types only: lists for tuples and sets, text for what JSON cannot say.

    >>> plain_json({"a": (1, float("nan")), "b": Verdict.SUPPORTED})
    {'a': [1, 'NaN'], 'b': 'SUPPORTED'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return plain_json(value.value)
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return encode_float(value)
    if isinstance(value, set | frozenset):
        return sorted((plain_json(item) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if hasattr(value, "tolist"):
        return plain_json(value.tolist())
    return str(value)


def encode_float(value: float) -> float | str:
    """The number, or `NaN`, `Infinity`, `-Infinity` as text, which strict JSON readers accept.

    >>> encode_float(1.5), encode_float(float("-inf"))
    (1.5, '-Infinity')
    """
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
