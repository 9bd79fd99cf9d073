"""Starts one confined program, watches its limits, ends everything it started, reports on stdout.

The parent sends a marshalled request on stdin and keeps it open: when it closes, whoever asked is gone
and everything is killed. Standard library only, started as `python -I -S`, never imported by the parent.
"""

import contextlib
import ctypes
import marshal
import os
import resource
import select
import signal
import struct
import sys
import time

from pytest_mecheval.sandbox.launcher import cgroup, processes
from pytest_mecheval.sandbox.launcher.processes import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Read by the type checker only: typing is slow to import, and this runs before every program.
    from typing import Any

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
TICK_SECONDS = 0.05
EAGER_TICK_SECONDS = 0.02
"""Where the kernel does not bound the number of processes, this loop does."""
WATCH_PRIORITY = -10
FOLDER_SECONDS = 0.3
FOLDER_SHARE = 20
"""The folder is measured again after this many times the last measurement's duration."""
DRAIN_SECONDS = 1.0
CHUNK = 1 << 16
ADDRESS_HEADROOM = 1024 * MIB
"""Mapped but unused memory (thread stacks, allocator arenas) on top of the memory limit."""
CPU_HEADROOM_SECONDS = 2
START_FAILED = 127
LIFELINE, REPORT = 0, 1


