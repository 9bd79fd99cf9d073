"""Runs a bundle's own code once in the sandbox, and turns what it really did into plain facts.

The code sees a scratch copy of the bundle (`run.copying`), in which a number must be made again; what one
script of a sequence writes, the next one finds. Facts come from the runtime ledgers; they are testimony
and never support a causal claim about the model.
"""

import dataclasses
import json
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from pytest_mecheval.bundle.reading import stated_file
from pytest_mecheval.checks import ran
from pytest_mecheval.errors import BundleError, SubjectError, UsageError
from pytest_mecheval.evidence.measurement import Measurement, measured
from pytest_mecheval.evidence.store import DamagedRecord, EvidenceStore
from pytest_mecheval.run.activity import announced
from pytest_mecheval.run.execution import Execution
from pytest_mecheval.run.starting import starts_of
from pytest_mecheval.sandbox.backend import remove_tree
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.sandbox.environment import (
    Interpreter,
    NotRestored,
    current_for,
    interpreter_for,
)
from pytest_mecheval.wire import (
    Record,
    Rerun,
    digest,
    dump,
    load_record,
    record_path,
    write_atomically,
)

RERUN_FORMAT = 5
"""Raised whenever a rerun's facts change meaning; part of every address."""
ENVIRONMENTS = "environments"
"""Folder beside the evidence store that holds private environments."""
ENDED_BY_CLOCK = ".ended-by-clock"
"""Suffix of the file beside a record that names the session in which the run was ended for its duration."""
WORKSHOP = "run-"
"""How the temporary folder of a run begins; it says nothing about who runs what in it."""


@dataclass(frozen=True)
class Environment:
    """What a bundle's code runs with."""

    mode: str = "auto"
    """`auto`: this interpreter where it fits what is declared, else a private one; `current`: always this one."""
    requirements: str = ""
    """The requirements file its manifest names; empty: looked for."""
    python: str = ""
    """The Python version its manifest names; empty: any."""


ANY_ENVIRONMENT = Environment()
"""Whatever the bundle declares."""


@dataclass(frozen=True)
class Script:
    """One entry point of one bundle, and where its evidence is kept."""

    root: Path
    """The bundle's folder."""
    bundle_digest: str
    """Hash over the bundle's files: another bundle, another run."""
    files: tuple[str, ...]
    """Relative paths of the files it may see."""
    probe: Rerun
    """Which script or notebook, and what is changed while it runs."""
    sandbox: str = "auto"
    """Backend by name."""
    environment: Environment = ANY_ENVIRONMENT
    """Which interpreter it runs with."""
    limits: Limits = field(default_factory=Limits)
    """How much one run may use."""
    gpu: bool = False
    """Whether it is let at the GPU."""

    @property
    def said(self) -> str:
        """What running it is called: `running run.py in the sandbox, weights shuffled`."""
        return f"running {self.probe.entry} in the sandbox{', '.join(['', *self.probe.changes])}"

    def address(self, backend: str, python: Interpreter) -> str:
        """Where the run's record lives."""
        probe, limits = dataclasses.asdict(self.probe), dataclasses.asdict(self.limits)
        body = ["rerun", RERUN_FORMAT, self.bundle_digest, probe, backend, python.identity]
        return digest([*body, limits, self.gpu])


def rerun(script: Script, store: Path, session: Path | None = None) -> Measurement:
    """What the script does when run, from the store when it has run before.

    Args:
        script: what to run.
        store: the evidence folder.
        session: where to say that it is running; None says nothing.

    Raises:
        SubjectError: no such script, a line of a shell script that is not understood, no sandbox on this
            machine, or an environment that cannot be restored.
    """
    entry = script.probe.entry
    starts = starts_of(entry, script.root, script.files)
    try:
        for stated in script.probe.keep:
            stated_file(script.root, stated)
        backend = choose(script.sandbox)
    except (BundleError, UsageError) as error:
        raise SubjectError(str(error)) from error
    python = interpreter(script.root, script.environment, store)
    address = script.address(backend.name, python)
    path = record_path(store, address)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One run per entry point however many claims and workers ask for it.
    with FileLock(path.with_suffix(".lock")):
        record = _stored(store, address, session)
        if record is None:
            with announced(session, script.said):
                note = path.with_suffix(".workshop")
                facts = Execution(
                    script.root,
                    script.files,
                    script.probe,
                    starts,
                    backend,
                    python,
                    lambda: _workshop(note),
                    script.limits,
                    gpu=script.gpu,
                ).facts()
            text = dump(Record(address, (), facts=facts))
            # What is told is what is stored: JSON has no tuples.
            record = load_record(json.loads(text))
            _note_clock(path, record, session)
            write_atomically(path, text)
            path.with_suffix(".workshop").unlink()
    return measured(record, {"document": entry, "attempts": list(record.facts["attempts"])})


def interpreter(root: Path, environment: Environment, store: Path) -> Interpreter:
    """The interpreter for a bundle's code; a private one is built once and kept beside the store.

    Raises:
        SubjectError: what the bundle declares cannot be restored here.
    """
    cache = store.absolute().parent / ENVIRONMENTS
    stated, version = environment.requirements, environment.python
    try:
        if environment.mode == "current":
            return current_for(root, stated=stated, python=version)
        found = interpreter_for(root, cache, stated=stated, python=version)
    except UsageError as error:
        raise SubjectError(str(error)) from error
    if isinstance(found, NotRestored):
        raise SubjectError(f"environment cannot be restored: {found.reason}")
    return found


def _stored(store: Path, address: str, session: Path | None) -> Record | None:
    """The record of an earlier run, unless it is damaged or says more about that day's machine.

    A run that the clock ended may come further when the machine is less busy, so it counts for the session
    that saw it and is tried again in the next.
    """
    try:
        record = EvidenceStore(store).read_address(address)
    except DamagedRecord:
        return None
    noted = record_path(store, address).with_suffix(ENDED_BY_CLOCK)
    if record is None or session is None or not noted.exists():
        return record
    return record if noted.read_text(encoding="utf-8") == session.name else None


def _note_clock(path: Path, record: Record, session: Path | None) -> None:
    noted = path.with_suffix(ENDED_BY_CLOCK)
    if record.facts["status"] == ran.TIMED_OUT:
        write_atomically(noted, session.name if session else "")
    else:
        noted.unlink(missing_ok=True)


def _workshop(note: Path) -> Path:
    """A name for a fresh temporary folder, noted beside the record; what a killed run left is removed."""
    folder = Path(tempfile.gettempdir())
    if note.exists():
        left = folder / Path(note.read_text(encoding="utf-8")).name
        if left.name.startswith(WORKSHOP) and left.is_dir() and not left.is_symlink():
            remove_tree(left)
    fresh = folder / f"{WORKSHOP}{secrets.token_hex(8)}"
    write_atomically(note, fresh.name)
    return fresh
