"""What the controller adds to an Allure results folder: environment, categories, executor, lost results.

Plain JSON and properties files, written after all workers have ended; Allure itself is not needed here.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_mecheval.report.decisions import json_text
from pytest_mecheval.report.failure import outcome_text
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.scores import coverage, dimension_scores, family
from pytest_mecheval.report.terminal import score_text
from pytest_mecheval.vocabulary import Verdict
from pytest_mecheval.wire import write_atomically

CLAIM_LABEL = "claim"
"""Allure label that carries the claim id."""
_PREFIX = r"^(?:[\w.]+: )?[^\n:]*: "
"""Before the verdict stands the exception's name, perhaps, and the claim id; a quote comes later."""
_REST = r"[\s\S]*"
"""Everything, line ends included: the same for Java (Allure 2) and JavaScript (Allure 3) without flags."""


def categories() -> list[dict[str, Any]]:
    """Allure categories: one per way of not being supported, decided by the verdict in the first line."""

    def one(name: str, verdict: Verdict, *statuses: str) -> dict[str, Any]:
        return {
            "name": name,
            "matchedStatuses": list(statuses),
            "messageRegex": rf"{_PREFIX}{verdict}\b{_REST}",
        }

    return [
        one("Refuted claims", Verdict.REFUTED, "failed"),
        one("Vacuous claims: the test would pass for anything", Verdict.VACUOUS, "failed"),
        one("Inconclusive claims", Verdict.INCONCLUSIVE, "failed", "skipped"),
        one("Not testable claims", Verdict.NOT_TESTABLE, "skipped"),
        {
            "name": "Our failure: no verdict about the claim",
            "matchedStatuses": ["broken"],
            "messageRegex": _REST,
        },
    ]


def write_categories(results_dir: Path) -> None:
    """Write `categories.json`."""
    write_atomically(results_dir / "categories.json", json.dumps(categories(), indent=2) + "\n")


def environment(reports: Iterable[BundleReport]) -> dict[str, str]:
    """What the report's environment widget shows: scores first, since it folds after a few rows."""
    listed = list(reports)
    properties: dict[str, str] = {}
    for report in listed:
        # With one bundle its name would only make every key longer.
        prefix = f"{report.bundle} " if len(listed) > 1 else ""
        for score in dimension_scores(report.outcomes):
            properties[f"{prefix}{score.dimension}"] = score_text(score)
        stated = coverage(report.outcomes, len(report.untested))
        properties[f"{prefix}coverage"] = f"{stated.tested} of {stated.stated} stated findings"
        properties[f"{prefix}family-wise"] = family(report.outcomes).sentence
        properties[f"{prefix}salt"] = report.salt
        properties[f"{prefix}bundle"] = f"{report.bundle} sha256 {report.bundle_hash}"
        properties[f"{prefix}claims"] = f"{report.claims_file} sha256 {report.claims_hash}"
        properties |= report.versions
    return properties


def write_environment(results_dir: Path, properties: Mapping[str, str]) -> None:
    """Write `environment.properties`; every key and value one inert ASCII line."""
    lines = [f"{_key(key)} = {_ascii(plain_line(value))}" for key, value in properties.items()]
    write_atomically(results_dir / "environment.properties", "\n".join(lines) + "\n")


def _key(text: str) -> str:
    """A key without the characters that end one in a properties file."""
    kept = (c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in plain_line(text))
    return "".join(kept)


def _ascii(text: str) -> str:
    r"""Backslashes doubled and other scripts as \uXXXX: how Java reads properties files."""
    return json.dumps(text)[1:-1].replace('\\"', '"')


def write_executor(results_dir: Path, *, name: str, build: str = "", url: str = "") -> None:
    """Write `executor.json`: who ran this.

    Args:
        results_dir: the Allure results folder.
        name: what ran it, such as `pytest-mecheval 0.1.0`.
        build: label of this run, such as a commit; empty leaves it out.
        url: page of this run; only http and https addresses are written.
    """
    body = {
        "name": plain_line(name),
        "type": "github" if "GITHUB_ACTIONS" in os.environ else "local",
    }
    if build:
        body["buildName"] = plain_line(build)
    if url.startswith(("https://", "http://")):
        body["buildUrl"] = url
    write_atomically(results_dir / "executor.json", json_text(body))


def write_lost_results(results_dir: Path, lost: Mapping[str, Outcome], bundle: str) -> list[str]:
    """A `broken` result for every claim whose worker died before Allure could write one.

    Args:
        results_dir: the Allure results folder.
        lost: outcomes in state `error` by pytest node id.
        bundle: name of the bundle, the epic of its results.

    Returns:
        Ids of the claims a result was written for; those that have one already are left alone.
    """
    present = _present_full_names(results_dir)
    written = []
    for node_id, outcome in sorted(lost.items()):
        full_name = full_name_of(node_id)
        if full_name in present:
            continue
        identity = hashlib.md5(full_name.encode(), usedforsecurity=False).hexdigest()
        result_id = str(uuid.uuid4())
        body = {
            "uuid": result_id,
            "name": plain_line(f"error {outcome.claim}"),
            "fullName": full_name,
            "testCaseId": identity,
            "historyId": identity,
            "status": "broken",
            "stage": "finished",
            "statusDetails": {"message": outcome_text(outcome)},
            "labels": [
                {"name": name, "value": plain_line(value)}
                for name, value in (
                    ("epic", bundle),
                    ("feature", str(outcome.dimension)),
                    ("story", outcome.kind),
                    ("severity", "critical" if outcome.headline else "normal"),
                    (CLAIM_LABEL, outcome.claim),
                )
            ],
        }
        write_atomically(results_dir / f"{result_id}-result.json", json_text(body))
        written.append(outcome.claim)
    return written


def full_name_of(node_id: str) -> str:
    """How allure-pytest names a test: `tests.test_ioi_coherence#test_x`.

    >>> full_name_of("tests/test_ioi_coherence.py::test_x")
    'tests.test_ioi_coherence#test_x'
    """
    path, _, function = node_id.partition("::")
    return f"{path.rsplit('.', 1)[0].replace('/', '.')}#{function}"


def _present_full_names(results_dir: Path) -> set[str]:
    names = set()
    for path in results_dir.glob("*-result.json"):
        try:
            names.add(str(json.loads(path.read_text(encoding="utf-8")).get("fullName", "")))
        except (OSError, ValueError):
            # A file cut off by the crash is no result; Allure ignores it too.
            continue
    return names
