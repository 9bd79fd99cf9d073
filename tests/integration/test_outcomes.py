"""Exit status, skips, our own failures, crashed workers: what a case that is not plainly red or green does."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from toy_bundle import EXPECTED, claims, verdicts, write_claims

from pytest_mecheval.cli import main
from pytest_mecheval.wire import record_path

pytestmark = pytest.mark.usefixtures("toy")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["-k", "needed or plan_1"], 0),
        (["-k", "decoy"], 1),
        (["-k", "plan_1 or elegance"], 1),
        (["-k", "nothing_of_this_name"], 5),
        (["-m", "attention"], 0),
    ],
    ids=["supported", "refuted", "nothing supported", "nothing collected", "marker"],
)
def test_exit_status_counts_only_the_cases_that_ran(run, arguments, status):
    assert run("--mecheval=toy", *arguments).ret == status


def test_a_green_case_of_ones_own_does_not_hide_that_nothing_is_supported(pytester, run):
    pytester.makepyfile(test_mine="def test_mine(): pass")
    result = run("--mecheval=toy", "test_mine.py", "-k", "mine or elegance")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["exit status 1: nothing failed, but no claim that counts*"])


def test_last_failed_and_first_failure(pytester, run):
    run("--mecheval=toy")
    run("--mecheval=toy", "--lf").assert_outcomes(failed=1)
    stopped = run("--mecheval=toy", "-x", "-n", "0")
    stopped.assert_outcomes(failed=1, passed=1, skipped=2)
    assert verdicts(pytester)["attends"] == "not run"


def test_junit_report_carries_the_verdict(pytester, run):
    run("--mecheval=toy", "--junitxml=junit.xml", "-n", "2")
    cases = ElementTree.parse(pytester.path / "junit.xml").iter("testcase")  # noqa: S314
    found = {}
    for case in cases:
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        found[properties["mecheval_claim"]] = properties["mecheval_verdict"]
    expected = {f"toy/{claim}": verdict for claim, verdict in EXPECTED.items()}
    untested = {"toy/plan-1": "NOT_TESTABLE", "toy/elegance": "NOT_TESTABLE"}
    assert found == expected | untested


def test_skips_say_why_and_where(run):
    result = run("--mecheval=toy", "-k", "elegance", "-rs")
    result.stdout.fnmatch_lines(
        [
            "SKIPPED*test_toy_coherence.py:*: elegance: NOT_TESTABLE (no operational meaning): *'elegant'"
        ]
    )


def test_the_bundles_own_model_is_imported_in_the_sandbox_only(pytester, toy, run):
    content = claims()
    sites = {"layers": 2, "heads": 2, "width": 8}
    content["subject"]["model"] = {
        "loader": "python",
        "entry": "src/model.py:build",
        "sites": sites,
    }
    (toy / "src").mkdir()
    (toy / "src/model.py").write_text("raise SystemExit('imported')")
    write_claims(toy, content)
    result = run("--mecheval=toy")
    result.assert_outcomes(skipped=5)
    assert result.ret == 1
    assert set(verdicts(pytester).values()) == {"NOT_TESTABLE"}
    reason = json.loads((pytester.path / "mecheval-out/toy/decisions/needed.json").read_text())
    assert "SystemExit: imported (src/model.py:1)" in reason["measured"]


def test_the_bundles_own_data_function_is_imported_in_the_sandbox_only(pytester, toy, run):
    content = claims()
    content["subject"]["tasks"] = {"repeated": {"entry": "src/data.py:make"}}
    (toy / "src").mkdir()
    (toy / "src/data.py").write_text("raise SystemExit('imported')")
    write_claims(toy, content)
    result = run("--mecheval=toy")
    result.assert_outcomes(skipped=5)
    assert set(verdicts(pytester).values()) == {"NOT_TESTABLE"}
    reason = json.loads((pytester.path / "mecheval-out/toy/decisions/needed.json").read_text())
    assert "src/data.py:make: SystemExit: imported (src/data.py:1)" in reason["measured"]


def test_unreadable_weights_are_a_verdict(pytester, toy, run):
    (toy / "model/model.safetensors").write_bytes(b"not safetensors")
    result = run("--mecheval=toy")
    result.assert_outcomes(skipped=5)
    assert (
        "not a safetensors file"
        in (pytester.path / "mecheval-out/toy/decisions/needed.json").read_text()
    )


def test_a_head_the_model_does_not_have(toy, run):
    content = claims()
    content["claims"][0]["spec"]["components"] = ["a1.h17"]
    write_claims(toy, content)
    result = run("--mecheval=toy", "-k", "needed")
    assert result.ret == 1
    assert "no such component" in result.stdout.str()


BREAKER = """
import os
import pytest
from pytest_mecheval.errors import HarnessError
from pytest_mecheval.run.runner import Runner

