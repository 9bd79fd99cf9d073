"""Runs a bundle's own script once in the sandbox, and turns what it really did into plain facts.

The script sees a scratch copy of the bundle without its results, so a number must be made again. Facts
come from the runtime ledger; they are testimony and never support a causal claim about the model.
"""

import dataclasses
import importlib.util
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from pytest_mecheval.bundle.reading import stated_file
from pytest_mecheval.errors import BundleError, SubjectError, UsageError
from pytest_mecheval.evidence.measurement import Measurement, measured
from pytest_mecheval.run.activity import announced
from pytest_mecheval.run.decoys import write_decoy
from pytest_mecheval.run.ledger_facts import facts_of
from pytest_mecheval.run.plain_runs import compared, left_behind
from pytest_mecheval.run.run_output import output_of
from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.confinement import Confinement, Limits, Outcome
from pytest_mecheval.sandbox.differential import Output
from pytest_mecheval.sandbox.ledger import read_ledger
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.sandbox.view import interpreter_paths
from pytest_mecheval.wire import (
    Record,
    Rerun,
    digest,
    dump,
    load_record,
    record_path,
    write_atomically,
)

RERUN_FORMAT = 3
"""Raised whenever a rerun's facts change meaning; part of every address."""
NOTEBOOK = ".ipynb"
ENTRY_SUFFIXES = (".py", NOTEBOOK)
RESULTS = "results"
"""Left out of the copy: a stored number proves nothing."""
STDERR_SHOWN = 400
"""Characters of the last words of a script that failed."""


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

    @property
    def said(self) -> str:
        """What running it is called: `running run.py in the sandbox, weights shuffled`."""
        return f"running {self.probe.entry} in the sandbox{', '.join(['', *self.probe.changes])}"

    def address(self, backend: str) -> str:
        """Where the run's record lives."""
        version = sys.version_info[:3]
        probe = dataclasses.asdict(self.probe)
        return digest(["rerun", RERUN_FORMAT, self.bundle_digest, probe, backend, version])


def rerun(script: Script, store: Path, session: Path | None = None) -> Measurement:
    """What the script does when run, from the store when it has run before.

    Args:
        script: what to run.
        store: the evidence folder.
        session: where to say that it is running; None says nothing.

    Raises:
        SubjectError: no such script, no sandbox on this machine, or a kind of file that cannot be run.
    """
    entry = script.probe.entry
    try:
        for stated in (entry, *script.probe.keep):
            stated_file(script.root, stated)
        backend = choose(script.sandbox)
    except (BundleError, UsageError) as error:
        raise SubjectError(str(error)) from error
    if not entry.endswith(ENTRY_SUFFIXES):
        raise SubjectError(f"{entry}: cannot be run (allowed: {', '.join(ENTRY_SUFFIXES)})")
    address = script.address(backend.name)
    path = record_path(store, address)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One run per entry point however many claims and workers ask for it.
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            with announced(session, script.said):
                facts = _run(script, backend)
            write_atomically(path, dump(Record(address, (), facts=facts)))
    record = load_record(_parsed(path))
    return measured(record, {"document": entry})


def _parsed(path: Path) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return body


def _run(script: Script, backend: Backend) -> Mapping[str, Any]:
    facts, traced = _traced(script, backend)
    probe = script.probe
    if probe == Rerun(probe.entry, repeat=probe.repeat, keep=probe.keep):
        # As it is: only then does a run without the tracer have to come out the same.
        return {**facts, "watched": compared(traced, lambda: _plain(script, backend))}
    return facts


def _traced(script: Script, backend: Backend) -> tuple[Mapping[str, Any], Output]:
    with _workshop(script) as work:
        # The ledger lies in the script's reach, so its rows are chained with a number it is not told.
        ledger, nonce = work.scratch / "ledger.jsonl", secrets.token_hex(16)
        words = ["--root", str(work.bundle), "--nonce", nonce, *_changes(script.probe)]
        outcome = work.run(backend, _with_tracer(work, script.probe, ledger, words))
        seen = read_ledger(ledger, nonce)
        printed = outcome.stdout.read_bytes().decode("utf-8", "replace")
        facts = {**facts_of(seen), **output_of(seen, work.bundle, printed), **_ending(outcome)}
        return facts, work.left(outcome)


