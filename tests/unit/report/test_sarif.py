"""SARIF: each claim that fell, on its line; our own failures are about the run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.sarif import sarif_document
from pytest_mecheval.vocabulary import Verdict

Build = Callable[..., Any]
SUBSET = json.loads((Path(__file__).parent / "sarif_subset.json").read_text())


@pytest.fixture
def run(made: Build, decision: Build) -> dict[str, Any]:
    outcomes = (
        made("held", decision()),
        made("fell", decision(Verdict.REFUTED, code="not special"), line=43),
        made("empty", decision(Verdict.VACUOUS, code="sham"), line=44, kind="attention"),
        made("open", decision(Verdict.INCONCLUSIVE, code="underpowered"), line=45),
        made("vague", decision(Verdict.NOT_TESTABLE, code="missing"), line=46),
        made("lost", problem="worker gw0 crashed", line=47),
        made("later", line=48),
    )
    report = BundleReport("b", "", "", "", "", outcomes, path="bundles/my b")
    document = sarif_document(report)
    Draft202012Validator.check_schema(SUBSET)
    assert list(Draft202012Validator(SUBSET).iter_errors(document)) == []
    return document["runs"][0]


def test_only_claims_that_fell_are_results(run: dict[str, Any]) -> None:
    found = {
        result["properties"]["claim"]: (
            result["level"],
            result["ruleId"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in run["results"]
    }
    assert found == {
        "fell": ("error", "ablation", 43),
        "empty": ("error", "attention", 44),
        "open": ("warning", "ablation", 45),
    }


def test_places_are_relative_to_where_pytest_was_started(run: dict[str, Any]) -> None:
    places = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
    }
    assert places == {"bundles/my%20b/logs/documentation.md"}


def test_rules_are_the_kinds_with_their_question(run: dict[str, Any]) -> None:
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["ablation", "attention"]
    assert rules[0]["shortDescription"]["text"].startswith("does the metric get worse")
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_our_failures_are_notifications(run: dict[str, Any]) -> None:
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    (notification,) = invocation["toolExecutionNotifications"]
    assert "worker gw0 crashed" in notification["message"]["text"]


def test_fingerprints_stay_when_line_and_verdict_change(made: Build, decision: Build) -> None:
    def fingerprint(name: str, verdict: Verdict, line: int) -> str:
        outcomes = (made(name, decision(verdict), line=line),)
        document = sarif_document(BundleReport("b", "", "", "", "", outcomes))
        return str(document["runs"][0]["results"][0]["partialFingerprints"])

    first = fingerprint("a", Verdict.REFUTED, 1)
    assert first == fingerprint("a", Verdict.VACUOUS, 9)
    assert first != fingerprint("b", Verdict.REFUTED, 1)
