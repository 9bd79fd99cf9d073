"""Statements that a claim file leaves out, or that its translation left untested: a reader must hear of them."""

from collections.abc import Iterable

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.claims.candidates import Candidate, candidates
from pytest_mecheval.claims.model import DISMISSED, NOT_TRANSLATED, ClaimFile, Entry, NotTestable


def covered(candidate: Candidate, entries: Iterable[Entry]) -> bool:
    """Whether one of the entries says what this passage is: its quote lies in the passage, or holds it."""
    passage = candidate.passage
    return any(
        entry.quote.file == passage.file
        and (
            normalised(entry.quote.text) in passage.text
            or passage.text in normalised(entry.quote.text)
        )
        for entry in entries
    )


def unlisted(claims: ClaimFile, bundle: Bundle) -> tuple[Candidate, ...]:
    """Passages that state a finding or a plan step by rule, and that no entry of the claim file quotes.

    Whoever writes a claim file can leave out what would fall; rules find it again.
    """
    entries = tuple(claims.entries())
    return tuple(each for each in candidates(bundle) if each.strong and not covered(each, entries))


def untranslated(claims: ClaimFile, *, orders: bool) -> tuple[NotTestable, ...]:
    """Statements that are untested because of how they were translated, not because they are vague.

    A person who has looked at one gives it a reason of his own, or a claim.

    Args:
        claims: a claim file.
        orders: whether the bundle gives orders to machines: then a translator may have followed them, and
            what it dismissed counts too.
    """
    reasons = (NOT_TRANSLATED, DISMISSED) if orders else (NOT_TRANSLATED,)
    return tuple(each for each in claims.not_testable if each.reason.startswith(reasons))
