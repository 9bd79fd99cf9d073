"""Statements that went untested for reasons of the translation, which a reader must hear of."""

from pytest_mecheval.claims.model import DISMISSED, NOT_TRANSLATED, ClaimFile, NotTestable


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
