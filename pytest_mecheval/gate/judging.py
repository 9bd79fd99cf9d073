"""Whether a report meets a policy: pure functions from both to the reasons why it does not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_mecheval.checks.registry import checks
from pytest_mecheval.errors import UsageError
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.gate.policy import Policy
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.report.scores import Coverage, coverage
from pytest_mecheval.vocabulary import Dimension, Rung, Tier, Verdict

STRENGTH = ("landlock", "bubblewrap")
"""Isolations that protect, the weaker first; any other name protects nothing."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a bundle does not pass."""

    code: str
    """Which rule: `verdicts`, `coverage`, `plan`, ..."""
    text: str
    claims: tuple[str, ...] = ()
    """Claims it is about."""


def reasons(report: BundleReport, policy: Policy, *, unlisted: int = 0) -> tuple[Reason, ...]:
    """Every demand of the policy that the report does not meet.

    Args:
        report: what the run found.
        policy: what is demanded.
        unlisted: statements that the claim file passes over; they count as untested.
    """
    return tuple(_reasons(report, policy, unlisted))


def _reasons(report: BundleReport, policy: Policy, unlisted: int) -> Iterator[Reason]:
    outcomes = report.sorted_outcomes()
    for verdict in policy.block:
        claims = [each.claim for each in outcomes if each.word == verdict]
        if verdict == Verdict.NOT_TESTABLE:
            claims += [each.claim for each in report.sorted_unchecked()]
        if claims:
            yield Reason("verdicts", f"{len(claims)} {verdict}", tuple(claims))
    tested = [each for each in outcomes if each.tested]
    if len(tested) < policy.tested:
        text = f"{len(tested)} claims tested, at least {policy.tested} are demanded"
        yield Reason("tested", text)
    stated = stated_coverage(report, unlisted)
    if (stated.share or 0.0) < policy.coverage:
        yield Reason(
            "coverage",
            f"{stated.tested} of {stated.stated} stated findings tested{passed_over(unlisted)}, "
            f"at least {policy.coverage:.0%} are demanded",
        )
    measured = [each.claim for each in tested if _measured_by_us(each)]
    if len(measured) < policy.measured:
        text = f"{len(measured)} SUPPORTED claims rest on our own measurement"
        yield Reason("measured", f"{text}, at least {policy.measured} are demanded")
    yield from _dimensions(tested, policy)
    yield from _isolation(outcomes, policy)
    yield from _attempts(outcomes, policy)


def _measured_by_us(outcome: Outcome) -> bool:
    decision = outcome.decision
    return (
        decision is not None
        and decision.verdict is Verdict.SUPPORTED
        and decision.tier >= Tier.T2
        and checks()[outcome.kind].functional
    )


def stated_coverage(report: BundleReport, unlisted: int) -> Coverage:
    """Coverage as the gate counts it: what the claim file passes over is stated and untested."""
    return coverage(report.outcomes, len(report.unchecked) + unlisted)


def passed_over(unlisted: int) -> str:
    """How many statements the claim file has no entry for, in parentheses; empty when it has all."""
    return f" ({unlisted} have no entry in the claim file)" if unlisted else ""


def weighted_share(outcomes: Iterable[Outcome], policy: Policy) -> float | None:
    """Weighted share of SUPPORTED among tested claims; None when their weights sum to 0."""
    total = good = 0.0
    for each in outcomes:
        weight = policy.weights.headline if each.headline else policy.weights.supporting
        total += weight
        good += weight * (each.word == Verdict.SUPPORTED)
    return good / total if total else None


def _dimensions(tested: Sequence[Outcome], policy: Policy) -> Iterator[Reason]:
    for dimension in Dimension:
        least = float(getattr(policy.minimum, str(dimension)))
        mine = [each for each in tested if each.dimension is dimension]
        share = weighted_share(mine, policy)
        if least and (share is None or share < least):
            found = "nothing was tested" if share is None else f"weighted share {share:.0%}"
            text = f"{dimension}: {found}, at least {least:.0%} is demanded"
            failed = tuple(each.claim for each in mine if each.word != Verdict.SUPPORTED)
            yield Reason("minimum", text, failed)


def _isolation(outcomes: Sequence[Outcome], policy: Policy) -> Iterator[Reason]:
    allowed = STRENGTH[STRENGTH.index(policy.isolation) :]
    weak = {
        str(each.get("backend")): outcome.claim
        for outcome in outcomes
        for each in outcome.isolation
        if each.get("backend") not in allowed or each.get("confined") is not True
    }
    for backend in sorted(weak):
        text = f"scripts of the bundle ran under {backend}, at least {policy.isolation} is demanded"
        yield Reason("isolation", text)


def attempts(outcome: Outcome) -> tuple[str, ...]:
    """What the scripts behind a claim tried beyond their own process, as they said themselves."""
    found: list[str] = []
    pending = [outcome.provenance.get("attempts", [])]
    while pending:
        each = pending.pop()
        if isinstance(each, list):
            pending += reversed(each)
        else:
            found.append(str(each))
    return tuple(dict.fromkeys(found))


def _attempts(outcomes: Sequence[Outcome], policy: Policy) -> Iterator[Reason]:
    for event in policy.forbid:
        claims = [
            each.claim
            for each in outcomes
            if any(said.startswith(f"{event} ") for said in attempts(each))
        ]
        if claims:
            yield Reason("attempts", f"scripts of the bundle tried {event}", tuple(claims))


def refuse_toothless(policy: Policy, where: str) -> None:
    """Refuse a policy that lets a bundle through although not one of its claims is SUPPORTED.

    Tried on every such bundle that matters: all claims of one verdict, one dimension and one weight,
    as many as the policy wants to see tested, measured by us under the best isolation.

    Raises:
        UsageError: such a bundle would pass, so the policy can never fail anything.
    """
    for verdict in (v for v in Verdict if v is not Verdict.SUPPORTED):
        for dimension in Dimension:
            for headline in (True, False):
                worst = _worst(verdict, dimension, headline=headline, count=max(1, policy.tested))
                if not reasons(worst, policy):
                    raise UsageError(
                        f"{where}: this policy can never fail: a bundle whose claims are all "
                        f"{verdict} would pass; add the verdict to `block`, or set `measured` to 1 or more"
                    )


def _worst(verdict: Verdict, dimension: Dimension, *, headline: bool, count: int) -> BundleReport:
    decision = Decision(verdict, "made up", "nothing", "anything", Rung.L2, tier=Tier.T3)
    outcomes = tuple(
        Outcome(
            claim=f"worst-{number}",
            kind="ablation",
            dimension=dimension,
            file="findings.md",
            line=1,
            quote="",
            spec={},
            decision=decision,
            headline=headline,
        )
        for number in range(count)
    )
    return BundleReport("worst", "", "", "", "", outcomes)
