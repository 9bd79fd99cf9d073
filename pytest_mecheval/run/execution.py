"""Starts what one entry point says, one process after the other, traced or not, in a scratch copy of the bundle."""

import dataclasses
import importlib.util
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_mecheval.bundle.commands import Command
from pytest_mecheval.errors import SubjectError
from pytest_mecheval.run.copying import copy_bundle
from pytest_mecheval.run.decoys import write_decoy
from pytest_mecheval.run.ledger_facts import facts_of
from pytest_mecheval.run.mutants import write_mutant
from pytest_mecheval.run.plain_runs import compared, left_behind
from pytest_mecheval.run.run_output import output_of
from pytest_mecheval.run.starting import Starts, python_path, tracer_options, variables_of
from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.confinement import Confinement, Limits, Outcome
from pytest_mecheval.sandbox.differential import Output
from pytest_mecheval.sandbox.environment import Interpreter
from pytest_mecheval.sandbox.joining import joined
from pytest_mecheval.sandbox.ledger import Ledger, read_ledger
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.wire import Rerun

GPU_CHOICE = "CUDA_VISIBLE_DEVICES"
NOTEBOOK = ".ipynb"
RESULTS = "results"
"""Left out of the copy: a stored number proves nothing."""
NO_CACHES = shutil.ignore_patterns("__pycache__")
STDERR_SHOWN = 400
"""Characters of the last words of a script that failed."""
SIGNALLED = -1000
"""Stands for the exit code of a process that a signal ended; no program can return it."""


@dataclass(frozen=True)
class _Ended:
    """One command of a run after its end."""

    command: Command
    ledger: Ledger | None
    """None when nothing watched it."""
    outcome: Outcome
    last_words: str
    """The last line it wrote to stderr, when it failed."""
    printed: str
    """Its standard output."""


