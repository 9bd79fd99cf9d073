"""The `audit` fixture: looks a claim up, gets its evidence, lets the kind decide, says so to pytest."""

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from pydantic import ValidationError

from pytest_mecheval.cases.loading import Entry, LoadedBundle
from pytest_mecheval.errors import ClaimNotSupported, MechevalError
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.report import allure_case
from pytest_mecheval.report.conduct import conduct_notes
from pytest_mecheval.report.decisions import decision_document, json_text
from pytest_mecheval.report.failure import headline, outcome_text
from pytest_mecheval.report.outcome import Outcome, outcome
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.run.subject import PLAN_STEP
from pytest_mecheval.vocabulary import Rung, Verdict
from pytest_mecheval.wire import write_atomically

if TYPE_CHECKING:
    from pytest_mecheval.cases.session import Session

VERDICT_PROPERTY = "mecheval_verdict"
CLAIM_PROPERTY = "mecheval_claim"
KIND_PROPERTY = "mecheval_kind"
DIMENSION_PROPERTY = "mecheval_dimension"
ERROR_PROPERTY = "mecheval_error"
STALE = "stale: the test's arguments differ from the claim file, and the claim file was used"
_KIND = re.compile(r"[a-z][a-z_]*")


class Audit:
    """What a test case calls: `audit.<kind>(field=value, ...)`, once."""

    def __init__(self, session: "Session", item: pytest.Item) -> None:
        self._session = session
        self._item = item

    def __getattr__(self, kind: str) -> Callable[..., None]:
        """The check of that kind; whether the claim is of that kind is compared with the claim file."""
        if not _KIND.fullmatch(kind):
            raise AttributeError(kind)
        return functools.partial(self._audit, kind)

    def _audit(self, kind: str, /, **arguments: Any) -> None:
        """Decide the claim of this test.

        Raises:
            ClaimNotSupported: REFUTED, VACUOUS or INCONCLUSIVE, as five lines.
            MechevalError: our failure, never a verdict.
        """
        try:
            loaded, entry = self._session.entry_of(self._item)
            self._note(CLAIM_PROPERTY, f"{loaded.name}/{entry.case.id}")
            self._note(KIND_PROPERTY, entry.case.kind)
            self._note(DIMENSION_PROPERTY, str(entry.case.dimension))
            notes = () if _same(entry, kind, arguments) else (STALE,)
            decided, evidence = self._decide(loaded, entry, notes)
        except MechevalError as error:
            self._note(ERROR_PROPERTY, str(error))
            raise
        path = self._session.decision_path(loaded, entry.case.id)
        document = json_text(decision_document(decided))
        write_atomically(path, document)
        self._note(VERDICT_PROPERTY, decided.word)
        drawings = self._session.settings.evidence.with_name("plots")
        allure_case.attach(
            self._item.config, decided, evidence, drawings=drawings, document=document
        )
        _tell(decided, skip_inconclusive=self._session.settings.inconclusive == "skip")

    def _note(self, name: str, value: str) -> None:
        self._item.user_properties.append((name, value))

    def _decide(
        self, loaded: LoadedBundle, entry: Entry, notes: tuple[str, ...]
    ) -> tuple[Outcome, Evidence | None]:
        if entry.bound is None:
            return stated_outcome(entry, notes), None
        bound, runner = entry.bound, self._session.runner
        evidence = runner.evidence(entry.request)
        decision = bound.check.decide(bound.spec, bound.subject, evidence)
        decision = dataclasses.replace(
            decision,
            tier=loaded.sources.tier(bound.steps),
            notes=(
                *decision.notes,
                *entry.notes,
                *conduct_notes(evidence),
                *environment(evidence),
                *loaded.sources.notes(bound.steps),
                *driven(evidence),
                *runner.repaired(entry.request),
                *notes,
            ),
        )
        decided = outcome(
            bound.claim, bound.check, decision, subject=bound.subject, evidence=evidence
        )
        return decided, evidence


def environment(evidence: Evidence) -> tuple[str, ...]:
    """What packages the bundle's scripts ran with, when those are not this run's own."""
    found = [
        measurement.facts["environment"]
        for measurement in evidence.measurements.values()
        if "environment" in measurement.facts
    ]
    origins = sorted({str(each["origin"]) for each in found})
    notes = sorted({str(note) for each in found for note in each["notes"]})
    return tuple(f"environment: {text}" for text in (*origins, *notes))


def driven(evidence: Evidence) -> tuple[str, ...]:
    """Which of the bundle's own modules was measured, where its components were taken to be, and how confined."""
    found = (m.provenance.get("driven") for m in evidence.measurements.values())
    return tuple(sorted({str(text) for text in found if text}))


def stated_outcome(entry: Entry, notes: tuple[str, ...] = ()) -> Outcome:
    """A plan step or untestable statement: NOT_TESTABLE with its reason."""
    claim, case = entry.claim, entry.case
    decision = Decision(
        Verdict.NOT_TESTABLE,
        "no requirement stated" if case.kind == PLAN_STEP else "no operational meaning",
        f"nothing: {entry.reason}",
        "a statement that some measurement could contradict",
        Rung.L0,
        notes=notes,
    )
    return Outcome(
        claim=case.id,
        kind=case.kind,
        dimension=case.dimension,
        file=claim.quote.file,
        line=claim.quote.line,
        quote=claim.quote.text,
        spec=dict(claim.spec),
        decision=decision,
        unavailable=entry.reason,
    )


def _same(entry: Entry, kind: str, arguments: dict[str, Any]) -> bool:
    """Whether the test says what the claim file says; spellings of one value count as the same."""
    if kind != entry.case.kind:
        return False
    if entry.bound is None:
        return arguments == dict(entry.case.arguments)
    try:
        return bool(entry.bound.check.spec.model_validate(arguments) == entry.bound.spec)
    except ValidationError:
        return False


def _tell(decided: Outcome, *, skip_inconclusive: bool) -> None:
    """Pass, skip or fail the running test."""
    decision = decided.decision
    if decision is None or decision.verdict is Verdict.SUPPORTED:
        return
    relaxed = skip_inconclusive and decision.verdict is Verdict.INCONCLUSIVE
    if decision.verdict is Verdict.NOT_TESTABLE or relaxed:
        _skip(decided, decision)
    raise ClaimNotSupported(outcome_text(decided))


def _skip(decided: Outcome, decision: Decision) -> NoReturn:
    reason = plain_line(f"{headline(decision)}: {decision.measured}")
    pytest.skip(f"{decided.claim}: {reason}")
