"""From an entry point as a claim states it to what has to be started, one process after the other."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mecheval.bundle.commands import SHELL_SUFFIX, Command, parse_entry
from pytest_mecheval.bundle.reading import decoded, read_file, stated_file
from pytest_mecheval.bundle.shell_script import read_shell_script
from pytest_mecheval.errors import BundleError, SubjectError
from pytest_mecheval.sandbox.variables import is_sensitive, scrubbed

MAX_SHELL_BYTES = 256 * 2**10
"""Largest shell script that is read."""


@dataclass(frozen=True, slots=True)
class Starts:
    """Everything one entry point starts."""

    commands: tuple[Command, ...]
    """In order, at least one."""
    folders: tuple[str, ...] = ()
    """Folders that are made before, relative to the bundle's root."""
    notes: tuple[str, ...] = ()
    """Lines of a shell script that are passed over, with the reason."""


def starts_of(entry: str, root: Path, files: Collection[str]) -> Starts:
    """What an entry point starts: one script or notebook, or what a shell script says.

    Args:
        entry: a file and its arguments, `experiments/run.py --n 64`.
        root: the bundle's folder.
        files: relative paths of its files.

    Raises:
        SubjectError: no such file, or something in it that is not understood.
    """
    try:
        parsed = parse_entry(entry, files)
        stated_file(root, parsed.file)
        if not parsed.file.endswith(SHELL_SUFFIX):
            return Starts((Command(parsed.file, parsed.arguments),))
        texts = {
            path: decoded(read_file(root, path, MAX_SHELL_BYTES))[0]
            for path in files
            if path.endswith(SHELL_SUFFIX)
        }
        script = read_shell_script(parsed.file, texts, files)
    except BundleError as error:
        raise SubjectError(str(error)) from error
    return Starts(script.commands, script.folders, script.notes)


def variables_of(command: Command) -> tuple[dict[str, str], tuple[str, ...]]:
    """The variables a shell script sets that its command gets, and a note for each it does not get.

    What the sandbox sets itself (threads, home, offline switches) stays as it is, and nothing that
    looks like a secret or changes how programs are loaded is handed in.
    """
    own = scrubbed(Path("/"))
    refused = [name for name, _ in command.variables if name in own or is_sensitive(name)]
    notes = tuple(f"{command.place}: variable {name} is not handed in" for name in refused)
    return {name: text for name, text in command.variables if name not in refused}, notes


def tracer_options(command: Command, bundle: Path) -> tuple[str, ...]:
    """How the tracer has to start a command.

    Args:
        command: what to start.
        bundle: absolute path of the copy it runs in.
    """
    options: list[str] = []
    if command.package is not None:
        options.append(f"--package={command.package}")
    options += [f"--search={bundle / folder}" for folder in command.search]
    if command.output:
        options.append(f"--output={command.output}")
        options += ["--append"] if command.appended else []
    return tuple(options)


def python_path(command: Command, bundle: Path) -> Mapping[str, str]:
    """PYTHONPATH for processes that the command itself starts."""
    places = [str(bundle / folder) for folder in command.search]
    return {"PYTHONPATH": ":".join(places)} if places else {}
