"""Everything a run writes about one bundle beside test modules and Allure results, from one report."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_mecheval.report.checklist import checklist_document
from pytest_mecheval.report.decisions import FILE_NAME, bundle_document, json_text
from pytest_mecheval.report.html.page import summary_page
from pytest_mecheval.report.markdown import summary_markdown
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.sarif import sarif_document
from pytest_mecheval.wire import write_atomically

DECISIONS = FILE_NAME
SUMMARY = "summary.html"
ARTEFACTS: Mapping[str, Callable[[BundleReport], str]] = {
    DECISIONS: lambda report: json_text(bundle_document(report)),
    SUMMARY: summary_page,
    "checklist.json": lambda report: json_text(checklist_document(report)),
    "summary.md": summary_markdown,
    "results.sarif": lambda report: json_text(sarif_document(report)),
}
"""File name to its content; decisions first, so that a failure further down does not take them along."""


def write_artefacts(folder: Path, report: BundleReport) -> tuple[Path, ...]:
    """Write every artefact whole or not at all; returns their paths."""
    for name, content in ARTEFACTS.items():
        write_atomically(folder / name, content(report))
    return tuple(folder / name for name in ARTEFACTS)


def clear_artefacts(folder: Path) -> None:
    """Remove those of an earlier run, so that none is taken for one of this run."""
    for name in ARTEFACTS:
        (folder / name).unlink(missing_ok=True)
