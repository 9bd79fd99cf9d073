"""A tiny pytest session with allure-pytest, in a child process: what lands in the result files."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_mecheval.report.allure_results import categories
from pytest_mecheval.report.reading import read_document

CONFTEST = """
import numpy as np
import pytest
from dataclasses import replace
from pytest_mecheval.checks.check import Check, Example, Subject
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.claims.model import Claim
from pytest_mecheval.errors import ClaimNotSupported
from pytest_mecheval.evidence.decision import Control, Decision, Estimate, Shams
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.report import allure_case
from pytest_mecheval.report.failure import outcome_text
from pytest_mecheval.report.outcome import outcome
from pytest_mecheval.vocabulary import Dimension, ModelShape, Rung, Tier, Verdict
from pytest_mecheval.wire import Intervention, PlanStep, Run, Slice

SUBJECT = Subject(ModelShape(2, 8, 64, 64, 48), {})
HOSTILE = "![x](https://evil.example/b.png) <img src=x onerror=alert(1)> {claim} REFUTED"


def decision(verdict):
    code = "" if verdict is Verdict.SUPPORTED else "a reason"
    return Decision(verdict, code, "a1.h6 drops logit_diff", "a drop above 0.5 nats", Rung.L2,
        Estimate(2.1, 1.9, 2.3, 0.01, 256, "nats", "betting"), 0.5, (Control("a1.h3", 0.4),),
        Shams(0, 14), 1e-6, Tier.T3, ("note <b>",))


CHECK = Check("ablation", Dimension.REPRODUCIBILITY, Rung.L2, Spec, lambda s, u: (), lambda s, u, e: None,
    lambda s: None, lambda s: "less", "Question: q Null: n Statistic: s Blind spots: b Source: s",
    tuple(Example("e", Spec(), SUBJECT, Evidence({}), v) for v in (Verdict.SUPPORTED, Verdict.REFUTED)))


def claim_of(name):
    return Claim.model_validate({"id": name.removeprefix("test_").replace("_", "-"), "kind": "ablation",
        "quote": {"file": "logs/documentation.md", "line": 41, "text": HOSTILE},
        "spec": {"components": ["a1.h6"], "min_drop": 0.5}, "operationalised": ["min_drop"],
        "headline": "supported" in name})


def pytest_itemcollected(item):
    allure_case.mark_item(item, claim_of(item.name), kind=CHECK.kind, dimension=CHECK.dimension, bundle="induction_heads")


@pytest.fixture
def audit(request):
    def run(word):
        __tracebackhide__ = True
        steps = [PlanStep(Slice("repeated", "evaluation", n=20), Run(Intervention(c), "logit_diff"))
                 for c in ((), ("a1.h6",))]
        evidence = Evidence({step: Measurement(np.linspace(i, i + 1, 20), provenance={"controls": {"placebo": 0.0, "positive": 3.25, "cross_check": {"a": i * 1e-6}}}, address="ab" * 32, content="cd" * 32)
                             for i, step in enumerate(steps)})
        claim = claim_of(request.node.name)
        decided = decision(Verdict(word))
        allure_case.attach(request.config, outcome(claim, CHECK, decided, evidence=evidence), evidence)
        text = outcome_text(outcome(claim, CHECK, decided))
        if word == "NOT_TESTABLE":
            pytest.skip(text)
        if word != "SUPPORTED":
            raise ClaimNotSupported(text)
    return run
