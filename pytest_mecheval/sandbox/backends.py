"""Chooses the way foreign code is isolated on this machine: by trying it, never by guessing."""

import functools
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pytest_mecheval.errors import HarnessError, UsageError
from pytest_mecheval.sandbox import bubblewrap, landlock, unconfined
from pytest_mecheval.sandbox.backend import Backend
from pytest_mecheval.sandbox.confinement import Confinement, Limits
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.sandbox.view import interpreter_paths

NAMES = ("auto", "bubblewrap", "landlock", "seatbelt", "none")
AUTOMATIC = ("bubblewrap", "landlock")
"""Tried in this order; `none` is never chosen by us."""
PROBE_LIMITS = Limits(cpu_s=20, wall_s=30, memory_mib=512, processes=64, scratch_mib=16)
SEATBELT = (
    "sandbox seatbelt: not offered: it has never been run on macOS; run in a Linux container, where "
    "landlock works"
)
WITHOUT = "--mecheval-sandbox=none on the command line runs it without protection; evidence is then testimony only"
PROBE = """
import ctypes, os, socket, sys
secret, parent = sys.argv[1:]
escaped = []
def attempt(name, action):
    try:
        action()
    except OSError:
        return
    escaped.append(name)
attempt("read outside", lambda: open(secret).read())
attempt("write outside", lambda: open(secret, "r+"))
attempt("internet socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("signal outside", lambda: os.kill(int(parent), 0))
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000) == 0:
    escaped.append("user namespace")
open("written", "w").close()
print("escaped: " + ", ".join(escaped) if escaped else "confined")
"""


def choose(name: str = "auto") -> Backend:
    """The backend of this name, tried out on this machine; `auto` takes the first that works.

    Raises:
        UsageError: it does not work here, or nothing does; the text says what to install.

    >>> choose("none").isolation.confined
    False
    """
    match name:
        case "auto":
            return _automatic()
        case "bubblewrap":
            return _working_bubblewrap()
        case "landlock":
            return _working_landlock()
        case "seatbelt":
            raise UsageError(SEATBELT)
        case "none":
            # Limits and the ending of process trees rest on /proc and on the kernel's reaper.
            _require_linux("none")
            return unconfined.backend()
        case _:
            raise UsageError(f"sandbox: unknown backend {name!r} (allowed: {', '.join(NAMES)})")


def available() -> tuple[Backend, ...]:
    """Every backend that confines and works here, the strongest first."""
    found = []
    for name in AUTOMATIC:
        try:
            found.append(choose(name))
        except UsageError:
            continue
    return tuple(found)


def _automatic() -> Backend:
    problems = []
    for name in AUTOMATIC:
        try:
            return choose(name)
        except UsageError as error:
            problems.append(str(error))
    if sys.platform != "linux":
        problems = [SEATBELT] if sys.platform == "darwin" else [f"{sys.platform} has no backend"]
    else:
        problems.append(WITHOUT)
    raise UsageError(
        "sandbox: foreign code cannot be isolated here, so none is run:\n"
        + "\n".join(f"  {problem}" for problem in problems)
    )


@functools.cache
def _working_bubblewrap() -> Backend:
    _require_linux("bubblewrap")
    first = try_out(bubblewrap.backend)
    if isinstance(first, Backend):
        return first
    # Containers mask parts of /proc, and then a fresh one may not be mounted.
    second = try_out(functools.partial(bubblewrap.backend, own_proc=False))
    if isinstance(second, Backend):
        return second
    raise UsageError(
        f"sandbox bubblewrap: installed, but cannot isolate here ({first}); user namespaces may be "
        "off: on Ubuntu 24.04 sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    )


@functools.cache
def _working_landlock() -> Backend:
    _require_linux("landlock")
    found = try_out(landlock.backend)
    if isinstance(found, Backend):
        return found
    raise UsageError(f"sandbox landlock: present, but does not isolate here ({found})")


def _require_linux(name: str) -> None:
    if sys.platform != "linux":
        raise UsageError(f"sandbox {name}: needs Linux, this is {sys.platform}")


def try_out(build: Callable[[], Backend]) -> Backend | str:
    """The backend if it confines a program that tries to get out, else what went wrong.

    Raises:
        UsageError: the backend cannot be built at all.
    """
    backend = build()
    with tempfile.TemporaryDirectory(prefix="probe-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        secret = folder / "outside"
        secret.write_text(secrets.token_hex())
        scratch = folder / "scratch"
        confinement = Confinement(
            argv=(sys.executable, "-I", "-S", "-c", PROBE, str(secret), str(os.getpid())),
            scratch=scratch,
            read_only=interpreter_paths(),
            environment=scrubbed(scratch),
            limits=PROBE_LIMITS,
        )
        try:
            outcome = backend.run(confinement, folder / "logs")
        except HarnessError as error:
            return str(error)
        said = outcome.stdout.read_text(errors="replace").strip()
        if outcome.succeeded and said == "confined" and (scratch / "written").exists():
            return backend
        complaint = outcome.stderr.read_text(errors="replace").strip()[-300:]
        return (
            "; ".join(filter(None, (said, complaint, *outcome.notes))) or "the trial program failed"
        )
