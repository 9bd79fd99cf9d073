"""`results.sarif` (SARIF 2.1.0): each claim that fell, on its line of the findings document.

Rules are kinds of claims. Our own failures are notifications about the run, never results about the bundle.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pytest_mecheval import __version__
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.report.failure import outcome_text
from pytest_mecheval.report.outcome import BundleReport, Outcome, State
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.vocabulary import Verdict
from pytest_mecheval.wire import digest

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {Verdict.REFUTED: "error", Verdict.VACUOUS: "error", Verdict.INCONCLUSIVE: "warning"}
"""Verdicts that become results; NOT_TESTABLE counts against coverage and is no defect of a line."""
_LINK = re.compile(r"\]\(")
_PLACEHOLDER = re.compile(r"\{(?=\d+\})")


def sarif_document(report: BundleReport) -> dict[str, Any]:
    """The log of one run over one bundle."""
    outcomes = report.sorted_outcomes()
    kinds = sorted({outcome.kind for outcome in outcomes})
    errors = [outcome for outcome in outcomes if outcome.state is State.ERROR]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "pytest-mecheval",
                        "semanticVersion": __version__,
                        "rules": [_rule(kind) for kind in kinds],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": not errors,
                        "toolExecutionNotifications": [
                            {
                                "level": "error",
                                "message": _message(outcome),
                                "locations": [_location(outcome, report)],
                            }
                            for outcome in errors
                        ],
                    }
                ],
                "columnKind": "unicodeCodePoints",
                "results": list(_results(report, kinds)),
            }
        ],
    }


def _rule(kind: str) -> dict[str, Any]:
    check = checks().get(kind)
    question = check.question if check else "a kind this version does not have"
    return {"id": kind, "shortDescription": {"text": _inert(question)}}


def _results(report: BundleReport, kinds: list[str]) -> Iterator[dict[str, Any]]:
    for outcome in report.sorted_outcomes():
        decision = outcome.decision
        if decision is None or decision.verdict not in LEVELS:
            continue
        yield {
            "ruleId": outcome.kind,
            "ruleIndex": kinds.index(outcome.kind),
            "level": LEVELS[decision.verdict],
            "kind": "fail",
            "message": _message(outcome),
            "locations": [_location(outcome, report)],
            "partialFingerprints": {
                "mechevalClaim/v1": digest([report.bundle, outcome.claim])[:32]
            },
            "properties": {
                "claim": plain_line(outcome.claim),
                "verdict": str(decision.verdict),
                "dimension": str(outcome.dimension),
                "tier": str(decision.tier),
            },
        }


def _message(outcome: Outcome) -> dict[str, str]:
    return {"text": _inert(outcome_text(outcome))}


def _inert(text: str) -> str:
    """Plain text in which SARIF finds neither an embedded link nor a placeholder."""
    return _PLACEHOLDER.sub("\uff5b", _LINK.sub("] (", text))


def _location(outcome: Outcome, report: BundleReport) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": relative_uri(report.path, outcome.file)},
            "region": {"startLine": max(1, outcome.line)},
        }
    }


def relative_uri(folder: str, file: str) -> str:
    """A relative reference from where pytest was started: no scheme, no host, no way up.

    >>> relative_uri("bundles/a b", "logs/doc.md"), relative_uri("", "javascript:alert(1)")
    ('bundles/a%20b/logs/doc.md', 'javascript%3Aalert%281%29')
    """
    path = f"{folder}/{file}" if folder else file
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return "/".join(quote(part, safe="", errors="replace") for part in parts) or "bundle"
