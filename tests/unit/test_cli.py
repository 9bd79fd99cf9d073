"""Every command: what it prints, what it writes, and one clear message with status 4 on bad input."""

import importlib.util
import json

import pytest

from pytest_mecheval.cases.explaining import TABLE_BEGIN, TABLE_END
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.cli import main


def test_explain_every_kind(capsys):
    for kind, check in checks().items():
        assert main(["explain", kind]) == 0
        text = capsys.readouterr().out
        assert check.question in " ".join(text.split())
        assert all(name in text for name in check.spec.model_fields)


def test_explain_an_unknown_name(capsys, tmp_path):
    assert main(["explain", "nope", "--out", str(tmp_path)]) == 4
    said = capsys.readouterr().err
    assert "'nope': no kind and no claim decided in" in said
    assert "mecheval kinds lists the kinds" in said


def test_explain_knows_what_was_meant(capsys, tmp_path):
    (tmp_path / "toy" / "decisions").mkdir(parents=True)
    (tmp_path / "toy" / "decisions" / "head-needed.json").write_text("{}")
    for typed, meant in (("abblation", "ablation"), ("head-neded", "head-needed")):
        assert main(["explain", typed, "--out", str(tmp_path)]) == 4
        assert f"(closest: {meant})" in capsys.readouterr().err


def test_schema_is_json_with_every_kind(capsys):
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert all(kind in json.dumps(schema) for kind in checks())


def test_kinds_prints_one_row_each(capsys):
    assert main(["kinds"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(checks())


def test_kinds_updates_the_table_between_its_markers(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{TABLE_BEGIN}\nold\n{TABLE_END}\nafter\n")
    assert main(["kinds", "--update", str(readme)]) == 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "stale-row" not in text
    assert "| `ablation` |" in text
    assert main(["kinds", "--update", str(readme)]) == 0
    assert "up to date" in capsys.readouterr().out


def test_kinds_without_markers(tmp_path, capsys):
    (tmp_path / "README.md").write_text("nothing\n")
    assert main(["kinds", "--update", str(tmp_path / "README.md")]) == 4
    assert "no place for the table" in capsys.readouterr().err


def test_a_new_check_is_complete_and_its_examples_give_their_verdicts(tmp_path):
    assert main(["new-check", "mean_score", "--into", str(tmp_path)]) == 0
    spec = importlib.util.spec_from_file_location("mean_score", tmp_path / "mean_score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.CHECK.kind == "mean_score"
    for example in module.CHECK.examples:
        decision = module.CHECK.decide(example.spec, example.subject, example.evidence)
        assert decision.verdict is example.verdict
    assert main(["new-check", "mean_score", "--into", str(tmp_path)]) == 4


@pytest.mark.parametrize("name", ["Mean", "a-b", "", "_x", "os.path"])
def test_a_new_check_needs_a_proper_name(name, tmp_path, capsys):
    assert main(["new-check", name, "--into", str(tmp_path)]) == 4
    assert "lower-case noun" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["restamp", "nowhere.claims.yaml"], ["restamp", "x.txt"], ["eject", "d", "nowhere"]],
)
def test_missing_files_are_one_message(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unknown_command_is_argparses_business():
    with pytest.raises(SystemExit) as stopped:
        main(["frobnicate"])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["translate", "", "--llm", "outline"],
        ["gate", ""],
        ["gate", "b", "-n", "-3"],
        ["gate", "b", "--script-seconds", "-4"],
        ["gate", "b", "--script-seconds", "99999999999999999999"],
        ["decide", ""],
        ["eject", "d", ""],
    ],
)
def test_an_empty_path_or_an_impossible_number_is_refused_by_its_option(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error: argument" in capsys.readouterr().err


def test_a_file_that_is_no_text_or_not_there_is_named_in_one_line(tmp_path, capsys):
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe")
    (tmp_path / "file").write_text("")
    for arguments, said in (
        (["kinds", "--update", "binary.md"], "not UTF-8 text"),
        (["kinds", "--update", "none.md"], "no such file or directory"),
        (["restamp", "none.claims.yaml"], "no such claim file"),
        (["restamp", "none"], "no such claim file"),
    ):
        *before, name = arguments
        assert main([*before, str(tmp_path / name)]) == 4
        text = capsys.readouterr().err
        assert f"{tmp_path / name}: {said}" in text
        assert "Errno" not in text
        assert len(text.splitlines()) == 1
