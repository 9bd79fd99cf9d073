"""Claim files are translated before a run, on its controller, and never when the run is frozen."""

import json

import pytest
import toy_bundle
import yaml


@pytest.fixture
def untranslated(pytester, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    bundle = toy_bundle.write_bundle(pytester.path / "toy")
    (bundle.parent / "toy.claims.yaml").unlink()
    (bundle / "run.py").write_text("print(0.125)\n")
    report = toy_bundle.DOCUMENTATION + "\nThe margin is 0.125.\n"
    (bundle / "logs/documentation.md").write_text(report)
    return bundle


def outlined(pytester) -> dict:
    return yaml.safe_load((pytester.path / "mecheval-out/toy/outline.claims.yaml").read_text())


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_without_key_and_claim_file_rules_run_what_they_can_and_the_run_fails(
    pytester, untranslated, workers
):
    result = pytester.runpytest_subprocess(f"--mecheval={untranslated}", *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*no claim file; asking outline*", "*rules alone chose what was tested*"]
    )
    page = (pytester.path / "mecheval-out/toy/summary.html").read_text()
    assert "so this run cannot pass" in page.partition("</header>")[0]
    document = json.loads((pytester.path / "mecheval-out/toy/decisions.json").read_text())
    assert {each["kind"] for each in document["decisions"]} == {"plan_step", "provenance"}
    assert document["coverage"]["stated"] > document["coverage"]["tested"]
    assert len(outlined(pytester)["not_testable"]) >= 4
    assert not (pytester.path / "toy.claims.yaml").exists()


def test_a_run_by_rules_in_which_all_holds_says_why_it_is_red(pytester, untranslated):
    result = pytester.runpytest_subprocess(f"--mecheval={untranslated}", "-m", "provenance")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["exit status 1: nothing failed, but nobody translated*"])


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_frozen_run_never_translates(pytester, untranslated, monkeypatch, how):
    if how == "environment":
        monkeypatch.setenv("CI", "true")
    options = ["--mecheval-frozen"] if how == "option" else []
    result = pytester.runpytest_subprocess(
        f"--mecheval={untranslated}", "--mecheval-llm=outline", *options
    )
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*no claim file for bundle*mecheval translate*"])
    assert not (pytester.path / "mecheval-out").exists()


def test_asking_for_rules_writes_the_claim_file_beside_the_bundle(pytester, untranslated):
    pytester.runpytest_subprocess(f"--mecheval={untranslated}", "--mecheval-llm=outline")
    claims = yaml.safe_load((pytester.path / "toy.claims.yaml").read_text())
    assert claims["claims"][0]["kind"] == "provenance"


def test_open_questions_end_the_run_before_anything_is_measured(pytester, untranslated):
    result = pytester.runpytest_subprocess(
        f"--mecheval={untranslated}", "--mecheval-llm=exchange", "--mecheval-llm-dir=questions"
    )
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*1 questions have no answer yet*"])
    result.stderr.fnmatch_lines(["*run: mecheval translate * --llm exchange --dir *questions"])
    assert list((pytester.path / "questions").glob("subject.*.question.md"))
    assert not (pytester.path / "toy.claims.yaml").exists()


def test_questions_are_not_written_into_the_bundle(pytester, untranslated):
    result = pytester.runpytest_subprocess(
        f"--mecheval={untranslated}", "--mecheval-llm=exchange", "--mecheval-llm-dir=toy/questions"
    )
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*questions: lies inside the bundle*name a folder outside*"])
    assert not (untranslated / "questions").exists()


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(pytester, untranslated):
    result = pytester.runpytest_subprocess(f"--mecheval={untranslated}", "--mecheval-dry-run")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*nothing was sent; would ask*", "*request 1 of*subject*"])
    assert not (pytester.path / "toy.claims.yaml").exists()


def test_a_fresh_claim_file_is_not_translated_again(pytester):
    bundle = toy_bundle.write_bundle(pytester.path / "toy")
    before = (pytester.path / "toy.claims.yaml").read_bytes()
    result = pytester.runpytest_subprocess(
        f"--mecheval={bundle}", "--mecheval-llm=exchange", "--mecheval-llm-dir=q", "--collect-only"
    )
    assert result.ret == 0
    assert (pytester.path / "toy.claims.yaml").read_bytes() == before
    assert not (pytester.path / "q").exists()


def test_a_spec_weaker_than_its_quote_is_shown_side_by_side(pytester):
    content = toy_bundle.claims()
    content["claims"][0]["quote"]["text"] = "Head 1.0 is needed for induction"
    content["claims"][0]["spec"]["metric"] = "accuracy"
    content["claims"][0]["spec"]["min_drop"] = 0.01
    bundle = toy_bundle.write_bundle(pytester.path / "toy", content)
    pytester.runpytest_subprocess(f"--mecheval={bundle}", "-k", "needed")
    document = json.loads((pytester.path / "mecheval-out/toy/decisions.json").read_text())
    notes = next(each for each in document["decisions"] if each["claim"] == "needed")["notes"]
    assert "number: the quote says only 1.0, the spec has min_drop: 0.01" in notes
    assert any(note.startswith("binding: the quote says no such metric") for note in notes)


@pytest.mark.parametrize(
    ("reason", "status"),
    [("no operational meaning: 'elegant'", 0), ("not translated: refused: declined", 1)],
)
def test_a_statement_whose_translation_failed_keeps_the_run_from_passing(pytester, reason, status):
    content = toy_bundle.claims()
    quote = {"file": "logs/documentation.md", "line": 6, "text": "The circuit is elegant."}
    content["not_testable"] = [{"id": "open", "quote": quote, "reason": reason}]
    bundle = toy_bundle.write_bundle(pytester.path / "toy", content)
    result = pytester.runpytest_subprocess(f"--mecheval={bundle}", "-k", "needed")
    assert result.ret == status
    document = json.loads((pytester.path / "mecheval-out/toy/decisions.json").read_text())
    said = [note for note in document["bundle"]["notes"] if "not translated or dismissed" in note]
    assert [note.partition("(")[2].partition(")")[0] for note in said] == [
        "logs/documentation.md:6"
    ] * status