"""
MODULE = '''
def test_supported(audit):
    """![x](https://evil.example/docstring.png)"""
    audit("SUPPORTED")

def test_refuted(audit):
    audit("REFUTED")

def test_vacuous(audit):
    audit("VACUOUS")

def test_inconclusive(audit):
    audit("INCONCLUSIVE")

def test_not_testable(audit):
    audit("NOT_TESTABLE")

def test_broken(audit):
    """![x](https://evil.example/docstring.png)"""
    raise RuntimeError("harness died")
'''
STATUS = {
    "supported": "passed",
    "refuted": "failed",
    "vacuous": "failed",
    "inconclusive": "failed",
    "not-testable": "skipped",
    "broken": "broken",
}


@dataclass(frozen=True)
class Run:
    folder: Path
    stdout: str
    results: dict[str, dict[str, Any]]

    def labels(self, claim: str, name: str) -> list[str]:
        return sorted(x["value"] for x in self.results[claim]["labels"] if x["name"] == name)

    def attachments(self, claim: str) -> dict[str, bytes]:
        found = {}
        for step in self.results[claim].get("steps", []):
            for attachment in step.get("attachments", []):
                found[attachment["name"]] = (self.folder / attachment["source"]).read_bytes()
        return found


def session(folder: Path, *options: str) -> Run:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_induction_heads_reproducibility.py").write_text(MODULE)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:mecheval",
        "-p",
        "no:cacheprovider",
        *options,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(  # noqa: S603
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    results = {}
    for path in (folder / "results").glob("*-result.json"):
        body = json.loads(path.read_text(encoding="utf-8"))
        claim = next((x["value"] for x in body["labels"] if x["name"] == "claim"), body["name"])
        results[claim] = body
    return Run(folder / "results", done.stdout, results)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return session(tmp_path_factory.mktemp("allure"), "--alluredir=results")


def test_every_verdict_has_its_status(run: Run) -> None:
    assert {claim: body["status"] for claim, body in run.results.items()} == STATUS
    assert "4 failed, 1 passed, 1 skipped" in run.stdout


def test_labels_and_title(run: Run) -> None:
    assert run.labels("refuted", "epic") == ["induction_heads"]
    assert run.labels("refuted", "feature") == ["reproducibility"]
    assert run.labels("refuted", "story") == ["ablation"]
    assert run.labels("refuted", "severity") == ["normal"]
    assert run.labels("supported", "severity") == ["critical"]
    assert run.labels("refuted", "tag") == ["L2", "REFUTED", "T3"]
    assert run.labels("refuted", "verdict") == ["REFUTED"]
    assert run.results["refuted"]["name"] == "REFUTED refuted"
    assert run.results["not-testable"]["name"] == "NOT_TESTABLE not-testable"
    assert run.results["broken"]["name"] == "broken"


def test_steps_with_parameters_and_status(run: Run) -> None:
    steps = run.results["refuted"]["steps"]
    assert [step["name"] for step in steps] == [
        "positive control and placebo",
        "measurement",
        "decision",
    ]
    assert [step["status"] for step in steps] == ["passed", "passed", "failed"]
    assert [s["status"] for s in run.results["not-testable"]["steps"]][-1] == "skipped"
    assert [s["status"] for s in run.results["supported"]["steps"]] == ["passed"] * 3
    values = {p["name"]: p["value"] for step in steps for p in step["parameters"]}
    assert values["placebo, largest change (nats)"] == "0"
    assert values["positive control, mean change (nats)"] == "3.25"
    assert values["fast against plain path, largest deviation"] == "a 0; a 1e-06"
    assert values["controls"] == "controls: 1, strongest a1.h3 0.4 nats"
    assert values["threshold"] == "0.5 nats"
    assert values["sham claims that pass"] == "0 of 14"


def test_parameters_do_not_enter_the_history(run: Run) -> None:
    parameters = run.results["refuted"]["parameters"]
    assert {p["name"]: p["value"] for p in parameters} == {
        "components": "'a1.h6'",
        "min_drop": "0.5",
    }
    assert all(p["excluded"] is True for p in parameters)
    assert run.results["refuted"]["fullName"] == "test_induction_heads_reproducibility#test_refuted"


def test_attachments(run: Run) -> None:
    found = run.attachments("refuted")
    assert set(found) == {"effect", "values per example", "decision and provenance"}
    assert found["effect"].startswith(b"\x89PNG\r\n")
    rows = list(csv.reader(io.StringIO(found["values per example"].decode())))
    assert len(rows) == 21
    assert float(rows[1][2]) in (0.0, 1.0)
    outcome = read_document(json.loads(found["decision and provenance"]))
    assert outcome.decision is not None
    assert str(outcome.decision.verdict) == "REFUTED"
    assert outcome.provenance["controls"][0]["positive"] == 3.25
    assert outcome.evidence == ("ab" * 32,)


def test_bundle_text_is_inert_everywhere(run: Run) -> None:
    for claim, body in run.results.items():
        assert "descriptionHtml" not in body
        assert "links" not in body
        text = json.dumps({k: v for k, v in body.items() if k != "statusDetails"})
        text += body.get("statusDetails", {}).get("message", "")
        assert "://" not in text, claim
        assert not re.search(r"<[A-Za-z/!?]", text), claim
        assert r"\!\[x\]\(" in body["description"], claim
        assert "docstring" not in body["description"], claim
    assert "logs/documentation.md:41" in run.results["broken"]["description"].replace("\\", "")
    assert "operationalisation" in run.results["refuted"]["description"]


def test_every_result_falls_into_its_category_and_no_other(run: Run) -> None:
    found = {}
    for claim, body in run.results.items():
        message = body.get("statusDetails", {}).get("message", "")
        found[claim] = [
            c["name"].split()[0]
            for c in categories()
            if body["status"] in c["matchedStatuses"] and re.fullmatch(c["messageRegex"], message)
        ]
    # Every quote says REFUTED, so this also shows that bundle text cannot choose a category.
    assert found == {
        "supported": [],
        "refuted": ["Refuted"],
        "vacuous": ["Vacuous"],
        "inconclusive": ["Inconclusive"],
        "not-testable": ["Not"],
        "broken": ["Our"],
    }


@pytest.mark.parametrize(
    "options", [("-p", "no:allure_pytest"), ("-n", "2", "--alluredir=results")]
)
def test_same_outcomes_without_allure_and_with_workers(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    if "-n" in options:
        pytest.importorskip("xdist")
    other = session(tmp_path, *options)
    assert "4 failed, 1 passed, 1 skipped" in other.stdout
    assert bool(other.results) == ("-n" in options)
    if other.results:
        assert {claim: body["status"] for claim, body in other.results.items()} == STATUS
        assert len(other.attachments("supported")) == 3


def test_labels_select_tests_even_without_a_results_folder(tmp_path: Path) -> None:
    assert "1 passed, 5 deselected" in session(tmp_path, "--allure-severities=critical").stdout
