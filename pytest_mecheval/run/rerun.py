"""Runs a bundle's own code once in the sandbox, and turns what it really did into plain facts.

The code sees a scratch copy of the bundle without its results, so a number must be made again; what one
script of a sequence writes, the next one finds. Facts come from the runtime ledgers; they are testimony
and never support a causal claim about the model.
"""

import dataclasses
import importlib.util
import json
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from pytest_mecheval.bundle.commands import Command
from pytest_mecheval.bundle.reading import stated_file
from pytest_mecheval.errors import BundleError, SubjectError, UsageError
from pytest_mecheval.evidence.measurement import Measurement, measured
from pytest_mecheval.run.activity import announced
from pytest_mecheval.run.decoys import write_decoy
from pytest_mecheval.run.ledger_facts import facts_of
from pytest_mecheval.run.run_output import output_of
from pytest_mecheval.run.starting import (
    Starts,
    python_path,
    starts_of,
    tracer_options,
    variables_of,
)
from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.confinement import Confinement, Limits, Outcome
from pytest_mecheval.sandbox.environment import (
    Interpreter,
    NotRestored,
    current_for,
    interpreter_for,
)
from pytest_mecheval.sandbox.joining import joined
from pytest_mecheval.sandbox.ledger import Ledger, read_ledger
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.wire import (
    Record,
    Rerun,
    digest,
    dump,
    load_record,
    record_path,
    write_atomically,
)

RERUN_FORMAT = 2
"""Raised whenever a rerun's facts change meaning; part of every address."""
ENVIRONMENTS = "environments"
"""Folder beside the evidence store that holds private environments."""
RESULTS = "results"
"""Left out of the copy: a stored number proves nothing."""
STDERR_SHOWN = 400
"""Characters of the last words of a script that failed."""


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
    """Which script or notebook, and what is done to the weights it loads."""
    sandbox: str = "auto"
    """Backend by name."""
    environment: Environment = ANY_ENVIRONMENT
    """Which interpreter it runs with."""

    @property
    def said(self) -> str:
        """What running it is called: `running run.py in the sandbox, weights shuffled`."""
        how = ", weights shuffled" if self.probe.sham == "shuffle" else ""
        other = ", other components" if self.probe.decoy is not None else ""
        again = ", once more" if self.probe.repeat else ""
        return f"running {self.probe.entry} in the sandbox{how}{other}{again}"

    def address(self, backend: str, python: Interpreter) -> str:
        """Where the run's record lives."""
        probe = dataclasses.asdict(self.probe)
        body = ["rerun", RERUN_FORMAT, self.bundle_digest, probe, backend, python.identity]
        return digest(body)


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
        if not path.exists():
            with announced(session, script.said):
                facts = _run(script, starts, backend, python)
            write_atomically(path, dump(Record(address, (), facts=facts)))
    record = load_record(_parsed(path))
    return measured(record, {"document": entry})


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


def _parsed(path: Path) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return body


@dataclass(frozen=True)
class _Ended:
    """One command of a run after its end."""

    command: Command
    ledger: Ledger
    outcome: Outcome
    last_words: str
    """The last line it wrote to stderr, when it failed."""
    printed: str
    """Its standard output."""


def _run(
    script: Script, starts: Starts, backend: Backend, python: Interpreter
) -> Mapping[str, Any]:
    workshop = Path(tempfile.mkdtemp(prefix="mecheval-"))
    notes = [*starts.notes]
    ended: list[_Ended] = []
    limits = Limits()
    try:
        bundle = workshop / "scratch" / "bundle"
        _copy(script, bundle)
        for folder in starts.folders:
            (bundle / folder).mkdir(parents=True, exist_ok=True)
        for after, command in reversed(tuple(enumerate(reversed(starts.commands)))):
            variables, refused = variables_of(command)
            notes += refused
            one = _start(script, command, backend, python, workshop, variables, limits)
            ended.append(one)
            left = _rest(limits, one.outcome)
            if left is None or (command.stops and not one.outcome.succeeded):
                notes += [f"{after} further start(s) did not happen"] if after else []
                break
            limits = left
        seen = joined([(each.command.words, each.ledger) for each in ended])
        printed = "".join(each.printed for each in ended)
        return {
            **facts_of(seen),
            **output_of(seen, bundle, printed),
            **_ending(ended, notes),
            "environment": python.facts,
        }
    finally:
        remove_tree(workshop)


