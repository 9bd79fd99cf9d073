"""The controller's tally: what became of every case, the reports written from it, the exit status."""

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_mecheval import __version__
from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.suspicious import ORDER
from pytest_mecheval.cases.audit import stated_outcome
from pytest_mecheval.cases.loading import Entry, LoadedBundle
from pytest_mecheval.cases.settings import Settings, shown
from pytest_mecheval.checks.binding import BoundClaim
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.claims.coverage import unlisted, untranslated
from pytest_mecheval.report.artefacts import DECISIONS, SUMMARY, clear_artefacts, write_artefacts
from pytest_mecheval.report.origins import origins_document
from pytest_mecheval.report.outcome import BundleReport, Outcome, outcome
from pytest_mecheval.report.reading import read_document
from pytest_mecheval.report.terminal import WIDEST, write_summary
from pytest_mecheval.vocabulary import Verdict

PLACES_SHOWN = 3
PLACES_LENGTH = 200
NOTHING_FUNCTIONAL = "exit status 1: nothing failed, but no claim that counts is SUPPORTED (a structure claim does not count)"
UNTRANSLATED = "exit status 1: nothing failed, but nobody translated all statements of the bundle (see the notes above)"
"""Said where a run is red although no case is."""
_REPORTED_VERSIONS = ("numpy", "pytest", "safetensors", "scipy", "torch", "transformer-lens")