@dataclass(frozen=True)
class Execution:
    """One entry point of one bundle, ready to be started."""

    root: Path
    """The bundle's folder."""
    files: tuple[str, ...]
    """Relative paths of the files it may see."""
    probe: Rerun
    """What is changed while it runs."""
    starts: Starts
    backend: Backend
    python: Interpreter
    workshop: Callable[[], Path]
    """Names a fresh folder for one run; it is made and removed here."""
    limits: Limits = field(default_factory=Limits)
    """Of all its commands together."""
    gpu: bool = False
    """Whether they are let at the GPU."""

    def facts(self) -> Mapping[str, Any]:
        """What a traced run really did; as the bundle has it, compared with one that nobody watches."""
        with self._copied() as (folder, left_out):
            ended, notes = self._sequence(folder, traced=True)
            bundle = _bundle(folder)
            seen = joined([(e.command.words, e.ledger) for e in ended if e.ledger is not None])
            printed = "".join(each.printed for each in ended)
            found = {
                **facts_of(seen),
                **output_of(seen, bundle, printed),
                **_ending(ended, [*left_out, *notes], self.limits, gpu=self.gpu),
                "environment": self.python.facts,
            }
            traced = self._left(folder, ended)
        probe = self.probe
        if probe == Rerun(probe.entry, repeat=probe.repeat, keep=probe.keep):
            # Only then does a run without the tracer have to come out the same.
            found["watched"] = compared(traced, self._plain)
        return found

    def _plain(self) -> Output:
        with self._copied() as (folder, _):
            return self._left(folder, self._sequence(folder, traced=False)[0])

    @contextmanager
    def _copied(self) -> Iterator[tuple[Path, tuple[str, ...]]]:
        """The folder of one run, and what its copy of the bundle lacks."""
        folder = self.workshop()
        folder.mkdir(mode=0o700)
        try:
            bundle = _bundle(folder)
            (bundle / RESULTS).mkdir(parents=True)
            left_out = copy_bundle(self.root, self._given(), bundle)
            shutil.copytree(_tracer(), _recorder(folder), ignore=NO_CACHES)
            if self.probe.decoy is not None:
                write_decoy(bundle, self.probe.decoy)
            if self.probe.mutant is not None:
                write_mutant(bundle, self.probe.mutant)
            # A folder of stored results is there, and empty, for commands that are started in it.
            for made in (*self.starts.folders, *self._folders_of_results()):
                (bundle / made).mkdir(parents=True, exist_ok=True)
            yield folder, left_out
        finally:
            remove_tree(folder)

    def _folders_of_results(self) -> Iterator[str]:
        for command in self.starts.commands:
            if command.folder.startswith(f"{RESULTS}/"):
                yield command.folder

    def _given(self) -> list[str]:
        """Files the run is given: stored results only where it is meant to read them."""
        kept = self.probe.keep
        return [path for path in self.files if path.split("/", 1)[0] != RESULTS or path in kept]

    def _left(self, folder: Path, ended: Sequence[_Ended]) -> Output:
        decisive = _decisive(ended).outcome
        code = SIGNALLED if decisive.exit_code is None else decisive.exit_code
        printed = "".join(each.printed for each in ended)
        given = frozenset(self._given())
        return left_behind(code, printed, folder, _bundle(folder), self.root, given)

    def _sequence(self, folder: Path, *, traced: bool) -> tuple[list[_Ended], list[str]]:
        """Every command in order, as far as they come, and what else a reader should know."""
        notes = [*self.starts.notes]
        ended: list[_Ended] = []
        limits = self.limits
        for after, command in reversed(tuple(enumerate(reversed(self.starts.commands)))):
            if ended and not (_bundle(folder) / command.folder).is_dir():
                notes.append(
                    f"{command.words} did not start: {command.folder} is no folder any more"
                )
                ended[-1] = _unfinished(ended[-1])
                break
            variables, refused = variables_of(command)
            notes += refused
            variables = {**self._gpu_choice(), **variables}
            one = self._start(folder, command, variables, limits, traced=traced)
            ended.append(one)
            left = _rest(limits, one.outcome)
            if left is None or (command.stops and not one.outcome.succeeded):
                if after:
                    notes.append(f"{after} further start(s) did not happen")
                    ended[-1] = _unfinished(one)
                break
            limits = left
        return ended, notes

    def _start(
        self,
        folder: Path,
        command: Command,
        variables: Mapping[str, str],
        limits: Limits,
        *,
        traced: bool,
    ) -> _Ended:
        scratch, bundle = folder / "scratch", _bundle(folder)
        python, tracer = self.python.python, _recorder(folder)
        # The ledger lies in the script's reach, so its rows are chained with a number it is not told.
        ledger, nonce = scratch / "ledger.jsonl", secrets.token_hex(16)
        options = ["--root", str(bundle), *tracer_options(command, bundle)]
        if traced:
            options += ["--nonce", nonce, *self._changes()]
            words = _with_tracer(folder, ledger, options, command)
        elif command.script.endswith(NOTEBOOK) or command.output:
            # Cells need their runner, and somebody has to redirect; it then watches nothing.
            words = _with_tracer(folder, ledger, [*options, "--plain"], command)
        else:
            words = _without_tracer(command, bundle)
        outcome = self.backend.run(
            Confinement(
                argv=(str(python), *words),
                scratch=scratch,
                read_only=(*self.python.read_only, tracer),
                environment=scrubbed(
                    scratch, python=python, extra={**variables, **python_path(command, bundle)}
                ),
                limits=limits,
                cwd=bundle / command.folder,
                gpu=self.gpu,
            ),
            folder / "logs",
        )
        found = read_ledger(ledger, nonce) if traced else None
        # The next script starts a ledger of its own and has no business with this one.
        remove_tree(ledger)
        _own_folders(scratch)
        last = outcome.stderr.read_bytes()[-STDERR_SHOWN:].decode("utf-8", "replace")
        lines = [line for line in last.splitlines() if line.strip()]
        said = lines[-1] if lines and not outcome.succeeded else ""
        printed = outcome.stdout.read_bytes().decode("utf-8", "replace")
        return _Ended(command, found, outcome, said, printed)

    def _gpu_choice(self) -> Mapping[str, str]:
        """Which GPU the operator has set aside for this run."""
        chosen = os.environ.get(GPU_CHOICE, "")
        return {GPU_CHOICE: chosen} if self.gpu and chosen else {}

    def _changes(self) -> list[str]:
        probe = self.probe
        words = ["--sham", probe.sham, "--sham-seed", str(probe.sham_seed)]
        words += ["--poison", probe.poison, "--seed-shift", str(probe.seed_shift)]
        return [*words, *(f"--poison-site={site}" for site in probe.poison_sites)]


