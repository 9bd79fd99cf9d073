"""The `mecheval` command: everything around a run that is not a test run. Tests are run by pytest."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from pytest_mecheval import __version__
from pytest_mecheval.errors import MechevalError, named

USAGE_STATUS = 4
"""Exit status when the input cannot be used, as in pytest; argparse itself ends with 2."""
COMMANDS = (
    "translate",
    "bench",
    "explain",
    "schema",
    "eject",
    "new-check",
    "kinds",
    "restamp",
    "decide",
    "diff",
    "gate",
    "report",
)
"""In the order of the help text; each is a module of `pytest_mecheval.commands`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    A command returns its text, or its text and an exit status.

    Returns:
        0 or the command's own status; 4 when the input cannot be used.
    """
    options = _parser().parse_args(arguments)
    try:
        result = options.run(options)
    except (OSError, MechevalError) as error:
        said = named(error) if isinstance(error, OSError) else error
        sys.stderr.write(f"mecheval {options.command}: {said}\n")
        return USAGE_STATUS
    text, status = result if isinstance(result, tuple) else (result, 0)
    _write(str(text))
    return int(status)


def _write(text: str) -> None:
    """Print, and end quietly when the reader (`| head`) has gone."""
    try:
        sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mecheval", description="Claims are tested with: pytest --mecheval=BUNDLE"
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"pytest_mecheval.commands.{name.replace('-', '_')}")
        command = commands.add_parser(name, help=module.HELP)
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
