"""Runs a bundle's own script once in the sandbox, and turns what it really did into plain facts.

The script sees a scratch copy of the bundle (`run.copying`), in which a number must be made again. Facts
come from the runtime ledger; they are testimony and never support a causal claim about the model.
"""

import dataclasses
import importlib.util
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from pytest_mecheval.bundle.reading import stated_file
from pytest_mecheval.errors import BundleError, SubjectError, UsageError
from pytest_mecheval.evidence.measurement import Measurement, measured
from pytest_mecheval.run.activity import announced
from pytest_mecheval.run.copying import copy_bundle
from pytest_mecheval.run.ledger_facts import facts_of
from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.confinement import Confinement, Limits, Outcome
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

RERUN_FORMAT = 2
"""Raised whenever a rerun's facts change meaning; part of every address."""
NO_CACHES = shutil.ignore_patterns("__pycache__")
ENTRY_SUFFIXES = (".py", ".ipynb")
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
    """Which script or notebook, and what is done to the weights it loads."""
    sandbox: str = "auto"
    """Backend by name."""
    limits: Limits = field(default_factory=Limits)
    """How much one run may use."""

    @property
    def said(self) -> str:
        """What running it is called: `running run.py in the sandbox, weights shuffled`."""
        how = ", weights shuffled" if self.probe.sham == "shuffle" else ""
        again = ", once more" if self.probe.repeat else ""
        return f"running {self.probe.entry} in the sandbox{how}{again}"

    def address(self, backend: str) -> str:
        """Where the run's record lives."""
        version = sys.version_info[:3]
        probe, limits = dataclasses.asdict(self.probe), dataclasses.asdict(self.limits)
        return digest(["rerun", RERUN_FORMAT, self.bundle_digest, probe, backend, version, limits])


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
        stated_file(script.root, entry)
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
    return measured(record, {"document": entry, "attempts": list(record.facts["attempts"])})


def _parsed(path: Path) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return body


def _run(script: Script, backend: Backend) -> Mapping[str, Any]:
    # Names in the script's reach say nothing about who runs it, or why.
    workshop = Path(tempfile.mkdtemp(prefix="run-"))
    try:
        scratch, logs = workshop / "scratch", workshop / "logs"
        bundle = scratch / "bundle"
        left_out = copy_bundle(script.root, script.files, bundle)
        # The ledger lies in the script's reach, so its rows are chained with a number it is not told.
        ledger, nonce = scratch / "ledger.jsonl", secrets.token_hex(16)
        tracer = Path(shutil.copytree(_tracer(), workshop / "start", ignore=NO_CACHES))
        python = Path(sys.executable)
        argv = (
            str(python),
            "-I",
            str(tracer),
            str(ledger),
            "--root",
            str(bundle),
            "--sham",
            script.probe.sham,
        )
        outcome = backend.run(
            Confinement(
                argv=(*argv, "--nonce", nonce, "--", str(bundle / script.probe.entry)),
                scratch=scratch,
                read_only=(*interpreter_paths(python), tracer),
                environment=scrubbed(scratch, python=python),
                limits=script.limits,
                cwd=bundle,
            ),
            logs,
        )
        facts = facts_of(read_ledger(ledger, nonce))
        ending = _ending(outcome, script.limits)
        return {**facts, **ending, "notes": [*left_out, *ending["notes"]]}
    finally:
        remove_tree(workshop)


def _ending(outcome: Outcome, limits: Limits) -> Mapping[str, Any]:
    last = outcome.stderr.read_bytes()[-STDERR_SHOWN:].decode("utf-8", "replace")
    lines = [line for line in last.splitlines() if line.strip()]
    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "last_words": lines[-1] if lines and not outcome.succeeded else "",
        "seconds": outcome.wall_s,
        "isolation": outcome.isolation.described(limits),
        "notes": list(outcome.notes),
    }


def _tracer() -> Path:
    """The tracer's folder, found without importing it: it belongs into another process."""
    spec = importlib.util.find_spec("pytest_mecheval.sandbox")
    if spec is None or not spec.submodule_search_locations:
        raise SubjectError("the tracer is not installed")
    return Path(spec.submodule_search_locations[0]) / "tracer"