measure = Runner.evidence

def evidence(self, request):
    if request.name == "needed":
        {damage}
    return measure(self, request)

Runner.evidence = evidence
"""


def test_a_harness_failure_is_an_error_and_no_verdict(pytester, run, plugin_args):
    pytester.makepyfile(
        breaker=BREAKER.format(damage="raise HarnessError('needed: placebo moved')")
    )
    pytester.syspathinsert()
    result = run("--mecheval=toy", "-p", "breaker", *plugin_args)
    assert result.ret == 1
    result.assert_outcomes(errors=1, failed=1, passed=1, skipped=2)
    text = result.stdout.str()
    assert "needed: placebo moved" in text
    assert "Traceback" not in text
    assert verdicts(pytester)["needed"] == "error"


def test_a_crashed_worker_leaves_an_error_and_the_other_verdicts(pytester, run):
    pytester.makepyfile(breaker=BREAKER.format(damage="os._exit(9)"))
    pytester.syspathinsert()
    result = run("--mecheval=toy", "-p", "breaker", "-n", "2", allure=True)
    assert result.ret == 1
    assert verdicts(pytester) == {**EXPECTED, "needed": "error"}
    results = [
        json.loads(path.read_text())
        for path in (pytester.path / "mecheval-out/toy/allure-results").glob("*-result.json")
    ]
    assert len(results) == 5
    assert [r["status"] for r in results if "needed" in r["fullName"]] == ["broken"]


def test_allure_default_folder_is_filled_once_and_cleaned_once(pytester, run, plugin_args):
    folder = pytester.path / "mecheval-out/toy/allure-results"
    for _ in range(2):
        run("--mecheval=toy", *plugin_args, allure=True)
        results = [json.loads(path.read_text()) for path in folder.glob("*-result.json")]
        assert sorted(result["status"] for result in results) == [
            *("failed", "passed", "passed", "skipped", "skipped")
        ]
    assert (folder / "categories.json").exists()
    assert (folder / "environment.properties").exists()


def test_a_body_that_differs_from_the_claim_file_is_stale_and_the_file_wins(pytester, run):
    run("--mecheval=toy", "--collect-only")
    spoil = """
    import pathlib

    def pytest_collection(session):
        path = next(pathlib.Path("mecheval-out").rglob("test_toy_reproducibility.py"))
        path.write_text(path.read_text().replace("min_drop=2.0", "min_drop=1e9"))
    """
    pytester.makepyfile(spoil=spoil)
    pytester.syspathinsert()
    assert run("--mecheval=toy", "-k", "needed", "-p", "spoil").ret == 0
    decision = (pytester.path / "mecheval-out/toy/decisions/needed.json").read_text()
    assert "stale: the test's arguments differ from the claim file" in decision


def test_decision_names_its_records(pytester, run, evidence):
    run("--mecheval=toy", "-k", "needed")
    decision = json.loads((pytester.path / "mecheval-out/toy/decisions/needed.json").read_text())
    store = Path(evidence.partition("=")[2])
    assert decision["evidence"]
    for address in (use["address"] for use in decision["evidence"]):
        record = json.loads(record_path(store, address).read_text())
        assert record["address"] == address


def test_generated_modules_without_the_option_say_how_they_are_run(run):
    run("--mecheval=toy", "--collect-only")
    result = run("mecheval-out/toy/tests")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*does not name its bundle; run: pytest --mecheval=BUNDLE*eject*"])
    assert "remove this test" not in result.stdout.str()


def test_ejected_modules_work_without_the_option(pytester, toy, run):
    assert main(["eject", str(pytester.path / "own"), str(toy)]) == 0
    for arguments in ([], ["-n", "2"]):
        result = run("own", *arguments)
        result.assert_outcomes(passed=2, failed=1, skipped=2)
        assert "decoy: REFUTED" in result.stdout.str()


def test_a_statement_that_the_claim_file_passes_over_is_named(pytester, toy, run):
    short = claims()
    short["claims"] = [each for each in short["claims"] if each["id"] != "decoy"]
    write_claims(toy, short)
    result = run("--mecheval=toy", "-k", "needed", "-n", "0")
    assert result.ret == 0
    document = json.loads((pytester.path / "mecheval-out/toy/decisions.json").read_text())
    (note,) = [each for each in document["bundle"]["notes"] if "no entry in the claim file" in each]
    assert note.startswith("sentences that read like findings or plan steps")
    assert ": 1 (logs/documentation.md:4);" in note
    assert "no entry in the claim file" in " ".join(result.stdout.str().split())
    page = (pytester.path / "mecheval-out/toy/summary.html").read_text()
    assert "no entry in the claim file" in page
