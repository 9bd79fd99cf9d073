"""What a run leaves behind for other readers: on every run, with any number of workers, after a crash."""

import json
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hostile_texts import SENTENCES
from jsonschema import Draft202012Validator
from toy_bundle import EXPECTED, claims, verdicts, write_claims

from pytest_mecheval.cli import main
from pytest_mecheval.report.artefacts import ARTEFACTS

pytestmark = pytest.mark.usefixtures("toy")
ROOT = Path(__file__).parents[2]
SCHEMAS = {
    "decisions.json": ROOT / "docs/decisions.schema.json",
    "checklist.json": ROOT / "docs/checklist.schema.json",
    "results.sarif": ROOT / "tests/unit/report/sarif_subset.json",
}
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


def artefacts(folder):
    """File name to content, every JSON file checked against its schema."""
    found = {name: (folder / "mecheval-out/toy" / name).read_text() for name in ARTEFACTS}
    for name, schema in SCHEMAS.items():
        validator = Draft202012Validator(json.loads(schema.read_text()))
        assert list(validator.iter_errors(json.loads(found[name]))) == [], name
    return found


def without_run(text):
    document = json.loads(text)
    document.pop("run")
    return document


def test_the_same_artefacts_with_any_number_of_workers(pytester, run):
    run("--mecheval=toy", "-p", "no:xdist")
    alone = artefacts(pytester.path)
    assert verdicts(pytester) == EXPECTED
    for workers in ("0", "2"):
        for name in ARTEFACTS:
            (pytester.path / "mecheval-out/toy" / name).write_text("of an earlier run")
        run("--mecheval=toy", "-n", workers)
        found = artefacts(pytester.path)
        assert without_run(found.pop("decisions.json")) == without_run(alone["decisions.json"])
        assert found == {name: text for name, text in alone.items() if name in found}


def test_a_crashed_worker_costs_its_own_verdict_only(pytester, run):
    run("--mecheval=toy")
    whole = artefacts(pytester.path)
    pytester.makepyfile(breaker=CRASH)
    pytester.syspathinsert()
    run("--mecheval=toy", "-p", "breaker", "-n", "2")
    left = artefacts(pytester.path)
    assert verdicts(pytester) == {**EXPECTED, "attends": "error"}
    before, after = (json.loads(each["decisions.json"])["decisions"] for each in (whole, left))
    assert [d for d in after if d["claim"] != "attends"] == [
        d for d in before if d["claim"] != "attends"
    ]
    (run_log,) = json.loads(left["results.sarif"])["runs"]
    assert not run_log["invocations"][0]["executionSuccessful"]
    assert [result["properties"]["claim"] for result in run_log["results"]] == ["decoy"]
    assert "error" in left["summary.md"]
    assert (
        json.loads(left["checklist.json"])["items"]["TS4_circuit_vs_ihypofunc"]["result"] == "FAIL"
    )


def test_a_claim_that_was_not_run_is_said_to_be_so(pytester, run):
    run("--mecheval=toy", "-k", "needed")
    assert verdicts(pytester) == {"needed": "SUPPORTED", "decoy": "not run", "attends": "not run"}
    artefacts(pytester.path)


def test_decide_and_diff_work_on_what_a_run_left(pytester, run, evidence, capsys):
    run("--mecheval=toy", "-n", "2")
    path = pytester.path / "mecheval-out/toy/decisions.json"
    store = evidence.partition("=")[2]
    assert main(["decide", str(path), "--evidence", store]) == 0
    assert "\n3 of 3 verdicts came out the same, decided from " in capsys.readouterr().out
    nowhere = pytester.mkdir("nowhere")
    assert main(["decide", str(path), "--evidence", str(nowhere)]) == 1
    out = capsys.readouterr().out
    assert out.count("evidence missing") == 3
    assert "0 of 3 verdicts came out the same" in out
    document = json.loads(path.read_text())
    document["scores"]["reproducibility"]["supported"] = 3
    edited = pytester.path / "edited.json"
    edited.write_text(json.dumps(document))
    assert main(["decide", str(edited), "--evidence", store]) == 1
    assert "scores: does not follow" in capsys.readouterr().out
    old = path.rename(pytester.path / "old.json")
    run("--mecheval=toy", "--mecheval-salt=other")
    assert main(["diff", str(old), str(path)]) == 0
    out = capsys.readouterr().out
    assert "salt: mecheval, now other" in out
    assert "records no longer used" in out


def test_explain_tells_a_decided_claim_and_refuses_a_damaged_one(pytester, run, capsys):
    run("--mecheval=toy")
    out = str(pytester.path / "mecheval-out")
    capsys.readouterr()
    assert main(["explain", "needed", "--out", out]) == 0
    text = capsys.readouterr().out
    assert "  question  " in text
    assert "  refuted by " in text
    assert "mecheval explain" not in text
    assert main(["explain", "*", "--out", out]) == 4
    path = pytester.path / "mecheval-out/toy/decisions/needed.json"
    whole = path.read_text()
    document = json.loads(whole)
    document["spec"]["components"] = 3
    for damaged in (whole[:100], json.dumps(document)):
        path.write_text(damaged)
        capsys.readouterr()
        assert main(["explain", "needed", "--out", out]) == 4
        assert "needed.json: no decision of this version" in capsys.readouterr().err


