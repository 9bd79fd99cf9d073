"""`mecheval explain`: what a kind of claim means, or why a claim was decided so."""

import argparse
from pathlib import Path

from pytest_mecheval.commands.given import path

HELP = "what a kind of claim means, or why a claim was decided so"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("name", metavar="KIND|CLAIM-ID")
    parser.add_argument(
        "--out",
        type=path,
        default=Path("mecheval-out"),
        metavar="DIR",
        help="what the run wrote (default: mecheval-out)",
    )


def run(options: argparse.Namespace) -> str:
    """The explanation as text."""
    from pytest_mecheval.cases.explaining import explain

    return explain(options.name, options.out)