def _bundle(folder: Path) -> Path:
    return folder / "scratch" / "bundle"


def _recorder(folder: Path) -> Path:
    """A copy of the tracer: names in a script's reach do not say who runs it, or why."""
    return folder / "start"


def _own_folders(scratch: Path) -> None:
    """Folders that we go through stay folders: what ran may have put links or files in their place."""
    for name in ("bundle", "home", "tmp"):
        place = scratch / name
        if place.is_symlink() or not place.is_dir():
            remove_tree(place)
            place.mkdir()


def _with_tracer(
    folder: Path, ledger: Path, options: Sequence[str], command: Command
) -> tuple[str, ...]:
    request = folder / "scratch" / "request.json"
    # The script before this one may have left a link under this name, and writing would follow it.
    remove_tree(request)
    words = [str(ledger), *options, "--", str(_bundle(folder) / command.script), *command.arguments]
    with request.open("x", encoding="utf-8") as stream:
        json.dump(words, stream)
    # A script can read its own command line: what is done to it must not stand there.
    return ("-I", str(_recorder(folder)), "--request", str(request))


def _without_tracer(command: Command, bundle: Path) -> tuple[str, ...]:
    if command.package is None:
        return ("-s", "-B", str(bundle / command.script), *command.arguments)
    module = ".".join(filter(None, (command.package, PurePosixPath(command.script).stem)))
    return ("-s", "-B", "-m", module, *command.arguments)


def _rest(limits: Limits, outcome: Outcome) -> Limits | None:
    """What a sequence may still use after one of its commands; None when nothing is left."""
    wall, cpu = limits.wall_s - outcome.wall_s, limits.cpu_s - outcome.cpu_s
    return dataclasses.replace(limits, wall_s=wall, cpu_s=cpu) if min(wall, cpu) > 0 else None


def _unfinished(last: _Ended) -> _Ended:
    """The last command of a sequence that was cut short, which has then not ended well."""
    if not last.outcome.succeeded:
        return last
    return dataclasses.replace(last, outcome=dataclasses.replace(last.outcome, status="limit"))


def _decisive(ended: Sequence[_Ended]) -> _Ended:
    return next((each for each in ended if not each.outcome.succeeded), ended[-1])


def _ending(
    ended: Sequence[_Ended], notes: Sequence[str], limits: Limits, *, gpu: bool
) -> Mapping[str, Any]:
    """How a run ended: as its first command that failed, else as its last one."""
    decisive = _decisive(ended)
    outcome, words = decisive.outcome, decisive.last_words
    where = f"{decisive.command.words} ({decisive.command.place})"
    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "last_words": f"{where}: {words}" if decisive.command.place and words else words,
        "seconds": sum(each.outcome.wall_s for each in ended),
        "isolation": outcome.isolation.described(limits, gpu=gpu),
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


def _tracer() -> Path:
    """The tracer's folder, found without importing it: it belongs into another process."""
    spec = importlib.util.find_spec("pytest_mecheval.sandbox")
    if spec is None or not spec.submodule_search_locations:
        raise SubjectError("the tracer is not installed")
    return Path(spec.submodule_search_locations[0]) / "tracer"
