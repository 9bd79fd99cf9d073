"""Where the `mecheval` command starts: `gate` first leaves every module a bundle could have planted behind.

Imports nothing that is not part of the interpreter itself: a `json.py` on the import path must not run.
"""

import os
import sys

ISOLATED = ("gate",)
"""Commands whose answer must not depend on the working directory or on variables."""
_AGAIN = "import sys; sys.path.append({root!r}); from pytest_mecheval.cli import main; sys.exit(main({arguments!r}))"
LEFT_BEHIND = ("PYTHON", "PYTEST_", "LD_PRELOAD", "COVERAGE_PROCESS_START")
"""Starts of variables that make a program load or skip something."""


def isolated_command(arguments: list[str]) -> list[str]:
    """The same command in an interpreter without user site, PYTHON* variables and working directory."""
    # The package's own folder comes last: it may be a folder of many things, such as site-packages.
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - before any import
    code = _AGAIN.format(root=root, arguments=list(arguments))
    return [sys.executable, "-I", "-B", "-c", code]


def clean_variables(variables: dict[str, str]) -> dict[str, str]:
    """Variables without those that change what an interpreter or pytest loads."""
    return {name: text for name, text in variables.items() if not name.startswith(LEFT_BEHIND)}


def main() -> int:
    """Run the command, isolated where that matters; does not return then."""
    arguments = sys.argv[1:]
    if arguments[:1] and arguments[0] in ISOLATED and not sys.flags.isolated:
        command = isolated_command(arguments)
        os.execve(command[0], command, clean_variables(dict(os.environ)))  # noqa: S606 - this interpreter
    from pytest_mecheval.cli import main as run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
