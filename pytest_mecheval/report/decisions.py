"""Decisions as JSON documents: one per claim, and `decisions.json` for a bundle; nothing is lost in them.

Every other artefact is made from the same `BundleReport`, and `reading.read_report` gives it back, so
reports can be made again and verdicts decided again without pytest, without the bundle and offline.

`decisions.json` has the same bytes on every run with the same bundle, claims, evidence, salt and versions,
except for its `run` block, which holds what differs by nature (seconds, workers, date).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.report.jsonable import encode_float, plain_json
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.report.scores import coverage, dimension_scores, family
from pytest_mecheval.vocabulary import Tier
from pytest_mecheval.wire import digest

FILE_NAME = "decisions.json"
FORMAT = 2
"""Raised whenever a field of these documents changes its meaning."""
TABLES = ("records", "subjects", "isolations")
"""What many claims share, by hash: written once per document."""
KEY_LENGTH = 16
"""Hexadecimal digits of a table's keys; records have their full address."""
VOLATILE = frozenset(
    {"controls", "finished", "pid", "seconds", "slower_because", "started", "threads", "worker"}
)
"""Provenance that may differ between runs that measured the same; kept in the `run` block."""


def decision_document(outcome: Outcome) -> dict[str, Any]:
    """One outcome as plain JSON with all it refers to; `reading.read_document` gives the outcome back."""
    return _body(outcome) | _tables([outcome])


def _body(outcome: Outcome) -> dict[str, Any]:
    """One outcome, with keys into the tables for what it shares with others."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "claim": outcome.claim,
        "kind": outcome.kind,
        "dimension": str(outcome.dimension),
        "headline": outcome.headline,
        "quote": _quote(outcome),
        "spec": plain_json(outcome.spec),
        "operationalised": list(outcome.operationalised),
        "state": str(outcome.state),
        "verdict": outcome.word,
        "evidence": [
            {"address": record.address, "task": record.step["slice"]["task"]}
            for record in outcome.records
        ],
        "unavailable": outcome.unavailable,
        "subject": key_of(outcome.subject),
        "isolation": [key_of(each) for each in outcome.isolation],
        "testimony": [plain_json(asdict(each)) for each in outcome.testimony],
        "provenance": plain_json(outcome.provenance),
    }
    if outcome.problem:
        document["problem"] = outcome.problem
    if outcome.decision is not None:
        document |= _decision_fields(outcome.decision)
    return document


def _quote(outcome: Outcome) -> dict[str, Any]:
    return {"file": outcome.file, "line": outcome.line, "text": outcome.quote}


def key_of(body: Mapping[str, Any]) -> str:
    """The key of a table entry; empty for an empty one, which is in no table."""
    return digest(body)[:KEY_LENGTH] if body else ""


def _tables(outcomes: Iterable[Outcome]) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    for outcome in outcomes:
        for record in outcome.records:
            tables["records"].setdefault(
                record.address,
                {
                    "content": record.content,
                    "step": _without_task(record.step),
                    "spread": None if record.spread is None else plain_json(asdict(record.spread)),
                },
            )
        if outcome.subject:
            tables["subjects"].setdefault(key_of(outcome.subject), outcome.subject)
        for each in outcome.isolation:
            tables["isolations"].setdefault(key_of(each), each)
    return tables


def _without_task(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step as addresses see it: what a claim file calls a task changes no measurement."""
    place = {name: value for name, value in step["slice"].items() if name != "task"}
    return {"slice": place, "probe": step["probe"]}


