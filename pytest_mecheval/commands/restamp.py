"""`mecheval restamp`: note that a claim file was reviewed against changed documents."""

import argparse

from pytest_mecheval.commands.given import path
from pytest_mecheval.errors import UsageError

HELP = "note that a claim file was reviewed against changed documents"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("file", type=path, metavar="FILE")
    parser.add_argument(
        "--bundle", type=path, metavar="BUNDLE", help="default: FILE without .claims.yaml"
    )


def run(options: argparse.Namespace) -> str:
    """Which documents were stamped.

    Raises:
        UsageError: there is no such file, or the bundle cannot be guessed from its name.
    """
    from pytest_mecheval.bundle.discovery import discover
    from pytest_mecheval.claims.location import SUFFIX
    from pytest_mecheval.claims.staleness import restamp

    folder = options.bundle
    if not options.file.is_file():
        raise UsageError(f"{options.file}: no such claim file (give BUNDLE.claims.yaml)")
    if folder is None:
        if not options.file.name.endswith(SUFFIX):
            raise UsageError(f"{options.file}: name its bundle with --bundle")
        folder = options.file.with_name(options.file.name.removesuffix(SUFFIX))
    changed = restamp(options.file, discover(folder))
    return (
        "\n".join(f"restamped {name}" for name in changed) or f"{options.file}: was fresh already"
    )