class Scoreboard:
    """What the controller knows about every case; workers never write to it."""

    def __init__(self, bundles: tuple[LoadedBundle, ...], settings: Settings) -> None:
        self.bundles = bundles
        self.settings = settings
        self.node_ids: dict[tuple[str, str], str] = {}
        """Bundle name and claim id to pytest's node id, of the cases that ran."""
        self._problems: dict[tuple[str, str], str] = {}
        self._reports: tuple[BundleReport, ...] = ()

    def folder(self, loaded: LoadedBundle) -> Path:
        """The output folder of a bundle."""
        return self.settings.out / loaded.name

    def clear(self) -> None:
        """Forget the decisions of earlier runs, so that none of them is taken for one of this run."""
        for loaded in self.bundles:
            shutil.rmtree(self.folder(loaded) / "decisions", ignore_errors=True)
            clear_artefacts(self.folder(loaded))

    def decided(self, loaded: LoadedBundle, entry: Entry, node_id: str) -> None:
        """A case came to a decision, which lies on disk."""
        self.node_ids[loaded.name, entry.case.id] = node_id

    def failed(self, loaded: LoadedBundle, entry: Entry, node_id: str, problem: str) -> None:
        """A case ended without a decision, by our fault."""
        self.node_ids[loaded.name, entry.case.id] = node_id
        self._problems[loaded.name, entry.case.id] = problem

    @property
    def reports(self) -> tuple[BundleReport, ...]:
        """One report per bundle, built once the run is over."""
        if not self._reports:
            self._reports = tuple(self._report(loaded) for loaded in self.bundles)
        return self._reports

    def _report(self, loaded: LoadedBundle) -> BundleReport:
        return BundleReport(
            bundle=loaded.name,
            bundle_hash=loaded.bundle.digest,
            claims_file=shown(loaded.claims_path, self.settings.invocation_dir),
            claims_hash=loaded.claims_sha256,
            salt=self.settings.salt,
            outcomes=tuple(self._outcomes(loaded)),
            unchecked=tuple(
                stated_outcome(entry) for entry in loaded.entries.values() if entry.bound is None
            ),
            versions=dict(_versions()),
            notes=(*self._untranslated(loaded), *_unlisted(loaded), *loaded.bundle.notes),
            path=_relative(loaded.bundle.root, self.settings.invocation_dir),
            sources=origins_document(
                loaded.sources.model.ref,
                {name: task.ref for name, task in loaded.sources.tasks.items() if task.ref},
            ),
            sandbox=self.settings.sandbox,
        )

    def _untranslated(self, loaded: LoadedBundle) -> tuple[str, ...]:
        """That nobody translated the bundle, or not all of it."""
        if loaded.claims_path not in self.settings.outlined:
            return tuple(_left_out(loaded))
        place = shown(loaded.bundle.root, self.settings.invocation_dir)
        return (
            "no claim file: rules alone chose what was tested, so this run cannot pass; "
            f"run: mecheval translate {place} --llm anthropic (or --llm exchange --dir DIR without a key)",
        )

    def _outcomes(self, loaded: LoadedBundle) -> Iterator[Outcome]:
        for entry in loaded.entries.values():
            if entry.bound is not None:
                yield self._outcome(loaded, entry.bound)

    def _outcome(self, loaded: LoadedBundle, bound: BoundClaim) -> Outcome:
        key = (loaded.name, bound.claim.id)
        if key in self.node_ids and key not in self._problems:
            path = self.folder(loaded) / "decisions" / f"{bound.claim.id}.json"
            try:
                return read_document(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._problems[key] = f"{path}: the decision cannot be read: {error!r}"
        return outcome(bound.claim, bound.check, problem=self._problems.get(key, ""))

    def write(self) -> None:
        """Write the artefacts of every bundle."""
        for loaded, report in zip(self.bundles, self.reports, strict=True):
            write_artefacts(self.folder(loaded), report)

    def summarise(self, terminal: Any, results: str = "") -> None:
        """The summary of every bundle that had a case run; `results` is where Allure's lie."""
        for loaded, report in zip(self.bundles, self.reports, strict=True):
            if not any(name == loaded.name for name, _ in self.node_ids):
                continue
            terminal.section(f"mecheval {loaded.name}", sep="-")
            start = self.settings.invocation_dir
            paths = {
                "front page": shown(self.folder(loaded) / SUMMARY, start),
                "decisions": shown(self.folder(loaded) / DECISIONS, start),
                "test modules": shown(self.folder(loaded) / "tests", start),
            }
            if results:
                paths["Allure results"] = shown(Path(results), start)
            write_summary(
                report,
                terminal.write_line,
                paths=paths,
                # A log file has no width of its own; pytest would assume a narrow terminal.
                width=terminal._tw.fullwidth if terminal.isatty else WIDEST,
                color=terminal.hasmarkup,
            )
        if self.node_ids and self._nothing_bad():
            if (Verdict.SUPPORTED, True) not in self._decided():
                terminal.write_line(NOTHING_FUNCTIONAL)
            elif not self._complete:
                terminal.write_line(UNTRANSLATED)

    @property
    def _complete(self) -> bool:
        """Whether somebody translated every statement of every bundle."""
        left_out = any(note for loaded in self.bundles for note in _left_out(loaded))
        return not self.settings.outlined and not left_out

    def _nothing_bad(self) -> bool:
        bad = {Verdict.REFUTED, Verdict.VACUOUS}
        if self.settings.inconclusive == "fail":
            bad.add(Verdict.INCONCLUSIVE)
        return not self._problems and not any(verdict in bad for verdict, _ in self._decided())

    def _decided(self) -> list[tuple[Verdict, bool]]:
        """Every verdict, and whether its kind has functional content."""
        return [
            (each.decision.verdict, checks()[each.kind].functional)
            for report in self.reports
            for each in report.outcomes
            if each.decision is not None
        ]

    def exit_status(self, status: int) -> int:
        """0 only when some finding is SUPPORTED and none that ran is anything worse than untestable.

        A kind without functional content (structure) does not make a run green.
        """
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return status
        supported = (Verdict.SUPPORTED, True) in self._decided()
        green = (
            supported and self._complete and self._nothing_bad() and status == pytest.ExitCode.OK
        )
        return int(pytest.ExitCode.OK if green else pytest.ExitCode.TESTS_FAILED)


def _left_out(loaded: LoadedBundle) -> Iterator[str]:
    """One note when statements are untested only because their translation failed or cannot be trusted."""
    orders = any(ORDER in note for note in loaded.bundle.notes)
    found = untranslated(loaded.claim_file, orders=orders)
    if not found:
        return
    places = _places(f"{each.quote.file}:{each.quote.line}" for each in found)
    why = " while the bundle gives orders to machines" if orders else ""
    yield (
        f"{len(found)} statements not translated or dismissed{why} "
        f"({places}), so this run cannot pass; "
        "translate again, or give each a claim or a reason of your own in the claim file"
    )


def _unlisted(loaded: LoadedBundle) -> Iterator[str]:
    """One note when the claim file passes over sentences of the bundle."""
    found = unlisted(loaded.claim_file, loaded.bundle)
    if found:
        places = _places(f"{each.passage.file}:{each.passage.line}" for each in found)
        yield (
            "sentences that read like findings or plan steps and have no entry in the claim file: "
            f"{len(found)} ({places}); give each a claim, or list it under not_testable"
        )


def _places(places: Iterable[str]) -> str:
    listed = tuple(places)
    more = ", ..." if len(listed) > PLACES_SHOWN else ""
    return escaped(", ".join(listed[:PLACES_SHOWN]), PLACES_LENGTH) + more


def _relative(path: Path, start: Path) -> str:
    return path.relative_to(start).as_posix() if path.is_relative_to(start) else ""


def _versions() -> Iterator[tuple[str, str]]:
    """Installed versions, read from package metadata without importing anything."""
    yield "pytest-mecheval", __version__
    yield "python", platform.python_version()
    for name in _REPORTED_VERSIONS:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
