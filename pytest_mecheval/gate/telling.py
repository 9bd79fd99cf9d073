"""What the gate says: one screen of text, and the same as `gate.json`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_mecheval import __version__
from pytest_mecheval.gate.gating import Judgement, supported
from pytest_mecheval.gate.judging import (
    Reason,
    attempts,
    passed_over,
    stated_coverage,
    weighted_share,
)
from pytest_mecheval.report.conduct import isolation_line
from pytest_mecheval.report.decisions import tier_counts
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.vocabulary import Dimension

GATE_FORMAT = 1
"""Raised whenever a field of `gate.json` changes its meaning."""
SHOWN_REASONS = 12
SHOWN_CLAIMS = 6
LINE = 96
"""Characters of one line."""


def text(judgement: Judgement, policy_file: Path | None) -> str:
    """One screen: verdict, what was run, what was found, why it does not pass."""
    return "\n".join(_lines(judgement, policy_file))


def _lines(judgement: Judgement, policy_file: Path | None) -> Iterator[str]:
    plan = judgement.plan
    yield f"mecheval gate: {'PASSED' if judgement.passed else 'FAILED'}  {_cut(str(plan.bundle))}"
    yield _row("bundle", f"sha256 {plan.bundle_hash[:12]}, {plan.files} files")
    yield _row("policy", str(policy_file) if policy_file else "built-in defaults")
    if judgement.report is not None:
        yield from _found(judgement, judgement.report)
    for number, reason in enumerate(judgement.reasons[:SHOWN_REASONS], 1):
        yield _row("why it failed" if number == 1 else "", f"{number}. {_said(reason)}")
    if len(judgement.reasons) > SHOWN_REASONS:
        yield _row("", f"and {len(judgement.reasons) - SHOWN_REASONS} more in gate.json")
    yield _row("reports", str(judgement.folder))


def _found(judgement: Judgement, report: BundleReport) -> Iterator[str]:
    planned = len(judgement.plan.decided)
    decided = sum(each.decision is not None for each in report.outcomes)
    yield _row(
        "plan",
        f"{decided} of {planned} planned cases decided, "
        f"{judgement.agreeing} came out the same from stored evidence",
    )
    unlisted = judgement.plan.unlisted
    stated = stated_coverage(report, unlisted)
    yield _row(
        "coverage",
        f"{stated.tested} of {stated.stated} stated findings tested{passed_over(unlisted)}, "
        f"{supported(report)} supported",
    )
    for dimension in Dimension:
        yield _row(str(dimension), _share(judgement, report, dimension))
    tiers = [f"{count} {tier}" for tier, count in tier_counts(report.outcomes).items() if count]
    yield _row("measured by", ", ".join(tiers) or "nobody")
    yield _row("isolation", isolation_line(report))
    tried = {said.partition(" ")[0] for each in report.outcomes for said in attempts(each)}
    if tried:
        yield _row("attempts", f"scripts of the bundle tried {', '.join(sorted(tried))}")


def _share(judgement: Judgement, report: BundleReport, dimension: Dimension) -> str:
    tested = [each for each in report.outcomes if each.tested and each.dimension is dimension]
    share = weighted_share(tested, judgement.policy)
    if share is None:
        return "nothing was tested"
    good = sum(each.word == "SUPPORTED" for each in tested)
    return f"{good} of {len(tested)} supported, weighted {share:.0%}"


def _said(reason: Reason) -> str:
    shown = ", ".join(reason.claims[:SHOWN_CLAIMS])
    more = f" and {len(reason.claims) - SHOWN_CLAIMS} more"
    names = f": {shown}{more if len(reason.claims) > SHOWN_CLAIMS else ''}" if shown else ""
    # A reason about the plan names its claims itself.
    return f"{reason.code}: {reason.text}{'' if reason.code == 'plan' else names}"


def _row(name: str, said: str) -> str:
    return f"  {name:<16} {_cut(said)}"


def _cut(said: str) -> str:
    return plain_line(said, LINE)


def document(judgement: Judgement, policy_file: Path | None) -> dict[str, Any]:
    """The content of `gate.json`: plain JSON."""
    plan, report = judgement.plan, judgement.report
    body: dict[str, Any] = {
        "format": GATE_FORMAT,
        "passed": judgement.passed,
        "reasons": [
            {"code": each.code, "text": each.text, "claims": list(each.claims)}
            for each in judgement.reasons
        ],
        "bundle": {"path": str(plan.bundle), "sha256": plan.bundle_hash, "files": plan.files},
        "claims_file": {"path": str(plan.claims_file), "sha256": plan.claims_hash},
        "plan": {"decided": sorted(plan.decided), "untested": sorted(plan.untested)},
        "left_out": list(plan.notes),
        "policy_file": str(policy_file) if policy_file else None,
        "policy": judgement.policy.model_dump(mode="json"),
        "reports": str(judgement.folder),
        "version": __version__,
    }
    if report is not None:
        stated = stated_coverage(report, judgement.plan.unlisted)
        body |= {
            "verdicts": {each.claim: each.word for each in report.sorted_outcomes()},
            "decided_again": judgement.agreeing,
            "coverage": {
                "tested": stated.tested,
                "stated": stated.stated,
                "unlisted": judgement.plan.unlisted,
            },
            "tiers": {str(tier): count for tier, count in tier_counts(report.outcomes).items()},
            "isolation": list(report.isolation),
            "attempts": {
                each.claim: list(attempts(each))
                for each in report.sorted_outcomes()
                if attempts(each)
            },
        }
    return body