def test_deciding_nothing_again_proves_nothing(pytester, run, evidence, capsys):
    run("--mecheval=toy", "-k", "no_such_claim")
    folder = str(pytester.path / "mecheval-out/toy")
    assert main(["decide", folder, "--evidence", evidence.partition("=")[2]]) == 1
    assert "0 of 0 verdicts came out the same" in capsys.readouterr().out


def test_junit_has_one_case_per_statement_with_its_properties(pytester, run, plugin_args):
    run("--mecheval=toy", "--junitxml=junit.xml", *plugin_args)
    cases = list(ElementTree.parse(pytester.path / "junit.xml").iter("testcase"))  # noqa: S314
    found = {}
    for case in cases:
        said = {p.get("name"): p.get("value") for p in case.iter("property")}
        kind, dimension = said["mecheval_kind"], said["mecheval_dimension"]
        outcome = [child.tag for child in case if child.tag != "properties"]
        found[said["mecheval_claim"]] = (said["mecheval_verdict"], kind, dimension, outcome)
    assert len(cases) == len(found)
    assert found == {
        "toy/needed": ("SUPPORTED", "ablation", "reproducibility", []),
        "toy/decoy": ("REFUTED", "ablation", "reproducibility", ["failure"]),
        "toy/attends": ("SUPPORTED", "attention", "reproducibility", []),
        "toy/plan-1": ("NOT_TESTABLE", "plan_step", "coherence", ["skipped"]),
        "toy/elegance": ("NOT_TESTABLE", "not_testable", "coherence", ["skipped"]),
    }


def test_hostile_sentences_go_through_a_whole_run(pytester, toy, run):
    """Document, claim file, generated module, terminal, JUnit and every artefact."""
    hostile = {
        name: " ".join(text.replace("\x00", "").encode("utf-8", "ignore").decode().split())
        for name, text in SENTENCES.items()
        if "long" not in name and name not in ("null", "ansi", "carriage return", "bidi")
    }
    lines = (toy / "logs/documentation.md").read_text().splitlines()
    content = claims()
    for name, text in hostile.items():
        lines.append(text)
        content["not_testable"].append(
            {
                "id": f"hostile-{name.replace(' ', '-')}",
                "quote": {"file": "logs/documentation.md", "line": len(lines), "text": text},
                "reason": text,
            }
        )
    (toy / "logs/documentation.md").write_text("\n".join(lines) + "\n")
    write_claims(toy, content)
    result = run("--mecheval=toy", "--junitxml=junit.xml", "-rs", "-n", "2")
    assert verdicts(pytester) == EXPECTED, result.stdout.str()[-3000:]
    document = json.loads(artefacts(pytester.path)["decisions.json"])
    said = {each["claim"]: each["quote"]["text"] for each in document["untested"]}
    assert [said[f"hostile-{name.replace(' ', '-')}"] for name in hostile] == list(hostile.values())
    ElementTree.parse(pytester.path / "junit.xml")  # noqa: S314
    shown = result.stdout.str()
    assert not any(line.lstrip().startswith(("::error", "##[")) for line in shown.splitlines())
    assert "<script>" not in shown
    assert not (pytester.path / "owned").exists()


def test_without_the_option_nothing_is_written_or_said(pytester, run):
    pytester.makepyfile("def test_mine(): pass")
    result = run()
    assert result.ret == 0
    header = [line for line in result.stdout.lines if line.startswith("plugins:")]
    assert [line for line in result.stdout.lines if "mecheval" in line] == header
    assert not (pytester.path / "mecheval-out").exists()
    assert not (pytester.path / ".mecheval").exists()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_progress_is_for_a_terminal_only(pytester, tmp_path, workers):
    pytester.makepyfile(
        hasty="""
        from pytest_mecheval.cases import progress
        progress.FIRST_AFTER_SECONDS = progress.SAY_EVERY_SECONDS = 0.2
        progress.LOOK_EVERY_SECONDS = 0.05
        """
    )
    command = [
        *(sys.executable, "-m", "pytest", "-p", "hasty", "-p", "no:cacheprovider"),
        *("-p", "no:allure_pytest", "--mecheval=toy", "-n", workers),
    ]
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "PY_COLORS")}
    environment |= {"PYTHONPATH": str(pytester.path), "TERM": "xterm"}

    def shown(store, **streams):
        arguments = [*command, f"--mecheval-evidence={tmp_path / store}"]
        return subprocess.Popen(arguments, cwd=pytester.path, env=environment, **streams)  # noqa: S603

    piped = shown("piped", stdout=subprocess.PIPE)
    silent = piped.communicate(timeout=120)[0].decode()
    assert "mecheval: measured" not in silent
    assert "\x1b" not in silent
    master, slave = pty.openpty()
    process = shown("terminal", stdout=slave, stderr=slave)
    os.close(slave)
    screen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the terminal is gone with its last process
            break
        if not piece:
            break
        screen += piece
    os.close(master)
    assert process.wait(60) == 1
    assert b"mecheval: measured 0 of " in screen
    assert b"\x1b[31mREFUTED" in screen
