"""What the controller writes beside the results of the workers."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mecheval.report.allure_results import (
    categories,
    environment,
    write_categories,
    write_environment,
    write_executor,
    write_identities,
    write_lost_results,
    write_metrics,
)
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.vocabulary import Verdict

Build = Callable[..., Any]


def java_properties(text: str) -> dict[str, str]:
    """The subset of java.util.Properties that the file may use."""
    found = {}
    for line in text.splitlines():
        key, value = line.split(" = ", 1)
        assert re.fullmatch(r"[A-Za-z0-9._-]+", key)
        found[key] = json.loads('"' + value.replace('"', '\\"') + '"')
    return found


def test_isolation_and_scores_come_first_in_the_environment(
    made: Build, decision: Build, unchecked: Build, tmp_path: Path
) -> None:
    outcomes = (made("a", decision()), made("b", decision(Verdict.REFUTED)))
    report = BundleReport(
        "heads",
        "ab",
        "x.claims.yaml",
        "cd",
        "salt-1",
        outcomes,
        (unchecked(),),
        {"torch": "2.13.0"},
    )
    write_environment(tmp_path, environment([report]))
    found = java_properties((tmp_path / "environment.properties").read_text(encoding="ascii"))
    assert list(found)[:4] == ["isolation", "coherence", "reproducibility", "generalizability"]
    assert found["isolation"] == "not needed: none of the bundle's own code ran"
    assert found["evidence"] == "2 measured again by us on our own prompts (T3)"
    assert found["reproducibility"].startswith("1 of 2 tested claims supported, 50%")
    assert found["coverage"] == "2 of 3 stated findings"
    assert found["salt"] == "salt-1"
    assert found["torch"] == "2.13.0"


def test_two_bundles_keep_their_rows_apart(made: Build, decision: Build) -> None:
    reports = [
        BundleReport(name, "", "", "", "s", (made("a", decision()),)) for name in ("one", "two")
    ]
    found = environment(reports)
    assert {"one coverage", "two coverage"} <= set(found)


def test_a_hostile_property_stays_on_its_line(tmp_path: Path) -> None:
    write_environment(tmp_path, {"a=b:c\n#d": 'x\ny = z\\ \u6ce8 <script> "q" \x1b'})
    text = (tmp_path / "environment.properties").read_text(encoding="ascii")
    assert java_properties(text) == {"a_b_c__d": 'x y = z\\ \u6ce8 \u2039script> "q" \\u{1b}'}


def test_categories_use_no_syntax_that_one_of_both_readers_lacks(tmp_path: Path) -> None:
    write_categories(tmp_path)
    assert json.loads((tmp_path / "categories.json").read_text()) == categories()
    assert [c["name"].split()[0] for c in categories()] == [
        "Refuted",
        "Vacuous",
        "Inconclusive",
        "Not",
        "Our",
    ]
    # Inline flags are an error in JavaScript, possessive quantifiers and \A too.
    assert not any(re.search(r"\(\?[a-z]|\\A|\\Z|\+\+", c["messageRegex"]) for c in categories())


def test_executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    write_executor(tmp_path, name="pytest-mecheval 0.1.0", build="abc", url="javascript:alert(1)")
    assert json.loads((tmp_path / "executor.json").read_text()) == {
        "name": "pytest-mecheval 0.1.0",
        "type": "local",
        "buildName": "abc",
    }
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    write_executor(tmp_path, name="x", url="https://ci.example/1")
    assert json.loads((tmp_path / "executor.json").read_text()) == {
        "name": "x",
        "type": "github",
        "buildUrl": "https://ci.example/1",
    }


def labelled(**labels: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in labels.items()]


def test_a_claim_whose_worker_died_becomes_broken_once(made: Build, tmp_path: Path) -> None:
    present = {"fullName": "x", "labels": labelled(epic="heads", claim="there")}
    (tmp_path / "1-result.json").write_text(json.dumps(present))
    (tmp_path / "2-result.json").write_text('{"labels": [{"name": "cl')
    lost = [
        made("there", problem="worker gw0 crashed"),
        made("gone", problem="worker gw0 crashed", headline=True),
    ]
    assert write_lost_results(tmp_path, lost, "heads") == ["gone"]
    assert write_lost_results(tmp_path, lost, "heads") == []
    bodies = [json.loads(p.read_text()) for p in tmp_path.glob("*-result.json") if len(p.name) > 20]
    assert len(bodies) == 1
    body = bodies[0]
    assert (body["status"], body["fullName"]) == ("broken", "mecheval.heads#gone")
    assert "worker gw0 crashed" in body["statusDetails"]["message"]
    assert {label["name"]: label["value"] for label in body["labels"]} == {
        "epic": "heads",
        "feature": "reproducibility",
        "story": "ablation",
        "severity": "critical",
        "claim": "gone",
    }


def test_the_history_of_a_claim_depends_on_bundle_and_claim_only(tmp_path: Path) -> None:
    ours = {"status": "passed", "labels": labelled(epic="heads", claim="a", package="out.x")}
    other = {"fullName": "tests.test_mine#test_x", "labels": labelled(epic="mine")}
    for name, body in (
        ("1", ours | {"fullName": "out.tests.test_heads#test_a", "historyId": "old"}),
        ("2", ours | {"fullName": "test_heads#test_a"}),
        ("3", other),
    ):
        (tmp_path / f"{name}-result.json").write_text(json.dumps(body))
    write_identities(tmp_path)
    first, second, third = (
        json.loads((tmp_path / f"{n}-result.json").read_text()) for n in (1, 2, 3)
    )
    assert first == second
    assert first["fullName"] == "mecheval.heads#a"
    assert first["testCaseId"] == first["historyId"] != "old"
    assert third == other


def test_metrics_of_one_bundle(made: Build, decision: Build, tmp_path: Path) -> None:
    outcomes = (made("a", decision()), made("b", decision(Verdict.REFUTED)))
    report = BundleReport("heads", "", "", "", "s", outcomes)
    write_metrics(tmp_path, [report, report])
    assert list(tmp_path.iterdir()) == []
    write_metrics(tmp_path, [report])
    (path,) = tmp_path.glob("*-perf.json")
    (metric,) = json.loads(path.read_text())
    assert (metric["key"], metric["value"]) == ("score.reproducibility", 0.5)
