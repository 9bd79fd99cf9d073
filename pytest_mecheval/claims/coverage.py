"""How much of what a bundle states is tested: a headline number, so vagueness is no safe harbour."""

from dataclasses import dataclass

from pytest_mecheval.claims.model import DISMISSED, NOT_TRANSLATED, ClaimFile, NotTestable


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts of statements by what became of them."""

    claims: int
    """Statements with a claim that can be tested."""
    plan: int
    """Plan steps."""
    not_testable: int
    """Statements listed as untestable, with a reason."""

    @property
    def stated(self) -> int:
        """Everything the bundle states or promises."""
        return self.claims + self.plan + self.not_testable

    @property
    def tested(self) -> int:
        """What is tested."""
        return self.claims

    def __str__(self) -> str:
        """`8 of 12 statements tested (plan steps: 3, not testable: 1)`."""
        return (
            f"{self.tested} of {self.stated} statements tested "
            f"(plan steps: {self.plan}, not testable: {self.not_testable})"
        )


def coverage_of(claims: ClaimFile) -> Coverage:
    """Coverage of a claim file, before anything is measured."""
    return Coverage(len(claims.claims), len(claims.plan), len(claims.not_testable))


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
