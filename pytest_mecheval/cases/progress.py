"""Says on a terminal what is being measured and how long it will take; short work stays silent."""

import contextlib
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.run.activity import ACTIVITY_SUFFIX

FIRST_AFTER_SECONDS = 4.0
SAY_EVERY_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.5
PROGRESS_SUFFIX = ".progress.json"
"""Written by measuring processes: done, total, what, seconds."""


class Progress:
    """Reads what the processes of a run say they are doing, and writes lines when time has passed."""

    def __init__(self, folder: Path, write: Callable[[str], None]) -> None:
        """Nothing is read before the first look.

        Args:
            folder: the session folder of the run.
            write: shows one line.
        """
        self._folder = folder
        self._write = write
        self._next = time.monotonic() + FIRST_AFTER_SECONDS
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Write lines if the last ones are long enough ago and something takes long."""
        if time.monotonic() < self._next:
            return
        for line in self._lines():
            self._write(f"mecheval: {line}")
            self._next = time.monotonic() + SAY_EVERY_SECONDS

    def _lines(self) -> Iterator[str]:
        for suffix, say in ((PROGRESS_SUFFIX, measuring), (ACTIVITY_SUFFIX, doing)):
            for path in sorted(self._folder.glob(f"*{suffix}")):
                # A file may vanish or be foreign: progress is never worth an error.
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    body = json.loads(path.read_text(encoding="utf-8"))
                    if line := say(body, time.time() - path.stat().st_mtime):
                        yield line

    def watch(self) -> None:
        """Look regularly from a thread, whatever the tests are waiting for."""
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_SECONDS):
            self.look()

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()


def measuring(body: dict[str, float | str], age: float) -> str:
    """A measuring process in one line; empty when it has finished.

    Args:
        body: as the process wrote it.
        age: seconds since it did.

    >>> measuring({"done": 120, "total": 400, "what": "16 measurements on repeated", "seconds": 30}, 2)
    'measured 120 of 400, now 16 measurements on repeated; 32 s, about 70 s left'
    """
    done, total, seconds = int(body["done"]), int(body["total"]), float(body["seconds"])
    if done >= total:
        return ""
    line = f"measured {done} of {total}, now {plain_line(str(body['what']))}; {seconds + age:.0f} s"
    if not done:
        return line
    left = max(0.0, seconds / done * (total - done) - age)
    return f"{line}, about {_rounded(left)} s left"


def _rounded(seconds: float) -> int:
    """An estimate is not told to the second."""
    step = 10 if seconds > 60 else 5
    return step * math.ceil(seconds / step)


def doing(body: dict[str, float | str], age: float) -> str:
    """Other work in one line; empty when the process that did it is gone.

    >>> doing({"what": "running run.py in the sandbox", "pid": os.getpid()}, 12.2)
    'running run.py in the sandbox, 12 s'
    """
    try:
        os.kill(int(body["pid"]), 0)
    except ProcessLookupError:
        return ""
    return f"{plain_line(str(body['what']))}, {age:.0f} s"


def terminal_writer() -> Callable[[str], None] | None:
    """Writes lines to the terminal even while a test's output is captured; None when there is none.

    Called before any test runs, while standard output is still the terminal: the copy of its file
    descriptor stays the terminal, so no capturing has to be switched off from another thread.
    """
    try:
        original = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    if not os.isatty(original):
        return None
    terminal = os.dup(original)

    def write(line: str) -> None:
        # The cursor may stand behind a row of dots.
        os.write(terminal, f"\n{line}\n".encode("utf-8", "replace"))

    return write
