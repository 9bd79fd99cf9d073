"""What the controller adds to an Allure results folder: environment, categories, executor, lost results.

Plain JSON and properties files, written after all workers have ended; Allure itself is not needed here.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_mecheval.report.decisions import json_text
from pytest_mecheval.report.failure import outcome_text
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.scores import coverage, dimension_scores, family
from pytest_mecheval.report.terminal import score_text
from pytest_mecheval.report.trust import trust_facts
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
    """What the report's environment widget shows: isolation and scores first, since it folds after a few rows."""
    listed = list(reports)
    properties: dict[str, str] = {}
    for report in listed:
        # With one bundle its name would only make every key longer.
        prefix = f"{report.bundle} " if len(listed) > 1 else ""
        trusted = trust_facts(report)
        # What protected this machine stands before everything that was found out on it.
        properties[f"{prefix}isolation"] = trusted.pop("isolation")
        for score in dimension_scores(report.outcomes):
            properties[f"{prefix}{score.dimension}"] = score_text(score)
        stated = coverage(report.outcomes, len(report.untested))
        properties[f"{prefix}coverage"] = f"{stated.tested} of {stated.stated} stated findings"
        properties[f"{prefix}evidence"] = trusted.pop("evidence")
        properties[f"{prefix}family-wise"] = family(report.outcomes).sentence
        properties |= {f"{prefix}{name}": value for name, value in trusted.items()}
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


def write_metrics(results_dir: Path, reports: Iterable[BundleReport]) -> None:
    """Write the three shares for Allure 3's page of metrics and their history; one bundle, else nothing.

    Several bundles have no common score, and metrics have no place for a bundle's name.
    """
    listed = list(reports)
    if len(listed) != 1:
        return
    now = int(1000 * time.time())
    metrics = [
        {"id": key, "key": key, "value": round(score.share, 4), "start": now, "stop": now}
        for score in dimension_scores(listed[0].outcomes)
        if score.share is not None and (key := f"score.{score.dimension}")
    ]
    if metrics:
        write_atomically(results_dir / f"{uuid.uuid4()}-perf.json", json_text(metrics))


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


def write_lost_results(results_dir: Path, lost: Iterable[Outcome], bundle: str) -> list[str]:
    """A `broken` result for every claim whose worker died before Allure could write one.

    Args:
        results_dir: the Allure results folder.
        lost: outcomes in state `error`.
        bundle: name of the bundle, the epic of its results.

    Returns:
        Ids of the claims a result was written for; those that have one already are left alone.
    """
    present = {_claim_of(body) for _, body in _results(results_dir)}
    written = []
    for outcome in sorted(lost, key=lambda outcome: outcome.claim):
        claim = (plain_line(bundle), plain_line(outcome.claim))
        if claim in present:
            continue
        result_id = str(uuid.uuid4())
        body = {
            "uuid": result_id,
            "name": f"error {claim[1]}",
            **_identity(*claim),
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


def write_identities(results_dir: Path) -> None:
    """Give every claim's result a name and history that depend on bundle and claim alone.

    allure-pytest derives them from where the test module lies, so trends would break with another
    working directory, output folder or root folder.
    """
    for path, body in _results(results_dir):
        if claim := _claim_of(body):
            write_atomically(path, json_text(body | _identity(*claim)))


def _identity(bundle: str, claim: str) -> dict[str, str]:
    name = f"mecheval.{bundle}#{claim}"
    identity = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return {"fullName": name, "testCaseId": identity, "historyId": identity}


def _claim_of(result: Mapping[str, Any]) -> tuple[str, str] | None:
    """Bundle and claim of a result; None for tests that are not ours."""
    labels = {each.get("name"): each.get("value") for each in result.get("labels", ())}
    return (labels["epic"], labels[CLAIM_LABEL]) if {"epic", CLAIM_LABEL} <= set(labels) else None


def _results(results_dir: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every whole result; a file cut off by a crash is none, Allure ignores it too."""
    for path in sorted(results_dir.glob("*-result.json")):
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(body, dict):
            yield path, body
