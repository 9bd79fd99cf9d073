"""Runs a bundle's own code once in the sandbox, and turns what it really did into plain facts.

The code sees a scratch copy of the bundle (`run.copying`), in which a number must be made again; what one
script of a sequence writes, the next one finds. Facts come from the runtime ledgers; they are testimony
and never support a causal claim about the model.
"""

import dataclasses
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from pytest_mecheval.bundle.commands import Command
from pytest_mecheval.bundle.reading import stated_file
from pytest_mecheval.errors import BundleError, SubjectError, UsageError
from pytest_mecheval.evidence.measurement import Measurement, measured
from pytest_mecheval.run.activity import announced
from pytest_mecheval.run.ledger_facts import facts_of
from pytest_mecheval.run.plain_runs import compared, left_behind
from pytest_mecheval.run.run_output import output_of
from pytest_mecheval.run.starting import Starts, starts_of, tracer_options, variables_of
from pytest_mecheval.run.workshop import RESULTS, Copied, Workshop, workshop
from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.confinement import Limits, Outcome
from pytest_mecheval.sandbox.differential import Output
from pytest_mecheval.sandbox.environment import (
    Interpreter,
    NotRestored,
    current_for,
    interpreter_for,
)
from pytest_mecheval.sandbox.joining import joined
from pytest_mecheval.sandbox.ledger import Ledger, read_ledger
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
NOTEBOOK = ".ipynb"
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
    limits: Limits = field(default_factory=Limits)
    """How much one run may use."""

    @property
    def said(self) -> str:
        """What running it is called: `running run.py in the sandbox, weights shuffled`."""
        return f"running {self.probe.entry} in the sandbox{', '.join(['', *self.probe.changes])}"

    @property
    def copied(self) -> Copied:
        """What the run is given: stored results only where it is meant to read them."""
        kept = self.probe.keep
        files = [path for path in self.files if path.split("/", 1)[0] != RESULTS or path in kept]
        return Copied(self.root, tuple(files), self.probe.decoy)

    def address(self, backend: str, python: Interpreter) -> str:
        """Where the run's record lives."""
        probe, limits = dataclasses.asdict(self.probe), dataclasses.asdict(self.limits)
        body = ["rerun", RERUN_FORMAT, self.bundle_digest, probe, backend, python.identity]
        return digest([*body, limits])


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
                run = _Run(script, starts, backend, python, path.with_suffix(".workshop"))
                facts = run.facts()
            write_atomically(path, dump(Record(address, (), facts=facts)))
    record = load_record(_parsed(path))
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


def _parsed(path: Path) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return body


@dataclass(frozen=True)
class _Ended:
    """One command of a run after its end."""

    command: Command
    ledger: Ledger | None
    """None when nothing watched it."""
    outcome: Outcome
    stdout: str
    last_words: str
    """The last line it wrote to stderr, when it failed."""


@dataclass(frozen=True)
class _Run:
    """Everything one run needs."""

    script: Script
    starts: Starts
    backend: Backend
    python: Interpreter
    note: Path
    """Where the name of its temporary folder is kept."""

    def facts(self) -> Mapping[str, Any]:
        """What it did; and, for a run as it is, whether it does the same unwatched."""
        facts, traced = self._traced()
        probe = self.script.probe
        if probe == Rerun(
            probe.entry, repeat=probe.repeat, keep=probe.keep, arguments=probe.arguments
        ):
            # As it is: only then does a run without the tracer have to come out the same.
            return {**facts, "watched": compared(traced, self._plain)}
        return facts

    def _traced(self) -> tuple[Mapping[str, Any], Output]:
        with self._workshop() as work:
            # The ledger lies in the script's reach, so its rows are chained with a number it is not told.
            path, changes = work.scratch / "ledger.jsonl", _changes(self.script.probe)

            def start(command: Command, limits: Limits) -> _Ended:
                nonce = secrets.token_hex(16)
                words = ["--root", str(work.bundle), "--nonce", nonce, *changes]
                watched = _with_tracer(work, command, path, words)
                outcome = work.run(self.backend, command, watched, limits)
                found = read_ledger(path, nonce)
                # The next script starts a ledger of its own and has no business with this one.
                remove_tree(path)
                return _ended(command, found, outcome)

            ended, notes = self._sequence(start)
            seen = joined([(one.command.words, one.ledger) for one in ended if one.ledger])
            facts = {
                **facts_of(seen),
                **output_of(seen, work.bundle, "".join(each.stdout for each in ended)),
                **_ending(ended, [*self.starts.notes, *work.notes, *notes], self.script.limits),
                "environment": self.python.facts,
            }
            return facts, _left(work, ended)

    def _plain(self) -> Output:
        """The same without the tracer; what a bare interpreter cannot start needs its runner, which then watches nothing."""
        with self._workshop() as work:

            def start(command: Command, limits: Limits) -> _Ended:
                entry = str(work.bundle / command.script)
                words: tuple[str, ...] = ("-s", "-E", "-B", entry, *command.arguments)
                if command.script.endswith(NOTEBOOK) or tracer_options(command, work.bundle):
                    # The tracer opens a ledger, then leaves it and everything else alone.
                    nowhere, options = work.scratch / "ledger.jsonl", ["--plain"]
                    options += ["--root", str(work.bundle)]
                    words = _with_tracer(work, command, nowhere, options)
                return _ended(command, None, work.run(self.backend, command, words, limits))

            return _left(work, self._sequence(start)[0])

    def _workshop(self) -> AbstractContextManager[Workshop]:
        return workshop(self.script.copied, self.starts, self.python, self.note)

    def _sequence(
        self, start: Callable[[Command, Limits], _Ended]
    ) -> tuple[list[_Ended], list[str]]:
        """Start one command after the other within the limits of one run, as their shell script would."""
        notes: list[str] = []
        ended: list[_Ended] = []
        limits, added = self.script.limits, self.script.probe.arguments
        for after, stated in reversed(tuple(enumerate(reversed(self.starts.commands)))):
            command = dataclasses.replace(stated, arguments=(*stated.arguments, *added))
            notes += variables_of(command)[1]
            ended.append(start(command, limits))
            left = _rest(limits, ended[-1].outcome)
            if left is None or (command.stops and not ended[-1].outcome.succeeded):
                notes += [f"{after} further start(s) did not happen"] if after else []
                break
            limits = left
        return ended, notes


