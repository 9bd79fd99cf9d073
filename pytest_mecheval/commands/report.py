"""`mecheval report`: the HTML of a run, with whichever Allure is installed."""

import argparse
from pathlib import Path

from pytest_mecheval.commands.given import path

HELP = "build the Allure report of a run, linked with its front page; opens nothing"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument(
        "folder",
        type=path,
        nargs="?",
        default=Path("mecheval-out"),
        metavar="DIR",
        help="what a run wrote (default: mecheval-out)",
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="where the report goes (default: allure-report beside the results)",
    )
    parser.add_argument(
        "--allure",
        type=path,
        metavar="PROGRAM",
        help="Allure 2 or 3 (default: on PATH, else ./node_modules)",
    )
    parser.add_argument(
        "--open",
        choices=("never",),
        default="never",
        help="a browser is never opened; for scripts that say so",
    )


def run(options: argparse.Namespace) -> str:
    """Where the pages lie."""
    from pytest_mecheval.report.allure_html import build, find_allure, find_run

    found = find_run(options.folder)
    allure = find_allure(options.allure, found, Path.cwd())
    front, report = build(found, allure, options.out or found.results.parent / "allure-report")
    return f"front page  {front}\nreport      {report}  (Allure {allure.major})"