def _decision_fields(decision: Decision) -> dict[str, Any]:
    estimate, shams = decision.estimate, decision.shams
    return {
        "code": decision.code,
        "measured": decision.measured,
        "needed": decision.needed,
        "rung": str(decision.rung),
        "tier": str(decision.tier),
        "estimate": None
        if estimate is None
        else {
            "value": encode_float(estimate.value),
            "lower": encode_float(estimate.lower),
            "upper": encode_float(estimate.upper),
            "alpha": encode_float(estimate.alpha),
            "n": estimate.n,
            "unit": estimate.unit,
            "method": estimate.method,
        },
        "threshold": _optional(decision.threshold),
        "controls": [
            {"name": control.name, "value": encode_float(control.value)}
            for control in decision.controls
        ],
        "shams": None
        if shams is None
        else {"passed": shams.passed, "tried": shams.tried, "names": list(shams.names)},
        "p_value": _optional(decision.p_value),
        "notes": list(decision.notes),
    }


def _optional(value: float | None) -> float | str | None:
    return None if value is None else encode_float(value)


def bundle_document(report: BundleReport, run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The content of `decisions.json`.

    Args:
        report: all outcomes of one bundle, in any order.
        run: what differs between equal runs (seconds, workers, date); goes to the `run` block.
    """
    outcomes = report.sorted_outcomes()
    decisions, volatile = [], {}
    for outcome in outcomes:
        document = _body(outcome)
        document["provenance"], moved = _split_volatile(document["provenance"])
        decisions.append(document)
        if moved:
            volatile[outcome.claim] = moved
    tested = coverage(outcomes, len(report.unchecked))
    return {
        "format": FORMAT,
        "bundle": {
            "name": report.bundle,
            "sha256": report.bundle_hash,
            "path": report.path,
            "notes": list(report.notes),
        },
        "claims_file": {"name": report.claims_file, "sha256": report.claims_hash},
        "salt": report.salt,
        "sandbox": report.sandbox,
        "versions": plain_json(report.versions),
        "sources": plain_json(report.sources),
        "coverage": {"tested": tested.tested, "stated": tested.stated},
        "tiers": {str(tier): count for tier, count in tier_counts(outcomes).items()},
        "scores": _scores(outcomes),
        "family": _family(outcomes),
        "decisions": decisions,
        "untested": [_untested(each) for each in report.sorted_unchecked()],
        **_tables(outcomes),
        "run": plain_json({"provenance": volatile} | dict(run or {})),
    }


def tier_counts(outcomes: Iterable[Outcome]) -> dict[Tier, int]:
    """How many tested claims rest on which tier, all tiers, the strongest first."""
    tested = [each.decision.tier for each in outcomes if each.decision and each.tested]
    return {tier: tested.count(tier) for tier in reversed(Tier)}


def _scores(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    return {
        str(score.dimension): {
            "supported": score.supported,
            "decided": score.decided,
            "share": score.share,
            "lower": score.lower,
            "upper": score.upper,
            "level": score.level,
        }
        for score in dimension_scores(outcomes)
    }


def _family(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    statement = family(outcomes)
    return {
        "method": "Holm",
        "alpha": statement.alpha,
        "adjusted": {claim: encode_float(p) for claim, p in statement.adjusted.items()},
        "supported": list(statement.supported),
        "not_supported": list(statement.not_supported),
        "statement": statement.sentence,
    }


def _untested(outcome: Outcome) -> dict[str, Any]:
    return {
        "claim": outcome.claim,
        "kind": outcome.kind,
        "dimension": str(outcome.dimension),
        "quote": _quote(outcome),
        "reason": outcome.unavailable,
    }


def _split_volatile(tree: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Provenance that is the same on every run, and the rest, both with the keys they had."""
    stable: dict[str, Any] = {}
    moved: dict[str, Any] = {}
    for key, value in tree.items():
        if key in VOLATILE:
            moved[key] = value
        elif isinstance(value, Mapping):
            stable[key], inner = _split_volatile(value)
            if inner:
                moved[key] = inner
        else:
            stable[key] = value
    return stable, moved


def json_text(document: Any) -> str:
    r"""Strict JSON in ASCII that is inert as HTML too: a reader gets the same strings back.

    >>> print(json_text({"quote": "<b>"}), end="")
    {
      "quote": "\u003cb\u003e"
    }
    """
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False)
    # Outside of strings JSON has none of these characters, so replacing them is lossless.
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n"
