"""One measuring child process: how it is started, watched and ended with everything it started."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_mecheval.wire import Job, write_atomically

GRACE_SECONDS = 3.0
"""How long a child may take to end after SIGTERM."""
LOG_TAIL = 800
"""Characters of the child's log that go into an error text."""

PASSED_ON = frozenset(
    {
        *(
            "PATH",
            "HOME",
            "USER",
            "LANG",
            "LC_ALL",
            "LC_CTYPE",
            "TMPDIR",
            "TEMP",
            "TMP",
            "SYSTEMROOT",
        ),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES"),
        *(
            "HF_HOME",
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "TRANSFORMERS_CACHE",
            "XDG_CACHE_HOME",
        ),
    }
)
"""Environment variables a measurement needs; keys, tokens and pytest's own never reach it."""


def engine_command() -> tuple[str, ...]:
    """How the harness is started; `-P` keeps the working directory off its import path."""
    return (sys.executable, "-P", "-m", "pytest_mecheval.harness")


def driving_command() -> tuple[str, ...]:
    """How measurements on a bundle's own module are started; the module itself runs in the sandbox."""
    return (sys.executable, "-P", "-m", "pytest_mecheval.run.driving")


def clean_environment(threads: int, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The child's environment: an allow-list plus fixed thread and cache settings.

    >>> sorted(clean_environment(2, {"PATH": "/bin", "ANTHROPIC_API_KEY": "x", "PYTEST_ADDOPTS": "-x"}))[:3]
    ['HF_HUB_OFFLINE', 'MKL_NUM_THREADS', 'OMP_NUM_THREADS']
    """
    fixed = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "PYTHONHASHSEED": "0",
    }
    return {name: value for name, value in inherited.items() if name in PASSED_ON} | fixed


@dataclass(frozen=True)
class Batch:
    """What one child is asked to measure, and where its files lie."""

    jobs: tuple[Job, ...]
    own_only: bool
    """Only the jobs of the claim that started it: a crash is theirs."""
    document: Path
    progress: Path
    log: Path


class Child:
    """A running harness process."""

    def __init__(
        self, batch: Batch, command: Sequence[str], threads: int, on_end: Callable[[], object]
    ) -> None:
        """Start it.

        Args:
            batch: what to measure.
            command: the engine; the batch file is appended.
            threads: torch threads.
            on_end: called once when the process is gone, from another thread, so that a lock is
                let go of even while the worker that holds it does something else.

        Raises:
            OSError: it could not be started; `on_end` is not called.
        """
        self.batch = batch
        log = batch.log.open("wb")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed list, no shell
                [*command, str(batch.document)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=batch.document.parent,
                env=clean_environment(threads),
                start_new_session=True,
            )
        finally:
            log.close()
        self._reaper = threading.Thread(target=self._reap, args=(on_end,), daemon=True)
        self._reaper.start()

    def _reap(self, on_end: Callable[[], object]) -> None:
        self._process.wait()
        on_end()

    @property
    def pid(self) -> int:
        """Process id, also the id of its process group."""
        return self._process.pid

    def exit_status(self, wait_seconds: float) -> int | None:
        """Its exit status, or None when it still runs after `wait_seconds`."""
        self._reaper.join(wait_seconds)
        return None if self._reaper.is_alive() else self._process.returncode

    def end(self) -> None:
        """End the child and its whole process group; safe to call at any time."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            # The second round also reaches what the child itself started.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, kind)
            self._reaper.join(GRACE_SECONDS)

    def last_words(self) -> str:
        """The end of its log on one line."""
        log = self.batch.log.read_text(encoding="utf-8", errors="replace")
        return " | ".join(line.strip() for line in log.splitlines() if line.strip())[-LOG_TAIL:]


def write_batch(
    folder: Path,
    name: str,
    jobs: Sequence[Job],
    *,
    own_only: bool,
    store: Path,
    failures: Path,
    threads: int,
) -> Batch:
    """Write the batch document that the harness reads."""
    batch = Batch(
        tuple(jobs),
        own_only,
        folder / f"{name}.json",
        folder / f"{name}.progress.json",
        folder / f"{name}.log",
    )
    body = {
        "jobs": [dataclasses.asdict(job) for job in jobs],
        "store": str(store),
        "failures": str(failures),
        "threads": threads,
        "progress": str(batch.progress),
    }
    write_atomically(batch.document, json.dumps(body))
    return batch
