"""What a way of isolating code is, and how one program is run through it: the parent's side of the supervisor."""

import ast
import contextlib
import dataclasses
import marshal
import os
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mecheval.errors import HarnessError, UsageError
from pytest_mecheval.sandbox.confinement import Confinement, Isolation, Limits, Outcome, Status

MIB = 1 << 20
ANSWER_SECONDS = 20.0
"""How long after the wall limit the supervisor may take to end everything and report."""
ENTRY = (
    "import sys; sys.path.append({root!r}); "
    "from pytest_mecheval.sandbox.launcher.supervise import main; main()"
)
PRIVATE = 0o700
LAST_WORDS = 600
"""Characters of the supervisor's own error output that go into an error text."""
SIGNAL_OFFSET = 128
"""A shell's, and bubblewrap's, way to report a signal as an exit code."""
LIMIT_SIGNALS = {
    signal.SIGXCPU: "cpu: more CPU time than allowed",
    signal.SIGXFSZ: "file: larger than allowed",
}


@dataclass(frozen=True, slots=True)
class Launch:
    """How one confinement is carried out, as plain data for the supervisor."""

    argv: tuple[str, ...]
    landlock: dict[str, Any] | None = None
    """Rules the child puts on itself: abi, read, write, devices."""
    system_call_filter: bytes = b""
    """Installed by the child; empty when the launcher in `argv` does it."""
    machine: str = ""
    pid_namespace: bool = False
    """Its processes end with the first one, by the kernel's hand."""
    signals_as_codes: bool = False
    """The launcher reports a signal as exit code 128 + n."""


Prepare = Callable[[Confinement, contextlib.ExitStack, list[int]], Launch]
"""Builds a launch; open files go on the stack, descriptors to inherit into the list."""


@dataclass(frozen=True)
class Backend:
    """One way of isolating code, probed and ready."""

    isolation: Isolation
    prepare: Prepare

    @property
    def name(self) -> str:
        """`bubblewrap`, `landlock` or `none`."""
        return self.isolation.backend

    def run(self, confinement: Confinement, logs: Path) -> Outcome:
        """Run one program to its end; when this returns, none of its processes is left.

        Args:
            confinement: what to run and how far it may go.
            logs: folder for `stdout` and `stderr`, outside the scratch folder; made if missing.

        Raises:
            UsageError: the confinement cannot be carried out (a path is missing, logs inside the scratch).
            HarnessError: the supervisor itself failed.
        """
        _make_ready(confinement, logs)
        with contextlib.ExitStack() as stack:
            fds = list(confinement.channels)
            launch = self.prepare(confinement, stack, fds)
            report = _supervised(_request(confinement, launch, logs, fds), fds)
        if report["failure"]:
            raise HarnessError(f"sandbox {self.name}: could not start: {report['failure']}")
        if report["left"]:
            raise HarnessError(
                f"sandbox {self.name}: {report['left']} process(es) could not be ended"
            )
        return _outcome(report, launch, logs, self.isolation)


def _make_ready(confinement: Confinement, logs: Path) -> None:
    if logs.resolve().is_relative_to(confinement.scratch.resolve()):
        raise UsageError(f"sandbox: {logs}: logs must lie outside the scratch folder")
    for path in confinement.read_only:
        if not os.path.lexists(path):
            raise UsageError(f"sandbox: {path}: to be shown inside, but it does not exist")
    logs.mkdir(parents=True, exist_ok=True)
    for folder in (confinement.scratch, confinement.scratch / "home", confinement.scratch / "tmp"):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise UsageError(
                f"sandbox: {folder}: in the way of a folder the program needs; move it"
            )
        folder.mkdir(parents=True, exist_ok=True)
    confinement.scratch.chmod(PRIVATE)


def _request(
    confinement: Confinement, launch: Launch, logs: Path, fds: list[int]
) -> dict[str, Any]:
    limits = confinement.limits
    return {
        "argv": list(launch.argv),
        "environment": dict(confinement.environment),
        "cwd": str(confinement.working_directory),
        "scratch": str(confinement.scratch),
        "stdout": str(logs / "stdout"),
        "stderr": str(logs / "stderr"),
        "fds": fds,
        "landlock": launch.landlock,
        "filter": launch.system_call_filter,
        "machine": launch.machine,
        "pid_namespace": launch.pid_namespace,
        "limits": _in_bytes(limits, address_space=not confinement.gpu),
    }


