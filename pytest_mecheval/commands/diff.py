"""`mecheval diff`: what changed between two runs."""

import argparse
from typing import TYPE_CHECKING

from pytest_mecheval.commands.given import path

if TYPE_CHECKING:
    from pytest_mecheval.report.comparing import ClaimChange

HELP = "what changed between two decisions.json; status 1 when a verdict got worse"
WORSE_STATUS = 1
"""Exit status when a verdict got worse."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument(
        "old", type=path, metavar="OLD", help="a decisions.json, or the folder that holds it"
    )
    parser.add_argument("new", type=path, metavar="NEW", help="the same, of the later run")


def run(options: argparse.Namespace) -> tuple[str, int]:
    """Every claim that is not what it was, then what moved for all claims."""
    from pytest_mecheval.report.comparing import compare
    from pytest_mecheval.report.reading import decisions_file, read_report

    found = compare(*(read_report(decisions_file(path)) for path in (options.old, options.new)))
    lines = [line for change in found.claims for line in _lines(change)]
    lines += found.run
    worse = len(found.worse)
    lines.append(
        f"{len(found.claims)} claims changed, {found.unchanged} did not; {worse} got worse"
    )
    return "\n".join(lines), WORSE_STATUS if worse else 0


def _lines(change: "ClaimChange") -> list[str]:
    from pytest_mecheval.report.plain import plain_line

    arrow = " -> ".join(filter(None, (change.before, change.after)))
    mark = ", worse" if change.worse else ""
    return [
        f"{plain_line(change.claim)}: {change.change}{mark}: {arrow}",
        *(f"  {text}" for text in change.moved),
    ]
