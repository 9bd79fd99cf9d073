"""`mecheval kinds`: table of all kinds, in Markdown."""

import argparse

from pytest_mecheval.commands.given import path
from pytest_mecheval.errors import UsageError
from pytest_mecheval.wire import write_atomically

HELP = "table of all kinds, in Markdown"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument(
        "--update", type=path, metavar="FILE", help="rewrite the table in this file"
    )


def run(options: argparse.Namespace) -> str:
    """The table, or what was done to the file.

    Raises:
        UsageError: the file holds no table to rewrite, or no text.
    """
    from pytest_mecheval.cases.explaining import kinds_table, with_kinds_table

    if options.update is None:
        return kinds_table()
    try:
        old = options.update.read_text(encoding="utf-8")
        new = with_kinds_table(old)
    except UnicodeDecodeError:
        raise UsageError(f"{options.update}: not UTF-8 text") from None
    except UsageError as error:
        raise UsageError(f"{options.update}: {error}") from error
    if new == old:
        return f"{options.update}: up to date"
    write_atomically(options.update, new)
    return f"{options.update}: updated"
