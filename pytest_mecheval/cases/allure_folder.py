"""Where Allure results go, cleaned once, and completed by the controller when all workers have ended."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mecheval import __version__
from pytest_mecheval.cases.loading import Entry, LoadedBundle
from pytest_mecheval.cases.settings import Settings
from pytest_mecheval.report import allure_case, allure_results
from pytest_mecheval.report.outcome import State
from pytest_mecheval.report.sources_online import line_address

if TYPE_CHECKING:
    from pytest_mecheval.cases.scoreboard import Scoreboard

RESULTS = "allure-results"


def prepare(config: pytest.Config, settings: Settings, names: Sequence[str]) -> None:
    """On the controller: choose the default folder, and clean it once, before any worker starts.

    Runs before allure-pytest reads its options.
    """
    if not _can_listen(config):
        return
    if not config.option.allure_report_dir:
        config.option.allure_report_dir = str(_default_folder(settings, names))
        config.option.clean_alluredir = True
    folder = settings.invocation_dir / config.option.allure_report_dir
    if config.option.clean_alluredir and not config.option.collectonly:
        shutil.rmtree(folder, ignore_errors=True)
    config.option.clean_alluredir = False


def follow(config: pytest.Config, settings: Settings, names: Sequence[str]) -> None:
    """On a worker: the controller's folder, never cleaned, since options are parsed anew there."""
    if _can_listen(config):
        config.option.allure_report_dir = config.option.allure_report_dir or str(
            _default_folder(settings, names)
        )
        config.option.clean_alluredir = False


def _can_listen(config: pytest.Config) -> bool:
    return allure_case.available(config) and hasattr(config.option, "allure_report_dir")


def _default_folder(settings: Settings, names: Sequence[str]) -> Path:
    return settings.out / (names[0] if len(names) == 1 else "") / RESULTS


def mark(item: pytest.Item, loaded: LoadedBundle, entry: Entry) -> None:
    """Attach the labels of a case."""
    allure_case.mark_item(
        item,
        entry.claim,
        kind=entry.case.kind,
        dimension=entry.case.dimension,
        bundle=loaded.name,
        address=_address(item, loaded, entry),
    )


def _address(item: pytest.Item, loaded: LoadedBundle, entry: Entry) -> str:
    """The claim's line on the code host that runs this; empty elsewhere."""
    start, root, quote = item.config.invocation_params.dir, loaded.bundle.root, entry.claim.quote
    if not root.is_relative_to(start):
        return ""
    return line_address(root.relative_to(start).as_posix(), quote.file, quote.line)


def shown_folder(config: pytest.Config) -> str:
    """Where this run's Allure results lie; empty when nobody listens."""
    return str(config.option.allure_report_dir) if allure_case.listening(config) else ""


def _run_address() -> str:
    """The page of this run on the code host; empty elsewhere."""
    parts = [
        os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
    ]
    return "{}/{}/actions/runs/{}".format(*parts) if all(parts) else ""


def complete(config: pytest.Config, scoreboard: "Scoreboard") -> None:
    """Add what only the controller knows: environment, categories, executor, cases lost in a crash."""
    if not allure_case.listening(config):
        return
    folder = Path(config.option.allure_report_dir)
    if not folder.is_dir():
        return
    allure_results.write_categories(folder)
    allure_results.write_environment(folder, allure_results.environment(scoreboard.reports))
    allure_results.write_metrics(folder, scoreboard.reports)
    allure_results.write_executor(
        folder,
        name=f"pytest-mecheval {__version__}",
        build=os.environ.get("GITHUB_SHA", "")[:12],
        url=_run_address(),
    )
    for report in scoreboard.reports:
        lost = [outcome for outcome in report.outcomes if outcome.state is State.ERROR]
        allure_results.write_lost_results(folder, lost, report.bundle)
    allure_results.write_identities(folder)
