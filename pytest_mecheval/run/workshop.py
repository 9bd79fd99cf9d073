"""The temporary folder of one run: a scratch copy of the bundle, the tracer, and confinement around both.

A run's folder is noted beside its record, so that whoever runs it again removes what a killed run left.
"""

import dataclasses
import importlib.util
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_mecheval.bundle.commands import Command
from pytest_mecheval.errors import SubjectError
from pytest_mecheval.run.copying import copy_bundle
from pytest_mecheval.run.decoys import write_decoy
from pytest_mecheval.run.starting import Starts, python_path, variables_of
from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.confinement import Confinement, Limits, Outcome
from pytest_mecheval.sandbox.environment import Interpreter
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.wire import Decoy, write_atomically

PREFIX = "run-"
"""How the temporary folder of a run begins; names in a script's reach do not say who runs it, or why."""
RESULTS = "results"
"""Left out of the copy: a stored number proves nothing."""
NO_CACHES = shutil.ignore_patterns("__pycache__")


@dataclass(frozen=True)
class Copied:
    """What of a bundle a run is given."""

    root: Path
    """The bundle's folder."""
    files: tuple[str, ...]
    """Relative paths."""
    decoy: Decoy | None = None
    """Component names exchanged in one file of the copy."""


@dataclass(frozen=True)
class Workshop:
    """A scratch copy of the bundle for one run."""

    copied: Copied
    folder: Path
    python: Interpreter
    notes: tuple[str, ...] = ()
    """What the copy lacks although the bundle has it."""

    @property
    def tracer(self) -> Path:
        """A copy of the tracer under a name that says nothing."""
        return self.folder / "start"

    @property
    def scratch(self) -> Path:
        """The one folder the run can write to."""
        return self.folder / "scratch"

    @property
    def bundle(self) -> Path:
        """The copy; hostile once something has run in it."""
        return self.scratch / "bundle"

    def run(
        self, backend: Backend, command: Command, words: tuple[str, ...], limits: Limits
    ) -> Outcome:
        """Run the bundle's interpreter with these words, confined to the scratch folder.

        Args:
            backend: the isolation.
            command: for its folder and variables.
            words: the interpreter's arguments.
            limits: what it may use.
        """
        python, variables = self.python.python, variables_of(command)[0]
        extra = {**variables, **python_path(command, self.bundle)}
        return backend.run(
            Confinement(
                argv=(str(python), *words),
                scratch=self.scratch,
                read_only=(*self.python.read_only, self.tracer),
                environment=scrubbed(self.scratch, python=python, extra=extra),
                limits=limits,
                cwd=self.bundle / command.folder,
            ),
            self.folder / "logs",
        )


@contextmanager
def workshop(copied: Copied, starts: Starts, python: Interpreter, note: Path) -> Iterator[Workshop]:
    """A fresh scratch copy, removed at the end.

    Args:
        copied: what the run is given.
        starts: whose folders are made beforehand.
        python: the interpreter.
        note: where the folder's name is kept while it exists.
    """
    folder = _fresh(note)
    folder.mkdir(mode=0o700)
    work = Workshop(copied, folder, python)
    try:
        shutil.copytree(tracer(), work.tracer, ignore=NO_CACHES)
        work = dataclasses.replace(work, notes=_copy(copied, work.bundle))
        for made in starts.folders:
            (work.bundle / made).mkdir(parents=True, exist_ok=True)
        yield work
    finally:
        remove_tree(folder)
        note.unlink(missing_ok=True)


def _fresh(note: Path) -> Path:
    """A name for a fresh temporary folder, noted; what a killed run left is removed."""
    place = Path(tempfile.gettempdir())
    if note.exists():
        left = place / Path(note.read_text(encoding="utf-8")).name
        if left.name.startswith(PREFIX) and left.is_dir() and not left.is_symlink():
            remove_tree(left)
    fresh = place / f"{PREFIX}{secrets.token_hex(8)}"
    write_atomically(note, fresh.name)
    return fresh


def _copy(copied: Copied, target: Path) -> tuple[str, ...]:
    (target / RESULTS).mkdir(parents=True)
    notes = copy_bundle(copied.root, copied.files, target)
    if copied.decoy is not None:
        write_decoy(target, copied.decoy)
    return notes


def tracer() -> Path:
    """The tracer's folder, found without importing it: it belongs into another process.

    Raises:
        SubjectError: the installation lacks it.
    """
    spec = importlib.util.find_spec("pytest_mecheval.sandbox")
    if spec is None or not spec.submodule_search_locations:
        raise SubjectError("the tracer is not installed")
    return Path(spec.submodule_search_locations[0]) / "tracer"
