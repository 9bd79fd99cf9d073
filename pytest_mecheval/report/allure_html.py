"""Allure's HTML from a run's results, with whichever Allure is installed; nothing is fetched, opened or sent.

The generated pages name a third-party analytics service; that is taken out of every page, and a report in
which it is still named is refused.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mecheval.errors import UsageError
from pytest_mecheval.report.allure_results import CLAIM_LABEL
from pytest_mecheval.report.artefacts import DECISIONS, SUMMARY
from pytest_mecheval.report.html.links import link_allure
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.reading import read_report
from pytest_mecheval.report.scores import Score, dimension_scores
from pytest_mecheval.wire import write_atomically

RESULTS = "allure-results"
HISTORY = "allure-history.jsonl"
CONFIG = Path(__file__).parent / "allure3" / "allurerc.mjs"
PROGRAMS = ("node_modules/.bin/allure", "node_modules/allure-commandline/bin/allure")
"""Where an Allure installed beside the project lies, relative to the working directory."""
SECONDS = 300
"""After this Allure is taken for hung."""
HOW_TO_INSTALL = (
    "no Allure found on PATH or in ./node_modules; install one of them:\n"
    "  npm install allure                 (Allure 3, needs node)\n"
    "  npm install allure-commandline     (Allure 2, needs node and a Java runtime)\n"
    "or name one with --allure PROGRAM; summary.html beside decisions.json needs none"
)
TRACKER = re.compile(
    r'<script\b[^>]*\bsrc="https?://www\.googletagmanager\.com/[^"]*"[^>]*>\s*</script>'
    r"(?:\s*<script\b[^>]*>(?:(?!</script>).)*?\bgtag\b.*?</script>)?",
    re.DOTALL,
)
TRACKERS = ("googletagmanager.com", "google-analytics.com")
_VERSION = re.compile(r"\b([0-9]+)\.[0-9]+\.[0-9]+")


@dataclass(frozen=True, slots=True)
class Allure:
    """An installed Allure."""

    program: Path
    major: int


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    results: Path
    folders: tuple[Path, ...]
    """One per bundle, with its decisions.json."""
    reports: tuple[BundleReport, ...]


def find_run(folder: Path) -> Run:
    """Results and bundles below an output folder, or in the folder of one bundle.

    Raises:
        UsageError: there are no results, or more than one set of them.
    """
    places = [path for path in (folder, *sorted(folder.glob("*/"))) if (path / RESULTS).is_dir()]
    if not places:
        raise UsageError(f"{folder}: no {RESULTS} in it; run pytest --mecheval=BUNDLE first")
    if len(places) > 1:
        named = ", ".join(str(path) for path in places)
        raise UsageError(f"{folder}: more than one run in it; name one of {named}")
    (place,) = places
    folders = tuple(
        path for path in (place, *sorted(place.glob("*/"))) if (path / DECISIONS).is_file()
    )
    reports = tuple(read_report(path / DECISIONS) for path in folders)
    return Run(place / RESULTS, folders, reports)


def find_allure(named: Path | None, run: Run, start: Path) -> Allure:
    """The Allure to use.

    Args:
        named: chosen by the user; None looks on PATH, then below `start`.
        run: programs inside its bundles are never used.
        start: the working directory.

    Raises:
        UsageError: there is none, or it does not say its version.
    """
    for program in _candidates(named, start):
        if named is not None or not _of_a_bundle(program, run, start):
            return Allure(program, _major(program))
    raise UsageError(HOW_TO_INSTALL)


def _candidates(named: Path | None, start: Path) -> Iterable[Path]:
    if named is not None:
        if not named.is_file():
            raise UsageError(f"{named}: no such program")
        yield named.absolute()
        return
    # Relative entries of PATH would make the answer depend on the working directory.
    entries = [entry for entry in os.get_exec_path() if Path(entry).is_absolute()]
    if found := shutil.which("allure", path=os.pathsep.join(entries)):
        yield Path(found)
    yield from (start / program for program in PROGRAMS if (start / program).is_file())


def _of_a_bundle(program: Path, run: Run, start: Path) -> bool:
    """Whether the program lies inside an audited bundle: nothing of a bundle is ever run here."""
    roots = [(start / report.path).resolve() for report in run.reports if report.path]
    places = (program.absolute(), program.resolve())
    return any(place.is_relative_to(root) for root in roots for place in places)


def _major(program: Path) -> int:
    done = _call([str(program), "--version"])
    found = _VERSION.search(done.stdout)
    if done.returncode or found is None:
        raise UsageError(f"{program}: does not say its version: {_last(done)}")
    return int(found[1])


def _call(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    variables = {**os.environ, "ALLURE_NO_ANALYTICS": "true", **(environment or {})}
    try:
        return subprocess.run(  # noqa: S603 - a program the user installed or named, no shell
            arguments,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env=variables,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{arguments[0]}: {error}") from error


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return plain_line(lines[-1]) if lines else f"exit status {done.returncode}"


def build(run: Run, allure: Allure, out: Path) -> tuple[Path, Path]:
    """Generate the report.

    Args:
        run: what to show.
        allure: with what.
        out: replaced as a whole; must be a report of an earlier run, or not exist.

    Returns:
        The front page with links to every test, and the page of Allure itself.

    Raises:
        UsageError: `out` holds something else, Allure failed, or its pages still name a tracker.
    """
    _make_room(out)
    pages = (
        _with_allure3(run, allure, out) if allure.major >= 3 else _with_allure2(run, allure, out)
    )
    strip_trackers(out)
    return pages


def _make_room(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        if not (out / "index.html").is_file() or (out / ".git").exists():
            raise UsageError(f"{out}: holds something that is no report; choose another --out")
        shutil.rmtree(out)


def _generate(arguments: Sequence[str], environment: Mapping[str, str], out: Path) -> None:
    done = _call(arguments, environment)
    if done.returncode or not (out / "index.html").is_file():
        raise UsageError(f"Allure wrote no report: {_last(done)}")


def _with_allure3(run: Run, allure: Allure, out: Path) -> tuple[Path, Path]:
    environment = {"MECHEVAL_ALLURE": json.dumps(_settings(run))}
    arguments = [str(allure.program), "generate", str(run.results), "--config", str(CONFIG)]
    _generate([*arguments, "--output", str(out)], environment, out)
    front, report = out / "mecheval" / "index.html", out / "awesome" / "index.html"
    for path in (front, report):
        if not path.is_file():
            raise UsageError(f"Allure wrote no {path.relative_to(out)}")
    return front, report


def _settings(run: Run) -> dict[str, Any]:
    """What the shipped configuration wants to know."""
    variables: dict[str, str] = {}
    for report in run.reports:
        prefix = f"{plain_line(report.bundle)} " if len(run.reports) > 1 else ""
        for score in dimension_scores(report.outcomes):
            variables[f"{prefix}{score.dimension}"] = _short(score)
    return {
        "name": f"mecheval: {', '.join(plain_line(report.bundle) for report in run.reports)}",
        "history": str((run.results.parent / HISTORY).absolute()),
        "variables": variables,
        "pages": [
            {"bundle": plain_line(report.bundle), "path": str((folder / SUMMARY).absolute())}
            for folder, report in zip(run.folders, run.reports, strict=True)
        ],
    }


def _short(score: Score) -> str:
    """A score in as many characters as Allure shows."""
    if score.share is None:
        return "no claim tested"
    return f"{score.share:.0%} [{score.lower:.0%}, {score.upper:.0%}], {score.supported} of {score.decided}"


def _with_allure2(run: Run, allure: Allure, out: Path) -> tuple[Path, Path]:
    kept = run.results.parent / "allure-history"
    if kept.is_dir():
        shutil.copytree(kept, run.results / "history", dirs_exist_ok=True)
    arguments = [str(allure.program), "generate", str(run.results), "-o", str(out), "--clean"]
    _generate(arguments, {}, out)
    if (out / "history").is_dir():
        shutil.copytree(out / "history", kept, dirs_exist_ok=True)
    tests = dict(_allure2_tests(out))
    for folder in run.folders:
        name = SUMMARY if len(run.folders) == 1 else f"{folder.name}.html"
        page = (folder / SUMMARY).read_text(encoding="utf-8")
        write_atomically(out / name, link_allure(page, tests, "index.html"))
    first = SUMMARY if len(run.folders) == 1 else f"{run.folders[0].name}.html"
    return out / first, out / "index.html"


def _allure2_tests(out: Path) -> Iterable[tuple[str, str]]:
    """`bundle/claim` to the address of its test within an Allure 2 report."""
    for path in sorted((out / "data" / "test-cases").glob("*.json")):
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            labels = {each["name"]: each["value"] for each in body["labels"]}
            yield f"{labels['epic']}/{labels[CLAIM_LABEL]}", f"testresult/{body['uid']}"
        except (OSError, ValueError, KeyError, TypeError):
            # A test that is not ours has no claim to link.
            continue


def strip_trackers(out: Path) -> int:
    """Take third-party analytics out of every page.

    Returns:
        How many pages named one.

    Raises:
        UsageError: a page still names one: this Allure writes it in a way unknown here.
    """
    changed = 0
    for path in sorted(out.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        kept = TRACKER.sub("", text)
        if kept != text:
            write_atomically(path, kept)
            changed += 1
        if any(name in kept for name in TRACKERS):
            raise UsageError(
                f"{path}: still names a third-party analytics service; do not publish it"
            )
    return changed
