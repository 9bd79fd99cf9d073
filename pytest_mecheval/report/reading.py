"""`decisions.json` and the documents of single claims back in memory, checked before anything is used."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_mecheval.errors import UsageError
from pytest_mecheval.evidence.decision import Control, Decision, Estimate, Shams
from pytest_mecheval.report.decisions import FILE_NAME, FORMAT
from pytest_mecheval.report.decisions_model import DecisionsDocument
from pytest_mecheval.report.outcome import BundleReport, Outcome, RecordUse, State
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.spread import Spread
from pytest_mecheval.report.testimony import Testimony
from pytest_mecheval.vocabulary import Dimension, Rung, Tier, Verdict

LISTED_PROBLEMS = 5
"""Problems of a broken document that are named."""


def decisions_file(path: Path) -> Path:
    """The file itself, or the one in the output folder of a bundle.

    Raises:
        UsageError: there is none.
    """
    found = path / FILE_NAME if path.is_dir() else path
    if not found.is_file():
        raise UsageError(
            f"{found}: no such file (a run writes mecheval-out/BUNDLE/{FILE_NAME}; give the file or its folder)"
        )
    return found


def read_report(path: Path) -> BundleReport:
    """The report a `decisions.json` was written from, without its `run` block.

    Raises:
        UsageError: not such a document; names the file and what is wrong with it.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    if not isinstance(body, dict) or "decisions" not in body:
        raise UsageError(f"{path}: no decisions.json: it has no field 'decisions'")
    if body.get("format") != FORMAT:
        found = plain_line(str(body.get("format")))
        raise UsageError(
            f"{path}: has format {found}, this version reads format {FORMAT}; run the audit again"
        )
    try:
        DecisionsDocument.model_validate(body)
        return _report(body)
    except ValidationError as error:
        raise UsageError(f"{path}: {_problems(error)}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: a decision cannot be read: {plain_line(repr(error))}") from error


def _problems(error: ValidationError) -> str:
    found = [
        f"{plain_line('.'.join(map(str, each['loc'])))}: {plain_line(each['msg'])}"
        for each in error.errors()
    ]
    more = len(found) - LISTED_PROBLEMS
    return "; ".join(found[:LISTED_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _report(body: Mapping[str, Any]) -> BundleReport:
    return BundleReport(
        bundle=body["bundle"]["name"],
        bundle_hash=body["bundle"]["sha256"],
        claims_file=body["claims_file"]["name"],
        claims_hash=body["claims_file"]["sha256"],
        salt=body["salt"],
        outcomes=tuple(_outcome(document, body) for document in body["decisions"]),
        unchecked=tuple(map(_unchecked, body["untested"])),
        versions=body["versions"],
        path=body["bundle"]["path"],
        sources=body["sources"],
        sandbox=body["sandbox"],
        notes=tuple(body["bundle"].get("notes", ())),
    )


def read_document(document: Mapping[str, Any]) -> Outcome:
    """The outcome a claim's own document was written from.

    Raises:
        KeyError, TypeError, ValueError: the document was not written by this version.
    """
    if document["format"] != FORMAT:
        raise ValueError(f"decision document has format {document['format']}, need {FORMAT}")
    return _outcome(document, document)


def _outcome(document: Mapping[str, Any], tables: Mapping[str, Any]) -> Outcome:
    state = State(document["state"])
    return Outcome(
        claim=document["claim"],
        kind=document["kind"],
        dimension=Dimension(document["dimension"]),
        file=document["quote"]["file"],
        line=document["quote"]["line"],
        quote=document["quote"]["text"],
        spec=document["spec"],
        decision=_decision(document) if state is State.DECIDED else None,
        state=state,
        problem=document.get("problem", ""),
        headline=document["headline"],
        operationalised=tuple(document["operationalised"]),
        records=tuple(_record(use, tables["records"]) for use in document["evidence"]),
        unavailable=document["unavailable"],
        subject=tables["subjects"][document["subject"]] if document["subject"] else {},
        isolation=tuple(tables["isolations"][key] for key in document["isolation"]),
        testimony=tuple(map(_testimony, document.get("testimony", ()))),
        provenance=document["provenance"],
    )


def _record(use: Mapping[str, Any], records: Mapping[str, Any]) -> RecordUse:
    found = records[use["address"]]
    step = found["step"]
    named = {"slice": {"task": use["task"], **step["slice"]}, "probe": step["probe"]}
    return RecordUse(use["address"], found["content"], named, _spread(found.get("spread")))


def _spread(body: Mapping[str, Any] | None) -> Spread | None:
    if body is None:
        return None
    return Spread(body["n"], float(body["mean"]), tuple(map(float, body["quantiles"])))


def _testimony(body: Mapping[str, Any]) -> Testimony:
    lists = {name: tuple(body[name]) for name in ("ledger", "numbers")}
    return Testimony(**(dict(body) | lists))


def _unchecked(body: Mapping[str, Any]) -> Outcome:
    return Outcome(
        claim=body["claim"],
        kind=body["kind"],
        dimension=Dimension(body["dimension"]),
        file=body["quote"]["file"],
        line=body["quote"]["line"],
        quote=body["quote"]["text"],
        spec={},
        state=State.NOT_RUN,
        unavailable=body["reason"],
    )


def _decision(document: Mapping[str, Any]) -> Decision:
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
        threshold=_number(document["threshold"]),
        controls=tuple(
            Control(control["name"], float(control["value"])) for control in document["controls"]
        ),
        shams=None
        if shams is None
        else Shams(shams["passed"], shams["tried"], tuple(shams["names"])),
        p_value=_number(document["p_value"]),
        notes=tuple(document["notes"]),
    )


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
