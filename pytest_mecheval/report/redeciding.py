"""Decides every claim of a `decisions.json` again from stored evidence: no pytest, no bundle, no model.

Nothing of the old decision is used but what it is compared with. A record counts only when it lies at the
address that its step, model, data and salt give, and holds what it held when the claim was decided.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_mecheval.checks.registry import checks
from pytest_mecheval.errors import MechevalError
from pytest_mecheval.evidence.decision import Control, Decision, Estimate, Shams
from pytest_mecheval.evidence.measurement import Evidence, Measurement, measured
from pytest_mecheval.evidence.store import DamagedRecord, EvidenceStore
from pytest_mecheval.report.decisions import bundle_document
from pytest_mecheval.report.origins import job_of
from pytest_mecheval.report.outcome import BundleReport, Outcome, RecordUse
from pytest_mecheval.report.subjects import read_subject
from pytest_mecheval.wire import Code, Document, Prose, Record, Rerun, load_step

RELATIVE = 1e-9
"""Numbers of two machines may differ by this share: libraries sum in different orders."""
BLOCKS = ("coverage", "tiers", "scores", "family")
"""What follows from the decisions alone."""
_FILLED_IN = frozenset({"tier", "notes"})
"""Fields that the run completes after the kind has decided."""


class Standing(StrEnum):
    """What became of one claim when it was decided again."""

    SAME = "same"
    DIFFERS = "differs"
    MISSING = "evidence missing"
    DAMAGED = "evidence damaged"
    UNDECIDED = "had no verdict"


@dataclass(frozen=True, slots=True)
class Redecided:
    """One claim decided again."""

    claim: str
    standing: Standing
    details: tuple[str, ...] = ()
    """What differs, or which record is missing or damaged."""

    @property
    def agrees(self) -> bool:
        """Whether nothing speaks against the stored verdict; no verdict, nothing to speak against."""
        return self.standing in (Standing.SAME, Standing.UNDECIDED)


class _Unusable(MechevalError):
    """A record cannot be used for this claim."""

    def __init__(self, standing: Standing, text: str) -> None:
        super().__init__(text)
        self.standing = standing


class Redecider:
    """Decides claims of one report again; every record is read once."""

    def __init__(self, report: BundleReport, store: Path) -> None:
        self.report = report
        self.store = EvidenceStore(store)
        self._measurements: dict[str, Measurement] = {}

    def claims(self) -> Iterator[Redecided]:
        """Every claim of the report, by id."""
        for outcome in self.report.sorted_outcomes():
            yield self._claim(outcome)

    @property
    def records(self) -> int:
        """Records read so far."""
        return len(self._measurements)

    def _claim(self, outcome: Outcome) -> Redecided:
        if outcome.decision is None:
            return Redecided(outcome.claim, Standing.UNDECIDED, (outcome.word,))
        try:
            again = self._decide(outcome)
        except _Unusable as error:
            return Redecided(outcome.claim, error.standing, (str(error),))
        except (MechevalError, ValidationError, KeyError, TypeError, ValueError) as error:
            # The document or the evidence leads a kind astray: that is an answer, not our crash.
            return Redecided(outcome.claim, Standing.DIFFERS, (f"cannot be decided: {error!r}",))
        found = tuple(differences(outcome.decision, again))
        return Redecided(outcome.claim, Standing.DIFFERS if found else Standing.SAME, found)

    def _decide(self, outcome: Outcome) -> Decision:
        check = checks().get(outcome.kind)
        if check is None:
            raise _Unusable(Standing.DIFFERS, f"this version has no kind {outcome.kind!r}")
        subject = read_subject(outcome.subject)
        spec = check.spec.model_validate(dict(outcome.spec))
        evidence = {load_step(each.step): self._measurement(each) for each in outcome.records}
        decision: Decision = check.decide(
            spec, subject, Evidence(evidence, "" if evidence else outcome.unavailable)
        )
        return decision

    def _measurement(self, use: RecordUse) -> Measurement:
        if use.address not in self._measurements:
            self._measurements[use.address] = measured(self._record(use))
        found = self._measurements[use.address]
        if found.content != use.content:
            path = self.store.address_path(use.address)
            raise _Unusable(Standing.DAMAGED, f"{path}: holds other numbers than were decided on")
        return found

    def _record(self, use: RecordUse) -> Record:
        step = load_step(use.step)
        try:
            if isinstance(step.probe, Document | Prose | Code | Rerun):
                record = self.store.read_address(use.address)
            else:
                job = job_of(step, self.report.sources, self.report.salt)
                if job.address != use.address:
                    text = f"{use.address[:12]}: step, model, data and salt give another address"
                    raise _Unusable(Standing.DAMAGED, text)
                record = self.store.read(job)
        except DamagedRecord as damage:
            raise _Unusable(Standing.DAMAGED, str(damage)) from damage
        if record is None:
            path = self.store.address_path(use.address)
            raise _Unusable(Standing.MISSING, f"{path}: no such record")
        return record


def differences(old: Decision, new: Decision) -> Iterator[str]:
    """What a decision made again says otherwise, as `verdict: SUPPORTED, now REFUTED`."""
    for field in fields(Decision):
        before, now = getattr(old, field.name), getattr(new, field.name)
        if field.name not in _FILLED_IN and not alike(before, now):
            yield f"{field.name}: {before}, now {now}"
    # Notes about the run are added behind those of the kind.
    if old.notes[: len(new.notes)] != new.notes:
        yield f"notes: {'; '.join(old.notes)}, now {'; '.join(new.notes)}"


def alike(before: Any, now: Any) -> bool:
    """Whether two fields of a decision are the same, numbers up to the order they were summed in."""
    if isinstance(before, float) and isinstance(now, float):
        close = math.isclose(before, now, rel_tol=RELATIVE, abs_tol=RELATIVE)
        return close or (math.isnan(before) and math.isnan(now))
    if type(before) is not type(now):
        return False
    if isinstance(before, tuple):
        return len(before) == len(now) and all(map(alike, before, now))
    if isinstance(before, Estimate | Control | Shams):
        names = [field.name for field in fields(before)]
        return all(alike(getattr(before, name), getattr(now, name)) for name in names)
    return bool(before == now)


def wrong_blocks(document: Mapping[str, Any], report: BundleReport) -> tuple[str, ...]:
    """Names of the blocks of a `decisions.json` that do not follow from its own decisions."""
    again = bundle_document(report)
    return tuple(name for name in BLOCKS if document[name] != again[name])
