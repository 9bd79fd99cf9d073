"""Files of the bundle that were opened, removed or renamed, and attempts to leave: processes, sockets."""

import hashlib
import os
import sys
import threading
from collections import Counter
from types import FrameType
from typing import Any

from .state import Recorder
from .streams import numbers

ATTEMPTS = frozenset(
    {
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "pty.spawn",
        "socket.connect",
        "socket.bind",
        "socket.getaddrinfo",
        "socket.sendto",
        "urllib.Request",
        "webbrowser.open",
    }
)
CODE_ONLY = frozenset({"ctypes.dlopen", "sys.addaudithook", "sys.settrace", "sys.setprofile"})
"""Of interest only when the bundle's own code does it; libraries do it all the time."""
PASSING_ON = ("ctypes", "pathlib", "shutil", "<frozen codecs>")
CHANGES = {"os.remove": "removed", "os.rename": "renamed", "os.rmdir": "removed"}
MAX_FILES = 4000
MAX_ATTEMPTS_PER_KIND = 100
MAX_READ_BACK_BYTES = 2**20
MAX_NUMBERS = 1500
TEXT_ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".md", ".yaml", ".yml", ".html")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Audit:
    """One audit hook; it cannot be removed, but it can be made to fail, so its absence proves nothing."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._prefix = recorder.places.root.rstrip(os.sep) + os.sep
        self._scratch = os.path.dirname(recorder.places.root) + os.sep  # noqa: PTH120
        self._seen: set[tuple[str, str]] = set()
        self._written: dict[str, list[str]] = {}
        self._attempts: Counter[str] = Counter()
        self._inside = threading.local()

    def install(self) -> None:
        """Start listening."""
        sys.addaudithook(self._heard)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            if self._recorder.ledger.enabled and args and isinstance(args[0], (str, bytes)):
                self._guarded(self._opened, args[0], args[1], args[2])
        elif event in ATTEMPTS or event in CODE_ONLY:
            self._guarded(self._attempted, event, args)
        elif event in CHANGES:
            self._guarded(self._changed, event, args)

    def _guarded(self, function: Any, *args: Any) -> None:
        # An audit hook that raises would abort the bundle's call; one that opens files would recurse.
        if getattr(self._inside, "active", False):
            return
        self._inside.active = True
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 - observing must not break the run
            self._recorder.fault("audit", error)
        finally:
            self._inside.active = False

    def _opened(self, name: str | bytes, mode: Any, flags: Any) -> None:
        path = self._bundle_path(name)
        if not path:
            self._outside(name)
            return
        writes = bool(isinstance(flags, int) and flags & WRITING) or (
            isinstance(mode, str) and any(letter in mode for letter in "wax+")
        )
        self.used(path, "write" if writes else "read")

    def _outside(self, name: str | bytes) -> None:
        """The bundle's own code opens a file elsewhere; what libraries open is their business."""
        if self._direct() and not os.path.abspath(os.fsdecode(name)).startswith(self._scratch):  # noqa: PTH100
            self._attempted("open outside", (os.fsdecode(name),))

    def _bundle_path(self, name: str | bytes) -> str:
        text = os.fsdecode(name)
        path = os.path.abspath(text)  # noqa: PTH100 - called for every open; no links are followed
        if not path.startswith(self._prefix):
            return ""
        relative = path[len(self._prefix) :]
        return "" if "__pycache__" in relative or "site-packages" in relative else relative

    def used(self, path: str, mode: str) -> None:
        """Record the first use of a file in a mode; `path` is relative to the bundle."""
        calls = self._recorder.places.stack()
        if mode == "write":
            self._written[path] = calls  # the last writer is the one whose content stays
        if (path, mode) in self._seen:
            return
        if len(self._seen) >= MAX_FILES:
            self._recorder.ledger.dropped["file"] += 1
            return
        self._seen.add((path, mode))
        self._recorder.ledger.add(
            "file", path=path[:300], mode=mode, after=self._recorder.last_forward, calls=calls
        )

    def saved(self, name: Any) -> None:
        """A write that audit hooks do not hear (`torch.save` opens files in C++)."""
        if isinstance(name, (str, os.PathLike)):
            path = self._bundle_path(os.fspath(name))
            if path:
                self.used(path, "write")

    def _attempted(self, event: str, args: tuple[Any, ...]) -> None:
        calls = self._recorder.places.stack()
        if event in CODE_ONLY and (not calls or not self._direct()):
            return
        self._attempts[event] += 1
        if self._attempts[event] > MAX_ATTEMPTS_PER_KIND:
            self._recorder.ledger.dropped["attempt"] += 1
            return
        shown = " ".join(str(one)[:200] for one in args[:3])
        self._recorder.ledger.add("attempt", event=event, detail=shown[:400], calls=calls)

    def _direct(self) -> bool:
        """True when the nearest Python frame outside the tracer is the bundle's."""
        frame: FrameType | None = sys._getframe(1)
        own = os.path.dirname(__file__)  # noqa: PTH120 - in an audit hook, cheap
        while frame is not None and frame.f_code.co_filename.startswith(own):
            frame = frame.f_back
        while frame is not None and self._passes_on(frame.f_code.co_filename):
            frame = frame.f_back
        return frame is not None and bool(self._recorder.places.shown(frame.f_code.co_filename))

    def _passes_on(self, filename: str) -> bool:
        """Code of the standard library that does for its caller what it is told."""
        return not self._recorder.places.shown(filename) and any(
            name in filename for name in PASSING_ON
        )

    def _changed(self, event: str, args: tuple[Any, ...]) -> None:
        for name in args[:2]:
            if isinstance(name, (str, bytes)):
                path = self._bundle_path(name)
                if path:
                    self.used(path, CHANGES[event])

    def finish(self) -> None:
        """Read back the text files that were written: their hash, their numbers, who wrote them."""
        for path, calls in list(self._written.items()):
            place = self._prefix + path
            try:
                if os.path.islink(place) or not os.path.isfile(place):  # noqa: PTH113, PTH114
                    continue
                size = os.path.getsize(place)  # noqa: PTH202
                fields: dict[str, Any] = {"path": path[:300], "size": size, "calls": calls}
                if size <= MAX_READ_BACK_BYTES:
                    with open(place, "rb") as stream:  # noqa: PTH123
                        content = stream.read(MAX_READ_BACK_BYTES)
                    fields["sha256"] = hashlib.sha256(content).hexdigest()
                    if path.lower().endswith(TEXT_ENDINGS):
                        text = content.decode("utf-8", "replace")
                        fields["numbers"] = numbers(text, MAX_NUMBERS)
            except OSError:
                continue
            self._recorder.ledger.add("written", **fields)
