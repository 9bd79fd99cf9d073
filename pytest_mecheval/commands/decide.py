"""`mecheval decide`: decide every claim again from stored evidence."""

import argparse
from pathlib import Path

from pytest_mecheval.commands.given import path

HELP = "decide every claim of a decisions.json again from stored evidence"
DIFFERENT_STATUS = 1
"""Exit status when a verdict differs, its evidence is missing or damaged, or there is no verdict at all."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument(
        "file", type=path, metavar="DECISIONS.JSON", help="or the folder that holds it"
    )
    parser.add_argument(
        "--evidence",
        type=path,
        default=Path(".mecheval/evidence"),
        metavar="DIR",
        help="default: .mecheval/evidence",
    )


def run(options: argparse.Namespace) -> tuple[str, int]:
    """What came out the same, and a named list of what did not."""
    import json

    from pytest_mecheval.report.plain import plain_line
    from pytest_mecheval.report.reading import decisions_file, read_report
    from pytest_mecheval.report.redeciding import Redecider, Standing, wrong_blocks

    file = decisions_file(options.file)
    report = read_report(file)
    redecider = Redecider(report, options.evidence)
    found = list(redecider.claims())
    lines = [
        f"{plain_line(each.claim)}: {each.standing}: {plain_line(detail)}"
        for each in found
        if not each.agrees
        for detail in each.details
    ]
    document = json.loads(file.read_text(encoding="utf-8"))
    wrong = wrong_blocks(document, report)
    lines += [f"{name}: does not follow from the decisions in this file" for name in wrong]
    same = sum(each.standing is Standing.SAME for each in found)
    decided = sum(each.standing is not Standing.UNDECIDED for each in found)
    lines.append(
        f"{same} of {decided} verdicts came out the same, decided from {redecider.records} records"
    )
    if decided < len(found):
        lines.append(f"{len(found) - decided} claims had no verdict")
    agrees = 0 < decided == same and not wrong
    return "\n".join(lines), 0 if agrees else DIFFERENT_STATUS
