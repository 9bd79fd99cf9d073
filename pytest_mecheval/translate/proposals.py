"""What became of one asked passage: the entries proposed for the claim file, or why there are none."""

import enum
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.passages import Passage
from pytest_mecheval.bundle.problems import validation_problems
from pytest_mecheval.bundle.quoting import normalised, occurrences
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.claims.candidates import Candidate
from pytest_mecheval.claims.model import (
    DISMISSED,
    MAX_ID_CHARACTERS,
    NOT_TRANSLATED,
    Claim,
    Entry,
    NotTestable,
    PlanItem,
    Quote,
)
from pytest_mecheval.errors import UsageError
from pytest_mecheval.run.subject import PLAN_STEP
from pytest_mecheval.translate.answer import Answer, BadAnswer, Outcome, ProposedClaim, answer_from
from pytest_mecheval.translate.asks import Reply, Status
from pytest_mecheval.translate.hidden import verbatim
from pytest_mecheval.translate.strict_json import json_object

SHORTEST_QUOTE_WORDS = 3
"""A quote of one figure could stand for anything."""
FARTHEST_LINE = 20
"""Lines over which one passage may be wrapped."""
MAX_REASON = 500
FALLBACK_ID = "statement"


class Fate(enum.StrEnum):
    """What a passage became."""

    CLAIMED = "claimed"
    NOT_TESTABLE = "not testable"
    DISMISSED = "states nothing"
    """Only passages that the rules do not call a statement for certain."""
    FAILED = "failed"
    """No usable answer; counts as an untested statement."""


@dataclass(frozen=True)
class Proposal:
    """The outcome for one candidate."""

    candidate: Candidate
    fate: Fate
    entries: tuple[Entry, ...] = ()
    reason: str = ""
    """Why it is not testable, says nothing or failed."""
    problems: tuple[str, ...] = ()
    """What is wrong with the answer, one line each; goes back to the provider once."""
    status: Status = Status.ANSWERED

    @property
    def can_be_asked_again(self) -> bool:
        """There was an answer, only not a usable one."""
        return self.fate is Fate.FAILED and bool(self.problems)


def proposal(reply: Reply, candidate: Candidate, bundle: Bundle) -> Proposal:
    """Reads a reply; shape, outcome and quotes are checked here, specs and wording by the guards."""
    if reply.status is not Status.ANSWERED:
        reason = f"{reply.status}: {reply.detail}" if reply.detail else str(reply.status)
        return Proposal(candidate, Fate.FAILED, reason=reason, status=reply.status)
    try:
        answer = answer_from(reply.body)
    except BadAnswer as error:
        return failed(candidate, "malformed", (str(error),))
    return _from_answer(answer, candidate, bundle)


def failed(candidate: Candidate, why: str, problems: tuple[str, ...]) -> Proposal:
    """An answer that cannot be used."""
    return Proposal(
        candidate,
        Fate.FAILED,
        reason=f"{why}: {'; '.join(problems)}"[:MAX_REASON],
        problems=problems,
    )


def untestable(candidate: Candidate, reason: str) -> Proposal:
    """The passage as an entry of `not_testable`."""
    passage = candidate.passage
    entry = NotTestable(
        id=identifier(passage.text),
        quote=Quote(file=passage.file, line=passage.line, text=passage.text[:10_000]),
        reason=_one_line(reason)[:MAX_REASON] or "no reason was given",
    )
    return Proposal(candidate, Fate.NOT_TESTABLE, (entry,), reason=entry.reason)


def settled(given: Proposal) -> Proposal:
    """Failed proposals as untestable statements, so that coverage stays honest."""
    if given.fate is not Fate.FAILED:
        return given
    listed = untestable(given.candidate, f"{NOT_TRANSLATED}: {given.reason}")
    return replace(listed, fate=Fate.FAILED, status=given.status)


