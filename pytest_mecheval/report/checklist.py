"""`checklist.json`: the published checklist's keys with PASS, FAIL or NA and why, from the same outcomes.

PASS needs at least one supported test that could have failed, and nothing open among the tests of the item;
FAIL needs one refuted or vacuous claim; everything else is NA and says what is missing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_mecheval.report.checklist_table import ITEMS, ONLY_FAIL, Item
from pytest_mecheval.report.decisions_model import DRAFT
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.vocabulary import Verdict

FORMAT = 1
"""Raised whenever a field of the document changes its meaning."""
NAMED = 5
"""Claims named in a rationale; the rest is counted."""


class Result(StrEnum):
    """The checklist's own words."""

    PASS = "PASS"  # noqa: S105 - the published word
    FAIL = "FAIL"
    NA = "NA"


@dataclass(frozen=True, slots=True)
class Answer:
    """One item answered."""

    item: Item
    result: Result
    rationale: str
    claims: tuple[str, ...]
    """Ids of the claims that bear on the item, sorted."""


def answers(report: BundleReport) -> tuple[Answer, ...]:
    """Every item of the checklist, in its published order."""
    return tuple(_answer(item, report) for item in ITEMS)


def _answer(item: Item, report: BundleReport) -> Answer:
    bearing = [each for each in report.sorted_outcomes() if each.kind in item.kinds]
    result, rationale = _result(item, bearing, report)
    return Answer(item, result, rationale, tuple(each.claim for each in bearing))


def _result(item: Item, bearing: Sequence[Outcome], report: BundleReport) -> tuple[Result, str]:
    bad = _with(bearing, Verdict.REFUTED, Verdict.VACUOUS)
    if bad:
        return Result.FAIL, f"{len(bad)} of {len(bearing)} claims do not hold: {_named(bad)}"
    if not item.can_pass or not bearing:
        note = f"; {len(bearing)} claims bear on it, none is refuted" if bearing else ""
        return Result.NA, f"{item.missing}{note}"
    supported = _with(bearing, Verdict.SUPPORTED)
    open_ = [each for each in bearing if each not in supported]
    if open_:
        return Result.NA, f"not decided: {_named(open_)}"
    if all(each.kind in ONLY_FAIL for each in supported):
        return Result.NA, "only claims about the form of a node list hold, which show no function"
    guessed = [each for each in bearing if each.operationalised] if item.stated_only else []
    if guessed:
        return (
            Result.NA,
            f"the evaluator had to fill in what the prose leaves out: {_named(guessed)}",
        )
    left = [each for each in report.sorted_unchecked() if each.kind in item.every]
    if left:
        return Result.NA, f"{len(supported)} claims hold, but stated without a test: {_named(left)}"
    return Result.PASS, f"all {len(supported)} claims hold: {_named(supported)}"


def _with(outcomes: Iterable[Outcome], *verdicts: Verdict) -> list[Outcome]:
    return [each for each in outcomes if each.decision and each.decision.verdict in verdicts]


def _named(outcomes: Sequence[Outcome]) -> str:
    names = [f"{each.claim} ({each.word})" for each in outcomes[:NAMED]]
    more = len(outcomes) - NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def checklist_document(report: BundleReport) -> dict[str, Any]:
    """The content of `checklist.json`."""
    return {
        "format": FORMAT,
        "bundle": {"name": report.bundle, "sha256": report.bundle_hash},
        "items": {
            answer.item.key: {
                "result": str(answer.result),
                "passes_if": answer.item.passes,
                "rationale": answer.rationale,
                "kinds": list(answer.item.kinds),
                "claims": list(answer.claims),
            }
            for answer in answers(report)
        },
    }


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class BundlePart(_Part):
    """What was audited."""

    name: str
    sha256: str


class ItemPart(_Part):
    """One item of the checklist."""

    result: Literal["PASS", "FAIL", "NA"]
    passes_if: str
    """What has to hold, in our words."""
    rationale: Annotated[str, Field(min_length=1)]
    kinds: list[str]
    """Kinds of tests that bear on the item; empty when there is none."""
    claims: list[str]
    """The claims of these kinds."""


class ChecklistDocument(_Part):
    """The published checklist's keys, answered from tests."""

    format: Literal[1]
    bundle: BundlePart
    items: dict[str, ItemPart]


def checklist_schema() -> dict[str, Any]:
    """The JSON Schema of `checklist.json`, draft 2020-12, with every published key required."""
    schema = ChecklistDocument.model_json_schema()
    item = {"$ref": "#/$defs/ItemPart"}
    schema["properties"]["items"] = {
        "type": "object",
        "properties": {each.key: item for each in ITEMS},
        "required": [each.key for each in ITEMS],
        "additionalProperties": False,
    }
    return {"$schema": DRAFT, **schema}
