"""Says now and then how far a long measurement is; short ones stay silent."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAY_EVERY_SECONDS = 15.0
LOOK_EVERY_SECONDS = 1.0


class Progress:
    """Reads the progress files of a run's measuring processes and writes a line when time has passed."""

    def __init__(self, folder: Path, write: Callable[[str], None]) -> None:
        """Nothing is read before the first look.

        Args:
            folder: the session folder of the run.
            write: shows one line.
        """
        self._folder = folder
        self._write = write
        self._last = time.monotonic()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Write a line if the last one is long enough ago and something is being measured."""
        if time.monotonic() - self._last < SAY_EVERY_SECONDS:
            return
        self._last = time.monotonic()
        for path in sorted(self._folder.glob("*.progress.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                body = json.loads(path.read_text(encoding="utf-8"))
                if body["done"] < body["total"]:
                    self._write(f"mecheval: {body['done']} of {body['total']} measurements done")

    def watch(self) -> None:
        """Look regularly from a thread: for the xdist controller, which runs no test itself."""
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


def terminal_writer(config: pytest.Config) -> Callable[[str], None]:
    """Writes a line to the terminal even while a test's output is captured."""

    def write(line: str) -> None:
        terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
        capture: Any = config.pluginmanager.get_plugin("capturemanager")
        if terminal is None:
            return
        open_air = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
        with open_air:
            terminal.ensure_newline()
            terminal.write_line(line)

    return write
