"""`mecheval eject`: write the test modules of a bundle for keeping."""

import argparse

from pytest_mecheval.commands.given import path

HELP = "write the test modules of a bundle for keeping"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("folder", type=path, metavar="DIR")
    parser.add_argument("bundle", type=path, metavar="BUNDLE")
    parser.add_argument("--claims", type=path, metavar="FILE", help="instead of BUNDLE.claims.yaml")


def run(options: argparse.Namespace) -> str:
    """What was written."""
    from pytest_mecheval.cases.ejecting import eject

    written = eject(options.folder, options.bundle, options.claims)
    return "\n".join(f"wrote {path}" for path in written)
