"""A decisions.json gives its report back, and a broken one is one clear message."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_mecheval.cli import main
from pytest_mecheval.errors import UsageError
from pytest_mecheval.report.decisions import bundle_document, json_text
from pytest_mecheval.report.decisions_model import decisions_schema
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.reading import decisions_file, read_report
from pytest_mecheval.vocabulary import Verdict

Build = Callable[..., Any]
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def report(made: Build, decision: Build, record: Build, unchecked: Build) -> BundleReport:
    rich = replace(
        made("a-rich", decision()),
        records=(record("a"), record("b", task="other")),
        subject={"shape": {}, "tasks": {}, "claimed": ["a1.h6"], "operationalised": []},
        isolation=({"backend": "bubblewrap", "gaps": {}},),
    )
    outcomes = (
        rich,
        made("b-plain", decision(Verdict.REFUTED, estimate=None, shams=None, threshold=None)),
        made("c-lost", problem="worker gw0 crashed"),
        made("d-later"),
    )
    return BundleReport(
        "b", "ab" * 32, "b.claims.yaml", "cd" * 32, "salt", outcomes, (unchecked(),),
        {"numpy": "2"}, "sub/b", {"model": None, "tasks": {"t": {"generator": "induction"}}}, "auto",
    )  # fmt: skip


def test_the_whole_report_comes_back(report: BundleReport, tmp_path: Path) -> None:
    path = tmp_path / "decisions.json"
    path.write_text(json_text(bundle_document(report, {"seconds": 3})))
    assert read_report(path) == report


def test_the_document_fits_its_committed_schema(report: BundleReport) -> None:
    schema = json.loads((DOCS / "decisions.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    document = json.loads(json_text(bundle_document(report)))
    assert list(validator.iter_errors(document)) == []
    for path in (("salt",), ("decisions", 0, "estimate", "lower"), ("bundle", "sha256")):
        broken = json.loads(json.dumps(document))
        place = broken
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        assert list(validator.iter_errors(broken)), path


@pytest.mark.parametrize("which", ["decisions", "checklist"])
def test_the_committed_schema_is_what_the_command_prints(which: str, capsys: Any) -> None:
    assert main(["schema", f"--{which}"]) == 0
    assert capsys.readouterr().out == (DOCS / f"{which}.schema.json").read_text()
    assert decisions_schema()["properties"]["format"]["const"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no field 'decisions'"),
        ('{"decisions": [], "format": 1}', "has format 1, this version reads format 2"),
        ('{"decisions": [], "format": 2}', "bundle: Field required"),
    ],
)
def test_other_files_are_refused_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "decisions.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_report(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rung": "L9"}, "rung: Input should be"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"evidence": [{"address": "e" * 64, "task": ""}]}, "a decision cannot be read"),
        ({"subject": "nowhere"}, "a decision cannot be read"),
    ],
)
def test_a_broken_decision_is_named(
    report: BundleReport, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    document = bundle_document(report)
    document["decisions"][0] |= change
    path = tmp_path / "decisions.json"
    path.write_text(json_text(document))
    with pytest.raises(UsageError, match=message):
        read_report(path)


def test_a_bundles_folder_stands_for_the_document_in_it(
    report: BundleReport, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "old").mkdir()
    file = tmp_path / "old" / "decisions.json"
    file.write_text(json_text(bundle_document(report)))
    assert decisions_file(tmp_path / "old") == decisions_file(file) == file
    assert main(["diff", str(tmp_path / "old"), str(file)]) == 0
    assert main(["diff", str(tmp_path / "old"), str(tmp_path)]) == 4
    assert f"{tmp_path / 'decisions.json'}: no such file" in capsys.readouterr().err
