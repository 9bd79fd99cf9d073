"""The front page and Allure's identities after real runs: any folder, any number of workers, after a crash."""

import json

import pytest
from toy_bundle import EXPECTED, verdicts

pytestmark = pytest.mark.usefixtures("toy")
CRASH = """
import os
from pytest_mecheval.run.runner import Runner

measure = Runner.evidence

def evidence(self, request):
    if request.name == "attends":
        os._exit(9)
    return measure(self, request)

Runner.evidence = evidence
"""


def identities(folder) -> dict[str, tuple[str, str]]:
    """Claim to full name and history of its result."""
    bodies = [json.loads(path.read_text()) for path in folder.glob("*-result.json")]
    claims = [next(x["value"] for x in body["labels"] if x["name"] == "claim") for body in bodies]
    return {c: (b["fullName"], b["historyId"]) for c, b in zip(claims, bodies, strict=True)}


def test_histories_survive_workers_reruns_and_another_place(pytester, run):
    run("--mecheval=toy", "-n", "0", allure=True)
    first = identities(pytester.path / "mecheval-out/toy/allure-results")
    assert set(first) >= set(EXPECTED)
    assert first["needed"][0] == "mecheval.toy#needed"
    run("--mecheval=toy", "-n", "2", "--mecheval-out=elsewhere/deep", allure=True)
    assert identities(pytester.path / "elsewhere/deep/toy/allure-results") == first


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_output_folder_outside_the_root_folder_is_reported_like_any_other(
    run, tmp_path_factory, workers
):
    out = tmp_path_factory.mktemp("outside")
    run("--mecheval=toy", f"--mecheval-out={out}", "-n", workers, allure=True)
    decisions = json.loads((out / "toy/decisions.json").read_text())["decisions"]
    assert {each["claim"]: each["verdict"] for each in decisions} == EXPECTED
    assert "2 of 3 tested findings are supported" in (out / "toy/summary.html").read_text()
    assert identities(out / "toy/allure-results")["needed"][0] == "mecheval.toy#needed"


def test_the_front_page_says_what_a_crashed_worker_cost(pytester, run):
    pytester.makepyfile(breaker=CRASH)
    pytester.syspathinsert()
    run("--mecheval=toy", "-p", "breaker", "-n", "2", allure=True)
    assert verdicts(pytester)["attends"] == "error"
    page = (pytester.path / "mecheval-out/toy/summary.html").read_text()
    assert "1 of 2 tested findings is supported" in page
    assert 'class="b error"' in page
    results = pytester.path / "mecheval-out/toy/allure-results"
    assert identities(results)["attends"][0] == "mecheval.toy#attends"
    environment = (results / "environment.properties").read_text()
    assert environment.startswith("isolation = not needed")
