"""Which of a bundle's files one would start to get its results, without anybody naming them (DESIGN 4, 9)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mecheval.bundle.commands import SHELL_SUFFIX, Command, entry_file, parse_entry
from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.roles import MANIFEST
from pytest_mecheval.bundle.shell_script import read_shell_script
from pytest_mecheval.errors import BundleError

RUN_ALL = ("run_all.sh", "run.sh", "main.sh", "run_all.py", "main.py", "run.py")
"""Files that agents write to start everything; the first that is there and can be read counts."""
RUN_ALL_FOLDERS = ("", "scripts/", "src/", "experiments/")
_NAMED = re.compile(r"[\w./-]+\.py\b")
_STARTS_ITSELF = re.compile(r"""^(if\s+__name__\s*==\s*['"]__main__['"]|\#\s*%%)""", re.MULTILINE)
"""A main guard, or cells: the script is meant to be started, not imported."""


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A file of the bundle that is started on its own."""

    entry: str
    """As a claim's `entry`: a file and its arguments."""
    origin: str
    """Why it is taken for one: `mecheval.yaml`, `its name`, `a notebook`, `logs/code_walk.md:12` ..."""
    problem: str = ""
    """Why it cannot be started; empty when it can."""


def entry_points(bundle: Bundle) -> tuple[EntryPoint, ...]:
    """What to start, in order; those that cannot be are listed with the reason.

    A manifest's entry points are all there are. Otherwise the file that starts everything and the
    notebooks it leaves out; without either, the scripts its walkthrough names; without those, the
    scripts that are made to be started.
    """
    manifest = bundle.manifest
    if manifest is not None and (
        stated := [one for one in manifest.entry_points if not _is_function(one)]
    ):
        return tuple(_checked(bundle, entry, MANIFEST) for entry in stated)
    found = list(_starting_everything(bundle))
    started = {command.script for each in found for command in _commands(bundle, each)}
    found += [
        EntryPoint(notebook.path, "a notebook")
        for notebook in bundle.notebooks
        if notebook.path not in started and any(cell.kind == "code" for cell in notebook.cells)
    ]
    if any(not each.problem for each in found):
        return tuple(found)
    return (*found, *(list(_named_in_walkthrough(bundle)) or _made_to_be_started(bundle)))


def _is_function(entry: str) -> bool:
    return entry_file(entry, ()) == entry.rpartition(":")[0]


def shell_texts(bundle: Bundle) -> dict[str, str]:
    """The bundle's shell scripts by relative path."""
    return {one.path: one.text for one in bundle.scripts if one.path.endswith(SHELL_SUFFIX)}


def _paths(bundle: Bundle) -> frozenset[str]:
    return frozenset(file.path for file in bundle.files)


def _checked(bundle: Bundle, entry: str, origin: str) -> EntryPoint:
    try:
        file = parse_entry(entry, _paths(bundle)).file
        if file.endswith(SHELL_SUFFIX):
            read_shell_script(file, shell_texts(bundle), _paths(bundle))
    except BundleError as error:
        return EntryPoint(entry, origin, str(error))
    missing = "" if file in _paths(bundle) else f"{file}: no such file in the bundle"
    return EntryPoint(entry, origin, missing)


def _commands(bundle: Bundle, point: EntryPoint) -> tuple[Command, ...]:
    if point.problem:
        return ()
    if not point.entry.endswith(SHELL_SUFFIX):
        return (Command(point.entry),)
    return read_shell_script(point.entry, shell_texts(bundle), _paths(bundle)).commands


def _starting_everything(bundle: Bundle) -> Iterator[EntryPoint]:
    """The first of the known names that can be read; unreadable ones before it with their problem."""
    paths = _paths(bundle)
    for folder in RUN_ALL_FOLDERS:
        for name in RUN_ALL:
            if f"{folder}{name}" in paths:
                point = _checked(bundle, f"{folder}{name}", "its name")
                yield point
                if not point.problem:
                    return


def _named_in_walkthrough(bundle: Bundle) -> Iterator[EntryPoint]:
    """Scripts that the walkthrough names, in that order, as far as they are made to be started."""
    scripts = {script.path: script.text for script in bundle.scripts}
    seen: set[str] = set()
    for document in bundle.documents:
        if document.role != "walkthrough":
            continue
        for number, line in enumerate(document.text.splitlines()):
            for match in _NAMED.finditer(line):
                path = _resolved(match[0].removeprefix("./"), scripts)
                if path and path not in seen and _STARTS_ITSELF.search(scripts[path]):
                    seen.add(path)
                    yield EntryPoint(path, f"{document.path}:{document.line_number(number)}")


def _resolved(name: str, scripts: dict[str, str]) -> str:
    """The script a text means: its path, or a file name that only one script has."""
    if name in scripts:
        return name
    ending = [path for path in scripts if path.endswith(f"/{name}")]
    return ending[0] if len(ending) == 1 else ""


def _made_to_be_started(bundle: Bundle) -> list[EntryPoint]:
    return [
        EntryPoint(script.path, "a script with a main guard or cells")
        for script in bundle.scripts
        if script.path.endswith(".py") and _STARTS_ITSELF.search(script.text)
    ]
