"""Decisions as JSON documents: one per claim, lossless both ways, and `decisions.json` for a bundle.

`decisions.json` has the same bytes on every run with the same bundle, claims, salt and versions, except
for its `run` block, which holds what differs by nature (seconds, workers, date).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_mecheval.evidence.decision import Control, Decision, Estimate, Shams
from pytest_mecheval.report.outcome import BundleReport, Outcome, State, encode_float, plain_json
from pytest_mecheval.report.scores import coverage, dimension_scores, family
from pytest_mecheval.vocabulary import Dimension, Rung, Tier, Verdict
from pytest_mecheval.wire import write_atomically

FORMAT = 1
"""Raised whenever a field of these documents changes its meaning."""
VOLATILE = frozenset(
    {"controls", "finished", "pid", "seconds", "slower_because", "started", "threads", "worker"}
)
"""Provenance that may differ between runs that measured the same; kept in the `run` block."""


def decision_document(outcome: Outcome) -> dict[str, Any]:
    """One outcome as plain JSON; `read_document` gives the outcome back."""
    decision = outcome.decision
    document: dict[str, Any] = {
        "format": FORMAT,
        "claim": outcome.claim,
        "kind": outcome.kind,
        "dimension": str(outcome.dimension),
        "headline": outcome.headline,
        "quote": {"file": outcome.file, "line": outcome.line, "text": outcome.quote},
        "spec": plain_json(outcome.spec),
        "operationalised": list(outcome.operationalised),
        "state": str(outcome.state),
        "verdict": outcome.word,
        "evidence": list(outcome.evidence),
        "provenance": plain_json(outcome.provenance),
    }
    if outcome.problem:
        document["problem"] = outcome.problem
    if decision is not None:
        document |= _decision_fields(decision)
    return document


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


def read_document(document: Mapping[str, Any]) -> Outcome:
    """The outcome a document was written from.

    Raises:
        KeyError, TypeError, ValueError: the document was not written by this version.
    """
    if document["format"] != FORMAT:
        raise ValueError(f"decision document has format {document['format']}, need {FORMAT}")
    state = State(document["state"])
    return Outcome(
        claim=document["claim"],
        kind=document["kind"],
        dimension=Dimension(document["dimension"]),
        file=document["quote"]["file"],
        line=document["quote"]["line"],
        quote=document["quote"]["text"],
        spec=document["spec"],
        decision=_read_decision(document) if state is State.DECIDED else None,
        state=state,
        problem=document.get("problem", ""),
        headline=document["headline"],
        operationalised=tuple(document["operationalised"]),
        evidence=tuple(document["evidence"]),
        provenance=document["provenance"],
    )


def _read_decision(document: Mapping[str, Any]) -> Decision:
    estimate, shams = document["estimate"], document["shams"]
    return Decision(
        verdict=Verdict(document["verdict"]),
        code=document["code"],
        measured=document["measured"],
        needed=document["needed"],
        rung=Rung(document["rung"]),
        tier=Tier(document["tier"]),
        estimate=None
        if estimate is None
        else Estimate(
            value=float(estimate["value"]),
            lower=float(estimate["lower"]),
            upper=float(estimate["upper"]),
            alpha=float(estimate["alpha"]),
            n=estimate["n"],
            unit=estimate["unit"],
            method=estimate["method"],
        ),
        threshold=_read_optional(document["threshold"]),
        controls=tuple(
            Control(control["name"], float(control["value"])) for control in document["controls"]
        ),
        shams=None
        if shams is None
        else Shams(shams["passed"], shams["tried"], tuple(shams["names"])),
        p_value=_read_optional(document["p_value"]),
        notes=tuple(document["notes"]),
    )


def _read_optional(value: float | str | None) -> float | None:
    return None if value is None else float(value)


def bundle_document(report: BundleReport, run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The content of `decisions.json`.

    Args:
        report: all outcomes of one bundle, in any order.
        run: what differs between equal runs (seconds, workers, date); goes to the `run` block.
    """
    decisions, volatile = [], {}
    for outcome in report.sorted_outcomes():
        document = decision_document(outcome)
        document["provenance"], moved = _split_volatile(document["provenance"])
        decisions.append(document)
        if moved:
            volatile[outcome.claim] = moved
    outcomes = report.sorted_outcomes()
    tested = coverage(outcomes, len(report.untested))
    statement = family(outcomes)
    return {
        "format": FORMAT,
        "bundle": {
            "name": report.bundle,
            "sha256": report.bundle_hash,
            "notes": list(report.notes),
        },
        "claims_file": {"name": report.claims_file, "sha256": report.claims_hash},
        "salt": report.salt,
        "versions": plain_json(report.versions),
        "coverage": {"tested": tested.tested, "stated": tested.stated},
        "scores": {
            str(score.dimension): {
                "supported": score.supported,
                "decided": score.decided,
                "share": score.share,
                "lower": score.lower,
                "upper": score.upper,
                "level": score.level,
            }
            for score in dimension_scores(outcomes)
        },
        "family": {
            "method": "Holm",
            "alpha": statement.alpha,
            "adjusted": {
                claim: encode_float(p_value) for claim, p_value in statement.adjusted.items()
            },
            "supported": list(statement.supported),
            "not_supported": list(statement.not_supported),
            "statement": statement.sentence,
        },
        "decisions": decisions,
        "untested": [
            {"claim": claim, "reason": reason} for claim, reason in sorted(report.untested.items())
        ],
        "run": plain_json({"provenance": volatile} | dict(run or {})),
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


def write_decisions(
    path: Path, report: BundleReport, run: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write `decisions.json` whole or not at all; returns what was written."""
    document = bundle_document(report, run)
    write_atomically(path, json_text(document))
    return document


def read_decisions(path: Path) -> tuple[Outcome, ...]:
    """The outcomes of a `decisions.json`, sorted by claim id.

    Raises:
        OSError: the file cannot be read.
        KeyError, TypeError, ValueError: it was not written by this version.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    return tuple(read_document(body) for body in document["decisions"])