class Kept:
    """One output stream: the first bytes go to a file, the rest is counted and dropped."""

    def __init__(self, source: int, path: str, most: int) -> None:
        self.source = source
        self.most = most
        self.kept = 0
        self.dropped = 0
        self.open = True
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.set_blocking(source, False)

    def read(self) -> bool:
        """Take what is there; False when there was nothing."""
        try:
            data = os.read(self.source, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.open = False
            return False
        wanted = data[: self.most - self.kept]
        written = os.write(self._file, wanted) if wanted else 0
        self.kept += written
        self.dropped += len(data) - written
        return True


class Supervisor:
    """One run: its request, what was seen of it, and why it was ended, if it was."""

    def __init__(self, request: "dict[str, Any]") -> None:
        self.request = request
        self.limits: dict[str, Any] = request["limits"]
        self.started = time.monotonic()
        self.waited_cpu = 0.0
        self.live_cpu = 0.0
        self.peak = 0
        self.ended: int | None = None
        self.reason = ""
        self.notes: list[str] = []
        superuser = os.geteuid() == 0
        self.priority = os.getpriority(os.PRIO_PROCESS, 0)
        self.group = cgroup.create(self.limits["processes"]) if superuser else ""
        self.enforced = bool(self.group) or not superuser
        """By rlimit the kernel does not count the superuser's processes, by control group it does."""
        if not self.enforced:
            with contextlib.suppress(OSError):
                # A bomb must not keep the one who looks for it from its turn.
                os.setpriority(os.PRIO_PROCESS, 0, WATCH_PRIORITY)
        self.next_folder = self.started + FOLDER_SECONDS
        self.tasks_seen = 0

    def start(self) -> None:
        """Fork the confined program; its failure to start is reported like an exit."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        failed, failed_end = os.pipe()
        self.wake, wake_end = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.stop("the run was cancelled"))
        tasks = _tasks_of_user() if os.geteuid() != 0 else 0
        self.child = os.fork()
        if self.child == 0:
            try:
                self._become(out_end, err_end, tasks)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the supervisor must hear of it
                os.write(failed_end, repr(error).encode()[:CHUNK])
            finally:
                os._exit(START_FAILED)
        for end in (out_end, err_end, failed_end):
            os.close(end)
        for channel in self.request["fds"]:
            os.close(channel)
        most = self.limits["output"]
        self.streams = [
            Kept(out, self.request["stdout"], most),
            Kept(err, self.request["stderr"], most),
        ]
        self.failed = failed

    def _become(self, out: int, err: int, tasks: int) -> None:
        """In the child: limits, then restrictions, then the program."""
        os.setsid()
        os.umask(0o077)
        if self.group:
            cgroup.enter(self.group)
        elif not self.enforced:
            os.setpriority(os.PRIO_PROCESS, 0, self.priority)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor, target in ((nothing, 0), (out, 1), (err, 2)):
            os.dup2(descriptor, target)
        signal.set_wakeup_fd(-1)
        for kind in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(kind, signal.SIG_DFL)
        for channel in self.request["fds"]:
            os.set_inheritable(channel, True)
        with contextlib.suppress(OSError):
            # The first to go when the machine runs out of memory.
            os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), b"1000")
        _set_limits(self.limits, tasks)
        os.chdir(self.request["cwd"])
        rules = self.request["landlock"]
        if rules:
            # Imported here: ctypes structures are needed by this backend only.
            from pytest_mecheval.sandbox.launcher import restrict

            restrict.drop_capabilities(self.request["machine"])
            restrict.no_new_privileges()
            restrict.landlock(rules["abi"], rules["read"], rules["write"], rules["devices"])
            restrict.seccomp(self.request["filter"])
        program: list[str] = self.request["argv"]
        os.execve(program[0], program, self.request["environment"])  # noqa: S606 - no shell is the point

    def stop(self, reason: str) -> None:
        """Remember the first reason to end the run."""
        self.reason = self.reason or reason

    def watch(self) -> None:
        """Wait for the end or for a limit; reads output all the while."""
        poll = select.poll()
        for descriptor in (LIFELINE, self.wake, *(stream.source for stream in self.streams)):
            poll.register(descriptor, select.POLLIN | select.POLLHUP)
        tick = TICK_SECONDS if self.enforced else EAGER_TICK_SECONDS
        look = self.started
        while self.ended is None and not self.reason:
            now = time.monotonic()
            left = self.started + self.limits["wall_s"] - now
            if left <= 0:
                self.stop("wall")
                break
            for descriptor, _ in poll.poll(1000 * min(tick, left)):
                if descriptor == LIFELINE:
                    self.stop("the run was cancelled")
                elif descriptor == self.wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.wake, CHUNK)
                else:
                    stream = next(one for one in self.streams if one.source == descriptor)
                    stream.read()
                    if not stream.open:
                        poll.unregister(descriptor)
            self._account(processes.reap())
            if time.monotonic() >= look:
                self._look()
                look = time.monotonic() + tick

    def _account(self, ended: list[tuple[int, int, float, int]]) -> None:
        for pid, status, cpu_s, resident in ended:
            self.waited_cpu += cpu_s
            self.peak = max(self.peak, resident)
            if pid == self.child:
                self.ended = status

    def _look(self) -> None:
        """Compare the whole tree with the limits."""
        limits = self.limits
        tree = processes.tree(os.getpid())
        self.live_cpu = max(self.live_cpu, self.waited_cpu + tree.cpu_s)
        self.tasks_seen = max(self.tasks_seen, tree.tasks)
        self.peak = max(self.peak, tree.resident)
        if self.live_cpu > limits["cpu_s"]:
            self.stop(f"cpu: more than {limits['cpu_s']:g} s of CPU time")
        if tree.tasks > limits["processes"]:
            self.stop(f"processes: more than {limits['processes']} processes and threads at once")
        most = limits["memory"]
        if tree.resident > most and processes.proportional_memory(tree.pids) > most:
            self.stop(f"memory: more than {most // MIB} MiB resident")
        now = time.monotonic()
        if now >= self.next_folder:
            self._measure_folder(tree.pids)
            self.next_folder = now + max(FOLDER_SECONDS, FOLDER_SHARE * (time.monotonic() - now))

    def _measure_folder(self, pids: tuple[int, ...]) -> None:
        most = self.limits["scratch"]
        used, _, wrong = processes.folder_use(
            self.request["scratch"], most, self.limits["scratch_files"]
        )
        if wrong:
            self.stop(f"disk: the scratch folder {wrong}")
        elif used + processes.unlinked_bytes(pids) > most:
            self.stop(f"disk: deleted files held open use more than {most // MIB} MiB")

    def finish(self) -> "dict[str, Any]":
        """End every survivor, take the last output, and say what happened."""
        survivors = [] if self.reason else processes.descendants(os.getpid())
        if self.group:
            cgroup.close(self.group)
        ended, left = processes.kill_everything(os.getpid())
        self._account(ended)
        wall_s = time.monotonic() - self.started
        if self.group and not left:
            cgroup.remove(self.group)
        deadline = time.monotonic() + DRAIN_SECONDS
        for stream in self.streams:
            while stream.open and stream.read() and time.monotonic() < deadline:
                pass
        if not self.reason:
            self._measure_folder(())
        if survivors and not self.request["pid_namespace"]:
            self.notes.append(f"ended {len(survivors)} process(es) it had left running")
        for name, stream in zip(("stdout", "stderr"), self.streams, strict=True):
            if stream.dropped:
                self.notes.append(
                    f"{name}: {stream.dropped} bytes beyond the first {stream.most} dropped"
                )
        os.set_blocking(self.failed, False)
        try:
            failure = os.read(self.failed, CHUNK).decode(errors="replace")
        except BlockingIOError:
            failure = ""
        return {
            "status": self.ended,
            "reason": self.reason,
            "failure": failure,
            "wall_s": wall_s,
            "cpu_s": max(self.waited_cpu, self.live_cpu),
            "peak": self.peak,
            "tasks": self.tasks_seen,
            "left": left,
            "notes": self.notes,
        }


def _set_limits(limits: "dict[str, Any]", tasks: int) -> None:
    cpu = int(limits["cpu_s"]) + CPU_HEADROOM_SECONDS
    wanted = {
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_FSIZE: limits["file"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: MIB,
        # Counted by the kernel for the user, not for this run, so on top of what the user already runs.
        resource.RLIMIT_NPROC: tasks + limits["processes"],
    }
    if limits["address_space"]:
        wanted[resource.RLIMIT_AS] = limits["memory"] + ADDRESS_HEADROOM
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def _tasks_of_user() -> int:
    """Processes and threads the user has now."""
    user, total = os.getuid(), 0
    for pid in processes.numbers("/proc"):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == user:  # noqa: PTH116 - pathlib would cost every start
                total += len(processes.names(f"/proc/{pid}/task"))
    return total


def _read_exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(LIFELINE, size - len(data))
        if not more:
            sys.exit(START_FAILED)
        data += more
    return data


def main() -> None:
    """Read the request, run it, write the report."""
    (size,) = struct.unpack("<Q", _read_exactly(8))
    request = marshal.loads(_read_exactly(size))  # noqa: S302 - written by our own parent, never by a bundle
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    supervisor = Supervisor(request)
    supervisor.start()
    # Nobody but root may look into this process.
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        supervisor.watch()
    finally:
        report = supervisor.finish()
    os.write(REPORT, repr(report).encode())