def _in_bytes(limits: Limits, *, address_space: bool) -> dict[str, Any]:
    """The limits in the units of the kernel; CUDA reserves far more addresses than it uses."""
    body = dataclasses.asdict(limits)
    for name in ("memory", "file", "scratch"):
        body[name] = body.pop(f"{name}_mib") * MIB
    body["output"] = body.pop("output_kib") * 1024
    return body | {"address_space": address_space}


def _supervised(request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    """Start a supervisor, hand it the request, return its report."""
    root = str(Path(__file__).resolve().parents[2])
    payload = marshal.dumps(request)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        [sys.executable, "-I", "-S", "-c", ENTRY.format(root=root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={"LANG": "C.UTF-8"},
        start_new_session=True,
        pass_fds=fds,
    )
    with process:
        try:
            _send(process, struct.pack("<Q", len(payload)) + payload)
            written = _read_all(process, request["limits"]["wall_s"] + ANSWER_SECONDS)
        except BaseException:
            # Its stdin closes: it ends the confined processes, then itself.
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ANSWER_SECONDS)
            process.kill()
            raise
    try:
        report = ast.literal_eval(written[0].decode())
    except (ValueError, SyntaxError, UnicodeDecodeError) as error:
        said = written[1].decode(errors="replace").strip()[-LAST_WORDS:]
        raise HarnessError(f"sandbox: the supervisor ended without a report: {said}") from error
    return dict(report)


def _send(process: subprocess.Popen[bytes], message: bytes) -> None:
    """Write to its stdin and leave it open: closing it means to cancel."""
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(message)
            process.stdin.flush()


def _read_all(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    """The supervisor's two outputs, its stdin kept open meanwhile."""
    outputs: dict[int, list[bytes]] = {}
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ)
                outputs[pipe.fileno()] = []
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise HarnessError("sandbox: the supervisor did not report in time")
            for key, _ in selector.select(left):
                data = os.read(key.fd, 1 << 16)
                if data:
                    outputs[key.fd].append(data)
                else:
                    selector.unregister(key.fileobj)
    first, second = (b"".join(parts) for parts in outputs.values())
    return first, second


def _outcome(report: dict[str, Any], launch: Launch, logs: Path, isolation: Isolation) -> Outcome:
    code, ended_by = _exit(report["status"], launch)
    notes = list(report["notes"])
    reason = report["reason"]
    status: Status = "finished"
    if reason == "wall":
        status = "timed_out"
        notes.insert(0, f"wall: ended after {report['wall_s']:.1f} s")
    elif reason == "the run was cancelled":
        status = "killed"
        notes.insert(0, reason)
    elif reason:
        status = "limit"
        notes.insert(0, reason)
    elif ended_by in LIMIT_SIGNALS:
        status = "limit"
        notes.insert(0, LIMIT_SIGNALS[signal.Signals(ended_by)])
    elif ended_by is not None:
        status = "killed"
        notes.insert(0, f"ended by signal {ended_by} ({signal.strsignal(ended_by)})")
    return Outcome(
        status=status,
        exit_code=code,
        signal=ended_by,
        wall_s=report["wall_s"],
        cpu_s=report["cpu_s"],
        max_rss_mib=report["peak"] / MIB,
        stdout=logs / "stdout",
        stderr=logs / "stderr",
        isolation=isolation,
        notes=tuple(notes),
    )


def _exit(status: int | None, launch: Launch) -> tuple[int | None, int | None]:
    """Exit code and signal from a wait status."""
    if status is None:
        return None, None
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return None, -code
    if (
        launch.signals_as_codes
        and code > SIGNAL_OFFSET
        and code - SIGNAL_OFFSET in signal.valid_signals()
    ):
        return None, code - SIGNAL_OFFSET
    return code, None


def remove_tree(folder: Path) -> bool:
    """Delete a folder foreign code has written in; whether all of it is gone.

    Works on any depth without recursion: moving a deep folder up shortens the path to what is in it.
    """
    if folder.is_symlink() or not folder.is_dir():
        with contextlib.suppress(OSError):
            folder.unlink()
        return not os.path.lexists(folder)
    with contextlib.suppress(OSError):
        folder.chmod(PRIVATE)
    number = 0
    queue = [folder]
    while queue:
        place = queue.pop()
        with contextlib.suppress(OSError):
            place.chmod(PRIVATE)
            for entry in sorted(os.scandir(place), key=lambda one: one.name):
                path = Path(entry.path)
                if not entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(OSError):
                        path.unlink()
                    continue
                number += 1
                shallow = folder / f".{number}.gone"
                if place != folder:
                    with contextlib.suppress(OSError):
                        path = path.rename(shallow)
                queue.append(path)
        if place != folder:
            with contextlib.suppress(OSError):
                place.rmdir()
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
