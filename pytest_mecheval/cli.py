"""The `mecheval` command: everything around a run that is not a test run. Tests are run by pytest."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_mecheval import __version__
from pytest_mecheval.errors import MechevalError, UsageError
from pytest_mecheval.wire import write_atomically

USAGE_STATUS = 4
"""Exit status when the input cannot be used, as in pytest; argparse itself ends with 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0, or 4 when the input cannot be used.
    """
    options = _parser().parse_args(arguments)
    try:
        _write(str(options.run(options)))
    except UsageError as error:
        sys.stderr.write(f"mecheval {options.command}: {error}\n")
        return USAGE_STATUS
    except (OSError, MechevalError) as error:
        sys.stderr.write(f"mecheval {options.command}: {error}\n")
        return USAGE_STATUS
    return 0


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

    explain = commands.add_parser(
        "explain", help="what a kind of claim means, or why a claim was decided so"
    )
    explain.add_argument("name", metavar="KIND|CLAIM-ID")
    explain.add_argument("--out", type=Path, default=Path("mecheval-out"), metavar="DIR")
    explain.set_defaults(run=_explain)

    schema = commands.add_parser("schema", help="JSON Schema of the claim file")
    schema.set_defaults(run=_schema)

    eject = commands.add_parser("eject", help="write the test modules of a bundle for keeping")
    eject.add_argument("folder", type=Path, metavar="DIR")
    eject.add_argument("bundle", type=Path, metavar="BUNDLE")
    eject.add_argument("--claims", type=Path, metavar="FILE", help="instead of BUNDLE.claims.yaml")
    eject.set_defaults(run=_eject)

    new = commands.add_parser("new-check", help="write the skeleton of a new kind")
    new.add_argument("name", metavar="NAME", help="lower-case noun, such as ablation")
    new.add_argument("--into", type=Path, metavar="DIR", help="default: the kinds of this checkout")
    new.set_defaults(run=_new_check)

    kinds = commands.add_parser("kinds", help="table of all kinds, in Markdown")
    kinds.add_argument("--update", type=Path, metavar="FILE", help="rewrite the table in this file")
    kinds.set_defaults(run=_kinds)

    restamp = commands.add_parser(
        "restamp", help="note that a claim file was reviewed against changed documents"
    )
    restamp.add_argument("file", type=Path, metavar="FILE")
    restamp.add_argument(
        "--bundle", type=Path, metavar="BUNDLE", help="default: FILE without .claims.yaml"
    )
    restamp.set_defaults(run=_restamp)
    return parser


def _explain(options: argparse.Namespace) -> str:
    from pytest_mecheval.cases.explaining import explain

    return explain(options.name, options.out)


def _schema(_options: argparse.Namespace) -> str:
    from pytest_mecheval.checks.registry import checks
    from pytest_mecheval.claims.schema import claim_file_schema

    specs = {kind: check.spec.model_json_schema() for kind, check in checks().items()}
    return json.dumps(claim_file_schema(specs), indent=2)


def _eject(options: argparse.Namespace) -> str:
    from pytest_mecheval.cases.ejecting import eject

    written = eject(options.folder, options.bundle, options.claims)
    return "\n".join(f"wrote {path}" for path in written)


def _new_check(options: argparse.Namespace) -> str:
    import re

    from pytest_mecheval.cases.skeleton import check_source

    if not re.fullmatch(r"[a-z][a-z_]*[a-z]", options.name):
        raise UsageError(f"{options.name!r}: a kind is a lower-case noun such as ablation")
    folder = options.into or Path(__file__).with_name("checks") / "kinds"
    target = folder / f"{options.name}.py"
    if target.exists():
        raise UsageError(f"{target}: exists already; choose another name")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    write_atomically(target, check_source(options.name))
    return f"wrote {target}; change every place marked CHANGE, then run: pytest tests/contract"


def _kinds(options: argparse.Namespace) -> str:
    from pytest_mecheval.cases.explaining import kinds_table, with_kinds_table

    if options.update is None:
        return kinds_table()
    old = options.update.read_text(encoding="utf-8")
    try:
        new = with_kinds_table(old)
    except UsageError as error:
        raise UsageError(f"{options.update}: {error}") from error
    if new == old:
        return f"{options.update}: up to date"
    write_atomically(options.update, new)
    return f"{options.update}: updated"


def _restamp(options: argparse.Namespace) -> str:
    from pytest_mecheval.bundle.discovery import discover
    from pytest_mecheval.claims.location import SUFFIX
    from pytest_mecheval.claims.staleness import restamp

    folder = options.bundle
    if folder is None:
        if not options.file.name.endswith(SUFFIX):
            raise UsageError(f"{options.file}: name its bundle with --bundle")
        folder = options.file.with_name(options.file.name.removesuffix(SUFFIX))
    changed = restamp(options.file, discover(folder))
    return (
        "\n".join(f"restamped {name}" for name in changed) or f"{options.file}: was fresh already"
    )


if __name__ == "__main__":
    sys.exit(main())