def _start(
    script: Script,
    command: Command,
    backend: Backend,
    python: Interpreter,
    workshop: Path,
    variables: Mapping[str, str],
    limits: Limits,
) -> _Ended:
    scratch, logs = workshop / "scratch", workshop / "logs"
    bundle = scratch / "bundle"
    # The ledger lies in the script's reach, so its rows are chained with a number it is not told.
    ledger, nonce = scratch / "ledger.jsonl", secrets.token_hex(16)
    tracer = _tracer()
    argv = (
        str(python.python),
        "-I",
        str(tracer),
        str(ledger),
        "--root",
        str(bundle),
        "--sham",
        script.probe.sham,
        "--sham-seed",
        str(script.probe.sham_seed),
        *tracer_options(command, bundle),
    )
    outcome = backend.run(
        Confinement(
            argv=(
                *(*argv, "--nonce", nonce, "--", str(bundle / command.script)),
                *command.arguments,
            ),
            scratch=scratch,
            read_only=(*python.read_only, tracer),
            environment=scrubbed(
                scratch, python=python.python, extra={**variables, **python_path(command, bundle)}
            ),
            limits=limits,
            cwd=bundle / command.folder,
        ),
        logs,
    )
    found = read_ledger(ledger, nonce)
    # The next script starts a ledger of its own and has no business with this one.
    remove_tree(ledger)
    last = outcome.stderr.read_bytes()[-STDERR_SHOWN:].decode("utf-8", "replace")
    lines = [line for line in last.splitlines() if line.strip()]
    words = lines[-1] if lines and not outcome.succeeded else ""
    printed = outcome.stdout.read_bytes().decode("utf-8", "replace")
    return _Ended(command, found, outcome, words, printed)


def _rest(limits: Limits, outcome: Outcome) -> Limits | None:
    """What a sequence may still use after one of its commands; None when nothing is left."""
    wall, cpu = limits.wall_s - outcome.wall_s, limits.cpu_s - outcome.cpu_s
    return dataclasses.replace(limits, wall_s=wall, cpu_s=cpu) if min(wall, cpu) > 0 else None


def _ending(ended: Sequence[_Ended], notes: Sequence[str]) -> Mapping[str, Any]:
    """How a run ended: as its first command that failed, else as its last one."""
    decisive = next((each for each in ended if not each.outcome.succeeded), ended[-1])
    outcome, words = decisive.outcome, decisive.last_words
    where = f"{decisive.command.words} ({decisive.command.place})"
    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "last_words": f"{where}: {words}" if decisive.command.place and words else words,
        "seconds": sum(each.outcome.wall_s for each in ended),
        "isolation": outcome.isolation.described(),
        "notes": [*notes, *(note for each in ended for note in each.outcome.notes)],
        "started": [
            {
                "command": each.command.words,
                "place": each.command.place,
                "status": each.outcome.status,
                "exit_code": each.outcome.exit_code,
                "seconds": each.outcome.wall_s,
                "forwards": len(each.ledger.forwards),
            }
            for each in ended
        ],
    }


def _copy(script: Script, target: Path) -> None:
    (target / RESULTS).mkdir(parents=True)
    for relative in script.files:
        if relative.split("/", 1)[0] != RESULTS or relative in script.probe.keep:
            place = target / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(stated_file(script.root, relative), place)
    if script.probe.decoy is not None:
        write_decoy(target, script.probe.decoy)


def _tracer() -> Path:
    """The tracer's folder, found without importing it: it belongs into another process."""
    spec = importlib.util.find_spec("pytest_mecheval.sandbox")
    if spec is None or not spec.submodule_search_locations:
        raise SubjectError("the tracer is not installed")
    return Path(spec.submodule_search_locations[0]) / "tracer"
