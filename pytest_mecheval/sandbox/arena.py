"""The stage on which the contract is tried: things to steal and break, and a way to run an attacker."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.confinement import Confinement, Limits, Outcome
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.sandbox.view import interpreter_paths

USUAL = Limits(
    cpu_s=20,
    wall_s=20,
    memory_mib=256,
    file_mib=8,
    scratch_mib=24,
    scratch_files=2000,
    open_files=64,
    processes=48,
    output_kib=64,
)
"""Small, so that reaching a limit takes no time; `memory_mib` leaves room for an interpreter and no more."""
DONE = "done"

PRELUDE = '''
import ctypes, errno, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, action):
    """Say ESCAPED when the action goes through, and how it was refused otherwise."""
    try:
        result = action()
    except (OSError, MemoryError, ValueError) as error:
        print("refused", name, type(error).__name__, getattr(error, "errno", ""))
    else:
        print("ESCAPED", name, repr(result)[:80])
def call(*arguments):
    """A raw system call; raises what it was refused with."""
    ctypes.set_errno(0)
    result = libc.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
'''


class ContractBroken(AssertionError):
    """A backend does not do what its contract says."""


@dataclass(frozen=True)
class Attempt:
    """One attacker's run, as the host saw it."""

    outcome: Outcome
    said: str
    complained: str

    def require(self, holds: bool, what: str) -> None:
        """Fail with everything that is known.

        Raises:
            ContractBroken: it does not hold.
        """
        if not holds:
            said = self.said if len(self.said) < 2000 else self.said[:2000] + "..."
            raise ContractBroken(
                f"{what}\n  {self.outcome.status}, exit {self.outcome.exit_code}, signal "
                f"{self.outcome.signal}, {self.outcome.wall_s:.2f} s; notes: {self.outcome.notes}\n"
                f"  stdout: {said}\n  stderr: {self.complained[-2000:]}"
            )

    def require_refusals(self, *names: str) -> None:
        """Every attempt was made and refused, and the attacker came to its end.

        Raises:
            ContractBroken: one went through, or was never made.
        """
        lines = self.said.splitlines()
        escaped = [line for line in lines if line.startswith("ESCAPED")]
        self.require(not escaped, f"went through: {'; '.join(escaped)}")
        for name in names:
            self.require(
                any(line.startswith(f"refused {name}") for line in lines), f"{name}: not attempted"
            )
        self.require(self.succeeded, "the attacker did not come to its end")

    @property
    def succeeded(self) -> bool:
        """The program ended well and said so."""
        return self.outcome.succeeded and self.said.rstrip().endswith(DONE)


@dataclass
class Arena:
    """A folder with a secret, a victim's pid and live sockets outside, and a view and a scratch inside."""

    backend: Backend
    folder: Path
    stack: ExitStack
    accepted: list[str] = field(default_factory=list)
    """What came through to our listeners."""
    _runs: int = 0

    def __post_init__(self) -> None:
        self.token = secrets.token_hex(12)
        self.outside = self.folder / "outside"
        self.view = self.folder / "view"
        for place in (self.outside, self.view, self.outside / "home" / ".ssh"):
            place.mkdir(parents=True)
        self.secret = self.outside / "home" / ".ssh" / "id_ed25519"
        self.secret.write_text(self.token)
        (self.view / "readable").write_text("this may be read")

    def run(
        self,
        source: str,
        *arguments: object,
        limits: Limits = USUAL,
        channels: tuple[int, ...] = (),
        **changes: int,
    ) -> Attempt:
        """Run a program inside; `changes` are limits other than the usual ones."""
        self._runs += 1
        place = self.folder / f"run-{self._runs}"
        self.scratch = place / "scratch"
        program = self.view / f"program_{self._runs}.py"
        program.write_text(PRELUDE + source + f"\nprint({DONE!r})\n")
        confinement = Confinement(
            argv=(sys.executable, "-I", "-S", "-u", str(program), *map(str, arguments)),
            scratch=self.scratch,
            read_only=(self.view, *interpreter_paths()),
            environment=scrubbed(self.scratch),
            limits=replace(limits, **changes) if changes else limits,
            channels=channels,
        )
        outcome = self.backend.run(confinement, place / "logs")
        return Attempt(
            outcome,
            outcome.stdout.read_text(encoding="utf-8", errors="replace"),
            outcome.stderr.read_text(encoding="utf-8", errors="replace"),
        )

    def listener(self, family: int, kind: int, address: str | tuple[str, int]) -> socket.socket:
        """A live socket of a service on this machine; whatever reaches it is noted in `accepted`."""
        server = self.stack.enter_context(socket.socket(family, kind))
        server.bind(address)
        if kind == socket.SOCK_STREAM:
            server.listen()
        thread = threading.Thread(target=self._note, args=(server, kind), daemon=True)
        thread.start()
        return server

    def _note(self, server: socket.socket, kind: int) -> None:
        with suppress(OSError):
            while True:
                if kind == socket.SOCK_STREAM:
                    connection, _ = server.accept()
                    connection.close()
                    self.accepted.append("connection")
                else:
                    self.accepted.append(repr(server.recv(100)))

    def victim(self, *, key: str = "") -> int:
        """Process id of a host process of this user, with a key in its environment."""
        environment = {"LANG": "C.UTF-8", "ANTHROPIC_API_KEY": key or self.token}
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "import time; time.sleep(300)"], env=environment
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process.pid


@contextmanager
def arena(backend: Backend) -> Iterator[Arena]:
    """A fresh arena in a private folder, cleared away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="arena-"))
    try:
        with ExitStack() as stack:
            yield Arena(backend, Path(os.path.realpath(folder)), stack)
    finally:
        remove_tree(folder)


@dataclass(frozen=True)
class Case:
    """One promise, tried out."""

    capability: str
    name: str
    check: Callable[[Arena], None]
    control: bool = False
    """The attack needs no privilege and hits only what the arena planted: without isolation it must succeed,
    which shows that the case can fail."""

    def hold(self, backend: Backend) -> None:
        """Try it.

        Raises:
            ContractBroken: the promise is not kept.
        """
        with arena(backend) as stage:
            self.check(stage)
