"""`mecheval new-check`: write the skeleton of a new kind."""

import argparse
import re
from pathlib import Path

from pytest_mecheval.commands.given import path
from pytest_mecheval.errors import UsageError
from pytest_mecheval.wire import write_atomically

HELP = "write the skeleton of a new kind"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("name", metavar="NAME", help="lower-case noun, such as ablation")
    parser.add_argument(
        "--into", type=path, metavar="DIR", help="default: the kinds of this checkout"
    )


def run(options: argparse.Namespace) -> str:
    """What was written.

    Raises:
        UsageError: not a name for a kind, or a file of that name exists.
    """
    from pytest_mecheval.cases.skeleton import check_source

    if not re.fullmatch(r"[a-z][a-z_]*[a-z]", options.name):
        raise UsageError(f"{options.name!r}: a kind is a lower-case noun such as ablation")
    folder = options.into or Path(__file__).parents[1] / "checks" / "kinds"
    target = folder / f"{options.name}.py"
    if target.exists():
        raise UsageError(f"{target}: exists already; choose another name")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    write_atomically(target, check_source(options.name))
    return f"wrote {target}; change every place marked CHANGE, then run: pytest tests/contract"
