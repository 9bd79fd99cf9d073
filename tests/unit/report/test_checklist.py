"""The published checklist: no PASS without a test that could have failed, and every NA says what is missing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_mecheval.checks.registry import checks
from pytest_mecheval.report.checklist import Result, answers, checklist_document
from pytest_mecheval.report.checklist_table import ITEMS, ONLY_FAIL, UNMAPPED
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.vocabulary import Verdict

Build = Callable[..., Any]
PUBLISHED = [
    "C1_All_Runnable",
    "C2_All_Correct",
    "C3_No_Redundant",
    "C4_No_Irrelevant",
    "CS1_Results_vs_Conclusion",
    "CS2_Plan_vs_Implementation",
    "CS3_Effect_Size",
    "CS4_Justification",
    "CS5_Statistical_Significance",
    "TS1_sgoal_vs_igoal",
    "TS2_splan_vs_igoal",
    "TS3_implementation_vs_ihypo",
    "TS4_circuit_vs_ihypofunc",
    "RP1_ImplementationReconstructability",
    "RP2_EnvironmentReproducibility",
    "RP3_DeterminismAndStability",
    "DE1_ResultFidelity",
    "DE2_ConclusionConsistency",
    "DE3_NoExternalInformation",
    "GT1_ModelGeneralization",
    "GT2_DataGeneralization",
    "GT3_MethodGeneralization",
]


def answered(*outcomes: Outcome, unchecked: tuple[Outcome, ...] = ()) -> dict[str, tuple[str, str]]:
    report = BundleReport("b", "", "", "", "", outcomes, unchecked)
    return {each.item.key: (str(each.result), each.rationale) for each in answers(report)}


def test_keys_are_the_published_ones_in_their_order() -> None:
    assert [item.key for item in ITEMS] == PUBLISHED


def test_every_kind_stands_in_the_table() -> None:
    mapped = {kind for item in ITEMS for kind in item.kinds}
    assert mapped | set(UNMAPPED) == set(checks())


def test_nothing_tested_passes_nothing(made: Build, unchecked: Build) -> None:
    for found in (
        answered(),
        answered(made("a"), made("b", problem="x"), unchecked=(unchecked(),)),
    ):
        assert {result for result, _ in found.values()} == {"NA"}
        assert all(rationale for _, rationale in found.values())


PASSABLE = [(item.key, kind) for item in ITEMS if item.can_pass for kind in item.kinds]


@pytest.mark.parametrize(("key", "kind"), PASSABLE)
def test_one_test_decides_an_item(made: Build, decision: Build, key: str, kind: str) -> None:
    good = made("good", decision(), kind=kind)
    assert answered(good)[key][0] == ("NA" if kind in ONLY_FAIL else "PASS")
    for verdict in (Verdict.REFUTED, Verdict.VACUOUS):
        bad = made("bad", decision(verdict, code="x"), kind=kind)
        assert answered(good, bad)[key] == ("FAIL", f"1 of 2 claims do not hold: bad ({verdict})")
    for verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_TESTABLE):
        open_ = made("open", decision(verdict, code="x"), kind=kind)
        assert answered(good, open_)[key] == ("NA", f"not decided: open ({verdict})")
    assert answered(good, made("lost", problem="crash", kind=kind))[key][0] == "NA"
    assert answered(good, made("later", kind=kind))[key][0] == "NA"


@pytest.mark.parametrize("item", [item for item in ITEMS if not item.can_pass], ids=lambda i: i.key)
def test_items_no_test_can_establish_never_pass(made: Build, decision: Build, item: Any) -> None:
    supported = [made(f"good-{kind}", decision(), kind=kind) for kind in checks()]
    assert answered(*supported)[item.key][0] == "NA"
    for kind in item.kinds:
        bad = made("bad", decision(Verdict.REFUTED), kind=kind)
        assert answered(*supported, bad)[item.key][0] == "FAIL"


def test_statements_without_a_test_stand_in_the_way_of_every(
    made: Build, decision: Build, unchecked: Build
) -> None:
    outcomes = made("s", decision(), kind="plan_step"), made("n", decision())
    vague = unchecked("vague")
    step = unchecked("step-9", "no requires", "plan_step")
    found = answered(*outcomes, unchecked=(vague, step))
    assert found["CS1_Results_vs_Conclusion"][0] == "NA"
    assert "vague" in found["CS1_Results_vs_Conclusion"][1]
    assert found["CS2_Plan_vs_Implementation"][0] == "NA"
    assert "step-9" in found["CS2_Plan_vs_Implementation"][1]
    assert found["CS3_Effect_Size"][0] == "PASS"


def test_what_the_evaluator_filled_in_is_guesswork(made: Build, decision: Build) -> None:
    told = made("told", decision(), kind="reported_number")
    guessed = replace(told, claim="guessed", operationalised=("metric",))
    key = "RP1_ImplementationReconstructability"
    assert answered(told)[key][0] == "PASS"
    assert answered(told, guessed)[key][0] == "NA"
    assert answered(told, guessed)["DE1_ResultFidelity"][0] == "PASS"


def test_the_document_fits_its_schema(made: Build, decision: Build) -> None:
    schema = json.loads((Path(__file__).parents[3] / "docs" / "checklist.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    report = BundleReport("b", "", "", "", "", (made("a", decision()),))
    document = checklist_document(report)
    assert list(validator.iter_errors(document)) == []
    assert {each["result"] for each in document["items"].values()} <= set(map(str, Result))
    del document["items"]["C1_All_Runnable"]
    assert list(validator.iter_errors(document))