def _plain(script: Script, backend: Backend) -> Output:
    """The same without the tracer; a notebook's cells need its runner, which then watches nothing."""
    with _workshop(script) as work:
        entry = str(work.bundle / script.probe.entry)
        command = ("-s", "-E", "-B", entry, *script.probe.arguments)
        if entry.endswith(NOTEBOOK):
            # The tracer opens a ledger, then leaves it and everything else alone.
            nowhere = work.scratch / "ledger.jsonl"
            words = ["--root", str(work.bundle), "--plain"]
            command = _with_tracer(work, script.probe, nowhere, words)
        return work.left(work.run(backend, command))


def _with_tracer(
    work: "_Workshop", probe: Rerun, ledger: Path, words: list[str]
) -> tuple[str, ...]:
    request = work.scratch / "request.json"
    entry = str(work.bundle / probe.entry)
    request.write_text(json.dumps([str(ledger), *words, "--", entry, *probe.arguments]))
    # A script can read its own command line: what is done to it must not stand there.
    return ("-I", str(_tracer()), "--request", str(request))


def _changes(probe: Rerun) -> list[str]:
    words = ["--sham", probe.sham, "--sham-seed", str(probe.sham_seed)]
    words += ["--poison", probe.poison, "--seed-shift", str(probe.seed_shift)]
    for site in probe.poison_sites:
        words += [f"--poison-site={site}"]
    return words


@dataclass(frozen=True)
class _Workshop:
    """A scratch copy of the bundle for one run."""

    script: Script
    folder: Path

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def bundle(self) -> Path:
        return self.scratch / "bundle"

    def run(self, backend: Backend, words: tuple[str, ...]) -> Outcome:
        python = Path(sys.executable)
        return backend.run(
            Confinement(
                argv=(str(python), *words),
                scratch=self.scratch,
                read_only=(*interpreter_paths(python), _tracer()),
                environment=scrubbed(self.scratch, python=python),
                limits=Limits(),
                cwd=self.bundle,
            ),
            self.folder / "logs",
        )

    def left(self, outcome: Outcome) -> Output:
        script = self.script
        return left_behind(outcome, self.folder, self.bundle, script.root, frozenset(_seen(script)))


@contextmanager
def _workshop(script: Script) -> Iterator[_Workshop]:
    work = _Workshop(script, Path(tempfile.mkdtemp(prefix="mecheval-")))
    try:
        _copy(script, work.bundle)
        yield work
    finally:
        remove_tree(work.folder)


def _ending(outcome: Outcome) -> Mapping[str, Any]:
    last = outcome.stderr.read_bytes()[-STDERR_SHOWN:].decode("utf-8", "replace")
    lines = [line for line in last.splitlines() if line.strip()]
    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "last_words": lines[-1] if lines and not outcome.succeeded else "",
        "seconds": outcome.wall_s,
        "isolation": outcome.isolation.described(),
        "notes": list(outcome.notes),
    }


def _copy(script: Script, target: Path) -> None:
    (target / RESULTS).mkdir(parents=True)
    for relative in _seen(script):
        place = target / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stated_file(script.root, relative), place)
    if script.probe.decoy is not None:
        write_decoy(target, script.probe.decoy)


def _seen(script: Script) -> list[str]:
    """Files the run is given: stored results only where it is meant to read them."""
    kept = script.probe.keep
    return [path for path in script.files if path.split("/", 1)[0] != RESULTS or path in kept]


def _tracer() -> Path:
    """The tracer's folder, found without importing it: it belongs into another process."""
    spec = importlib.util.find_spec("pytest_mecheval.sandbox")
    if spec is None or not spec.submodule_search_locations:
        raise SubjectError("the tracer is not installed")
    return Path(spec.submodule_search_locations[0]) / "tracer"