def _with_tracer(
    work: Workshop, command: Command, ledger: Path, words: list[str]
) -> tuple[str, ...]:
    request = work.scratch / "request.json"
    # The script before this one may have left anything under this name.
    remove_tree(request)
    entry = str(work.bundle / command.script)
    options = [*words, *tracer_options(command, work.bundle)]
    request.write_text(json.dumps([str(ledger), *options, "--", entry, *command.arguments]))
    # A script can read its own command line: what is done to it must not stand there.
    return ("-I", str(work.tracer), "--request", str(request))


def _changes(probe: Rerun) -> list[str]:
    words = ["--sham", probe.sham, "--sham-seed", str(probe.sham_seed)]
    words += ["--poison", probe.poison, "--seed-shift", str(probe.seed_shift)]
    for site in probe.poison_sites:
        words += [f"--poison-site={site}"]
    return words


def _ended(command: Command, ledger: Ledger | None, outcome: Outcome) -> _Ended:
    last = outcome.stderr.read_bytes()[-STDERR_SHOWN:].decode("utf-8", "replace")
    lines = [line for line in last.splitlines() if line.strip()]
    words = lines[-1] if lines and not outcome.succeeded else ""
    stdout = outcome.stdout.read_bytes().decode("utf-8", "replace")
    return _Ended(command, ledger, outcome, stdout, words)


def _left(work: Workshop, ended: Sequence[_Ended]) -> Output:
    """What the run left, made comparable with another run's."""
    outcome, stdout = _decisive(ended).outcome, "".join(each.stdout for each in ended)
    given = frozenset(work.copied.files)
    return left_behind(outcome, stdout, work.folder, work.bundle, work.copied.root, given)


def _decisive(ended: Sequence[_Ended]) -> _Ended:
    """The first command that failed, else the last one."""
    return next((each for each in ended if not each.outcome.succeeded), ended[-1])


def _rest(limits: Limits, outcome: Outcome) -> Limits | None:
    """What a sequence may still use after one of its commands; None when nothing is left."""
    wall, cpu = limits.wall_s - outcome.wall_s, limits.cpu_s - outcome.cpu_s
    return dataclasses.replace(limits, wall_s=wall, cpu_s=cpu) if min(wall, cpu) > 0 else None


def _ending(ended: Sequence[_Ended], notes: Sequence[str], limits: Limits) -> Mapping[str, Any]:
    """How a run ended: as its decisive command."""
    decisive = _decisive(ended)
    outcome, words = decisive.outcome, decisive.last_words
    where = f"{decisive.command.words} ({decisive.command.place})"
    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "last_words": f"{where}: {words}" if decisive.command.place and words else words,
        "seconds": sum(each.outcome.wall_s for each in ended),
        "isolation": outcome.isolation.described(limits),
        "notes": [*notes, *(note for each in ended for note in each.outcome.notes)],
        "started": [
            {
                "command": each.command.words,
                "place": each.command.place,
                "status": each.outcome.status,
                "exit_code": each.outcome.exit_code,
                "seconds": each.outcome.wall_s,
                "forwards": len(each.ledger.forwards) if each.ledger else 0,
            }
            for each in ended
        ],
    }
