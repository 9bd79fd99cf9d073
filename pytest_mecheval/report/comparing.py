"""Two reports of one bundle side by side: which claims appeared, vanished or flipped, and what moved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_mecheval.report.failure import amount, headline
from pytest_mecheval.report.outcome import BundleReport, Outcome, State
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.redeciding import alike
from pytest_mecheval.vocabulary import Verdict

RANKS: Mapping[str, int] = {
    Verdict.SUPPORTED: 0,
    Verdict.INCONCLUSIVE: 1,
    Verdict.NOT_TESTABLE: 2,
    State.NOT_RUN: 2,
    Verdict.VACUOUS: 3,
    Verdict.REFUTED: 3,
    State.ERROR: 3,
}
"""A verdict got worse when its rank grew; what is gone ranks with what was not run."""
GONE = RANKS[State.NOT_RUN]
_ABSENT = object()


class Change(StrEnum):
    """What became of a claim."""

    APPEARED = "appeared"
    VANISHED = "vanished"
    FLIPPED = "flipped"
    MOVED = "moved"
    """Same verdict, but something behind it is not what it was."""


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """One claim that is not what it was."""

    claim: str
    change: Change
    before: str
    """`REFUTED (not special)`, or empty when it appeared."""
    after: str
    """Empty when it vanished."""
    worse: bool
    moved: tuple[str, ...] = ()
    """What else differs: text, spec, threshold, evidence, estimate."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two reports."""

    claims: tuple[ClaimChange, ...]
    run: tuple[str, ...]
    """What differs for all claims: bundle, claim file, model, tasks, salt, sandbox, versions."""
    unchanged: int
    """Claims in which nothing differs."""

    @property
    def worse(self) -> tuple[ClaimChange, ...]:
        """Claims whose verdict got worse."""
        return tuple(each for each in self.claims if each.worse)


def compare(old: BundleReport, new: BundleReport) -> Comparison:
    """What changed from one report to the next, claims by id."""
    before = {each.claim: each for each in (*old.outcomes, *old.unchecked)}
    after = {each.claim: each for each in (*new.outcomes, *new.unchecked)}
    changes = [
        change
        for claim in sorted(before.keys() | after.keys())
        if (change := _claim(claim, before.get(claim), after.get(claim)))
    ]
    return Comparison(
        claims=tuple(changes),
        run=tuple(_run(old, new)),
        unchanged=len(before.keys() | after.keys()) - len(changes),
    )


def _claim(claim: str, old: Outcome | None, new: Outcome | None) -> ClaimChange | None:
    if old is None and new is not None:
        return ClaimChange(claim, Change.APPEARED, "", _said(new), worse=False)
    if old is not None and new is None:
        return ClaimChange(claim, Change.VANISHED, _said(old), "", worse=_rank(old) < GONE)
    if old is None or new is None:
        return None
    moved = tuple(_moved(old, new))
    flipped = _said(old) != _said(new)
    if not flipped and not moved:
        return None
    change = Change.FLIPPED if flipped else Change.MOVED
    worse = _rank(new) > _rank(old)
    return ClaimChange(claim, change, _said(old), _said(new), worse, moved)


def _said(outcome: Outcome) -> str:
    if outcome.decision is not None:
        return headline(outcome.decision)
    return "untested" if outcome.unavailable else outcome.word


def _rank(outcome: Outcome) -> int:
    return RANKS[outcome.word]


def _moved(old: Outcome, new: Outcome) -> Iterator[str]:
    """What differs beside the verdict, in the order in which it can be the cause."""
    if old.quote != new.quote:
        yield f'text: "{plain_line(old.quote)}", now "{plain_line(new.quote)}"'
    if old.source != new.source:
        yield f"place: {plain_line(old.source)}, now {plain_line(new.source)}"
    if old.kind != new.kind:
        yield f"kind: {old.kind}, now {new.kind}"
    yield from _fields("spec", old.spec, new.spec)
    if old.operationalised != new.operationalised:
        yield "operationalised: " + _now(list(old.operationalised), list(new.operationalised))
    if old.decision and new.decision:
        if not alike(old.decision.threshold, new.decision.threshold):
            yield f"threshold: {_now(old.decision.threshold, new.decision.threshold)}"
        if old.decision.tier is not new.decision.tier:
            yield f"tier: {_now(old.decision.tier, new.decision.tier)}"
    yield from _evidence(old, new)
    yield from _estimate(old, new)


def _fields(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if before != after:
            yield f"{what}.{plain_line(name)}: {_now(before, after)}"


def _now(before: object, after: object) -> str:
    return f"{_shown(before)}, now {_shown(after)}"


def _shown(value: object) -> str:
    if value is None or value is _ABSENT:
        return "nothing"
    return plain_line(f"{value:g}" if isinstance(value, float) else str(value))


def _evidence(old: Outcome, new: Outcome) -> Iterator[str]:
    before = {record.address: record.content for record in old.records}
    after = {record.address: record.content for record in new.records}
    if before.keys() != after.keys():
        gone, come = len(before.keys() - after.keys()), len(after.keys() - before.keys())
        yield f"evidence: {gone} of {len(before)} records no longer used, {come} others used"
    changed = sum(before[address] != after[address] for address in before.keys() & after.keys())
    if changed:
        yield f"evidence: {changed} records hold other numbers at the same address"


def _estimate(old: Outcome, new: Outcome) -> Iterator[str]:
    if not old.decision or not new.decision:
        return
    before, after = old.decision.estimate, new.decision.estimate
    if alike(before, after):
        return
    if before is None or after is None:
        yield f"estimate: {_now(before, after)}"
        return
    yield f"estimate: {before.value:.4g}, now {amount(after.value, after.unit)}"


def _run(old: BundleReport, new: BundleReport) -> Iterator[str]:
    if old.bundle != new.bundle:
        yield f"bundle name: {_now(old.bundle, new.bundle)}"
    if old.bundle_hash != new.bundle_hash:
        yield "bundle: its files changed"
    if old.claims_hash != new.claims_hash:
        yield "claim file: changed"
    yield from _fields("sources", _flat(old.sources), _flat(new.sources))
    if old.salt != new.salt:
        yield f"salt: {_now(old.salt, new.salt)}"
    if old.sandbox != new.sandbox:
        yield f"sandbox: {_now(old.sandbox, new.sandbox)}"
    yield from _fields("version", old.versions, new.versions)


def _flat(sources: Mapping[str, Any]) -> dict[str, Any]:
    """Model and tasks as one level, so that only what differs is named."""
    return {"model": sources["model"], **{f"task {n}": t for n, t in sources["tasks"].items()}}