def _from_answer(answer: Answer, candidate: Candidate, bundle: Bundle) -> Proposal:
    expected = Outcome.PLAN_STEP if candidate.role == "plan" else Outcome.CLAIMS
    match answer.outcome:
        case Outcome.NOT_TESTABLE:
            return untestable(candidate, answer.reason)
        case Outcome.NO_CLAIM if candidate.strong:
            said = _one_line(answer.explanation or answer.reason)
            return untestable(candidate, f"{DISMISSED}: {said}")
        case Outcome.NO_CLAIM:
            said = _one_line(answer.explanation or answer.reason)
            return Proposal(candidate, Fate.DISMISSED, reason=said[:MAX_REASON])
        case outcome if outcome is not expected:
            return failed(
                candidate, "malformed", (f"outcome must be {expected}, not_testable or no_claim",)
            )
        case _:
            return _claimed(answer, candidate, bundle)


def _claimed(answer: Answer, candidate: Candidate, bundle: Bundle) -> Proposal:
    entries: list[Entry] = []
    problems: list[str] = []
    for number, proposed in enumerate(answer.claims, start=1):
        try:
            entries.append(_entry(proposed, candidate, bundle))
        except UsageError as error:
            problems.append(f"claim {number}: {error}")
    if problems:
        return failed(candidate, _why(problems), tuple(problems))
    if answer.reason.strip():  # a part of the passage that no kind can test costs coverage too
        entries += untestable(candidate, answer.reason).entries
    return Proposal(candidate, Fate.CLAIMED, tuple(entries))


def _why(problems: list[str]) -> str:
    return "ungrounded" if any(": quote" in problem for problem in problems) else "malformed"


def _entry(proposed: ProposedClaim, candidate: Candidate, bundle: Bundle) -> Claim | PlanItem:
    """One entry with its quote put in place.

    Raises:
        UsageError: says what is wrong with it.
    """
    spec = json_object(proposed.spec_json)
    quote = grounded(proposed.quote, candidate.passage, bundle)
    name = identifier(proposed.id or proposed.quote)
    is_step = candidate.role == "plan"
    if is_step != (proposed.kind == PLAN_STEP):
        raise UsageError(f"kind '{proposed.kind[:60]}' does not fit a {candidate.role} passage")
    if proposed.kind not in checks():
        raise UsageError(f"unknown kind '{proposed.kind[:60]}' (allowed: {', '.join(checks())})")
    try:
        if is_step:
            return PlanItem(id=name, quote=quote, spec=spec)
        return Claim(
            id=name,
            kind=proposed.kind,
            quote=quote,
            spec=spec,
            operationalised=proposed.operationalised,
            headline=proposed.headline,
        )
    except ValidationError as error:
        raise UsageError("; ".join(validation_problems(error, Claim))) from None


def grounded(text: str, passage: Passage, bundle: Bundle) -> Quote:
    """A quote with the line it begins on; only the line is ever repaired, never a word.

    Raises:
        UsageError: it is no part of the passage, cuts a word in two, or is too short to say anything.
    """
    words = verbatim(normalised(text), passage.text)
    if words is None:
        raise UsageError("quote: not in the passage; copy its words exactly")
    if len(words.split()) < min(SHORTEST_QUOTE_WORDS, len(passage.text.split())):
        raise UsageError(f"quote: shorter than {SHORTEST_QUOTE_WORDS} words")
    document = bundle.find(passage.file)
    lines = occurrences(document, words).lines if document else ()
    near = [line for line in lines if passage.line <= line <= passage.line + FARTHEST_LINE]
    if not near:
        raise UsageError("quote: cuts a word or number in two")
    return Quote(file=passage.file, line=near[0], text=words)


def identifier(text: str) -> str:
    """Kebab-case words out of any text.

    >>> identifier("**Head 1.6** destroys induction!")
    'head-1-6-destroys-induction'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    kept, length = [], 0
    for word in words:
        length += len(word) + 1
        if length > MAX_ID_CHARACTERS // 2:
            break
        kept.append(word)
    return "-".join(kept) or FALLBACK_ID


def _one_line(text: str) -> str:
    return normalised(text)


def plain(entry: Entry) -> dict[str, Any]:
    """An entry as plain JSON without its defaults."""
    return dict(entry.model_dump(mode="json", exclude_defaults=True))
