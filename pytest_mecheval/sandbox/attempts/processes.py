"""Processes: what can be learnt of others, done to others, and left behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from pytest_mecheval.sandbox import capabilities as can
from pytest_mecheval.sandbox.arena import Arena, Case

PLANTED = "PLANTED_API_KEY"
ARRIVAL_SECONDS = 0.1
"""Time for a signal to be handled."""


def environment(stage: Arena) -> None:
    os.environ[PLANTED] = stage.token
    pid = stage.victim()
    try:
        attempt = stage.run(
            """
for name in sorted(os.environ):
    print("variable", name, os.environ[name])
pid, = sys.argv[1:]
attempt("victim", lambda: open(f"/proc/{pid}/environ", "rb").read())
for other in range(1, 3):
    try:
        print(open(f"/proc/{other}/environ", "rb").read())
    except OSError as error:
        print(error.errno)
""",
            pid,
        )
    finally:
        del os.environ[PLANTED]
    attempt.require_refusals("victim")
    attempt.require(stage.token not in attempt.said, "a key came out")
    names = [line.split()[1] for line in attempt.said.splitlines() if line.startswith("variable")]
    loose = [name for name in names if name.startswith(("PYTEST", "GITHUB")) or "TOKEN_" in name]
    attempt.require(not loose, f"variables that should not be there: {loose}")


def own_environment(stage: Arena) -> None:
    os.environ[PLANTED] = stage.token
    try:
        attempt = stage.run("print(dict(os.environ))")
    finally:
        del os.environ[PLANTED]
    attempt.require(attempt.succeeded, "it did not run")
    attempt.require(stage.token not in attempt.said, "a variable of the caller was inherited")


def listing(stage: Arena) -> None:
    pid = stage.victim()
    attempt = stage.run(
        """
pid, = sys.argv[1:]
def others():
    mine = {os.getpid(), 1, os.getppid()}
    found = [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in mine]
    return found if found else (_ for _ in ()).throw(OSError("alone"))
attempt("list", others)
attempt("command line", lambda: open(f"/proc/{pid}/cmdline").read())
attempt("exe", lambda: os.readlink(f"/proc/{pid}/exe"))
attempt("stat", lambda: open(f"/proc/{pid}/stat").read())
""",
        pid,
    )
    attempt.require_refusals("list", "command line", "exe")


def tracing(stage: Arena) -> None:
    pid = stage.victim()
    attempt = stage.run(
        """
import struct
# Process 1 of a private process namespace is part of the sandbox, confined like the program itself.
for pid in (int(sys.argv[1]), int(sys.argv[2]), *([os.getppid()] if os.getppid() > 1 else [])):
    attempt(f"attach {pid}", lambda: (_ for _ in ()).throw(OSError(ctypes.get_errno(), "")) if libc.ptrace(16, pid, 0, 0) < 0 else 0)
    attempt(f"memory {pid}", lambda: open(f"/proc/{pid}/mem", "r+b").read(1))
    attempt(f"maps {pid}", lambda: open(f"/proc/{pid}/maps").read())
    attempt(f"descriptor {pid}", lambda: os.listdir(f"/proc/{pid}/fd"))
    buffer = ctypes.create_string_buffer(8)
    vector = struct.pack("QQ", ctypes.addressof(buffer), 8)
    local = ctypes.create_string_buffer(vector)
    remote = ctypes.create_string_buffer(struct.pack("QQ", id(buffer), 8))
    number = 310 if os.uname().machine == "x86_64" else 270
    attempt(f"read {pid}", lambda: call(number, pid, local, 1, remote, 1, 0))
    attempt(f"take {pid}", lambda: call(438, call(434, pid, 0), 0, 0))
""",
        pid,
        os.getpid(),
    )
    attempt.require_refusals(f"attach {pid}", f"memory {pid}", f"read {pid}", f"take {os.getpid()}")


def first_process(stage: Arena) -> None:
    """The parent a confined program sees is either out of its reach or confined as well."""
    attempt = stage.run(
        """
try:
    facts = open("/proc/1/status").read()
except OSError:
    facts = ""
for line in facts.splitlines():
    if line.startswith(("Seccomp:", "CapEff:", "NoNewPrivs:")):
        print(*line.split())
"""
    )
    attempt.require(attempt.succeeded, "it stopped early")
    if "Seccomp:" in attempt.said:
        attempt.require("Seccomp: 2" in attempt.said, "process 1 is not filtered")
        attempt.require("CapEff: 0000000000000000" in attempt.said, "process 1 has capabilities")


def signals(stage: Arena) -> None:
    pid = stage.victim()
    attempt = stage.run(
        """
import signal
victim, caller = map(int, sys.argv[1:])
for name, pid in (("victim", victim), ("caller", caller)):
    attempt(f"{name} probe", lambda: os.kill(pid, 0))
    attempt(f"{name} thread", lambda: call(234 if os.uname().machine == "x86_64" else 131, pid, pid, 0))
    attempt(f"{name} handle", lambda: call(424, call(434, pid, 0), 0, 0, 0))
    attempt(f"{name} group", lambda: os.killpg(pid, 0))
attempt("stop", lambda: os.kill(victim, signal.SIGSTOP))
attempt("kill", lambda: os.kill(victim, signal.SIGKILL))
""",
        pid,
        os.getpid(),
    )
    attempt.require_refusals("victim probe", "caller probe", "victim thread", "kill")
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    attempt.require(state not in "TZX", f"the victim is in state {state}")


_LISTENER = """
import signal, sys, time
signal.signal(signal.SIGWINCH, lambda *_: open(sys.argv[1], "w").close())
print("ready", flush=True)
time.sleep(60)
"""


def signalling_everything(stage: Arena) -> None:
    """`-1` means every process one may signal; done with a signal that nobody minds who does not ask for it."""
    heard = stage.outside / "heard"
    listener = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
        [sys.executable, "-I", "-S", "-c", _LISTENER, str(heard)], stdout=subprocess.PIPE
    )
    with listener:
        try:
            if listener.stdout:
                listener.stdout.readline()
            attempt = stage.run(
                """
import signal
for target in (-1, os.getppid(), int(sys.argv[1])):
    try:
        os.kill(target, signal.SIGWINCH)
    except OSError as error:
        print(target, error.errno)
""",
                listener.pid,
            )
            time.sleep(ARRIVAL_SECONDS)
        finally:
            listener.kill()
    attempt.require(attempt.succeeded, "it stopped early")
    attempt.require(not heard.exists(), "a process outside was signalled")


def limits_of_others(stage: Arena) -> None:
    pid = stage.victim()
    attempt = stage.run(
        """
import resource
victim, caller = map(int, sys.argv[1:])
for name, pid in (("victim", victim), ("caller", caller), ("parent", os.getppid())):
    # Values that change nothing of importance, should they get through.
    attempt(f"{name} rlimit", lambda: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0)))
    attempt(f"{name} priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0)))
    attempt(f"{name} affinity", lambda: os.sched_setaffinity(pid, range(os.cpu_count())))
    attempt(f"{name} scheduler", lambda: os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0)))
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
os.setpriority(os.PRIO_PROCESS, 0, 5)
""",
        pid,
        os.getpid(),
    )
    attempt.require_refusals(
        "victim rlimit", "parent rlimit", "victim priority", "victim scheduler"
    )


_LEAVING = """
import signal
mode, marker = sys.argv[1:]
def detach():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(kind, signal.SIG_IGN)
            while True:
                time.sleep(0.05)
        os._exit(0)
for _ in range(3):
    detach()
time.sleep(0.3)
if mode == "hang":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)
"""


def _running(marker: str) -> list[int]:
    """Processes of this machine whose command line contains the marker."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                if marker.encode() in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
    return found


def leaving_daemons(stage: Arena) -> None:
    started = time.monotonic()
    attempt = stage.run(_LEAVING, "leave", stage.token)
    attempt.require(attempt.succeeded, "it did not end by itself")
    attempt.require(not _running(stage.token), "a detached process is still there")
    attempt.require(time.monotonic() - started < 8, "a detached process delayed the end")


def hanging(stage: Arena) -> None:
    started = time.monotonic()
    attempt = stage.run(_LEAVING, "hang", stage.token, wall_s=2)
    attempt.require(attempt.outcome.status == "timed_out", "it was not ended for its time")
    attempt.require(time.monotonic() - started < 8, "ending it took too long")
    attempt.require(not _running(stage.token), "a process survived the wall limit")


def forking_on(stage: Arena) -> None:
    """A chain of processes that each fork and exit at once is caught as well."""
    attempt = stage.run(
        """
print("started")
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
""",
        stage.token,
        wall_s=2,
    )
    deadline = time.monotonic() + 1
    while _running(stage.token) and time.monotonic() < deadline:
        time.sleep(0.05)
    attempt.require(not _running(stage.token), "the chain of processes goes on")


def exit_status(stage: Arena) -> None:
    attempt = stage.run("sys.exit(7)")
    attempt.require(
        (attempt.outcome.status, attempt.outcome.exit_code) == ("finished", 7),
        "exit code 7 was lost",
    )
    attempt = stage.run("print(sys.argv[1:]); ctypes.string_at(0)", "a b", "ü*$(x)", "")
    attempt.require(attempt.outcome.status == "killed", "a crash was not reported as one")
    attempt.require(attempt.outcome.signal == signal.SIGSEGV, "the signal was lost")
    attempt.require("['a b', 'ü*$(x)', '']" in attempt.said, "arguments were changed")


def own_signals(stage: Arena) -> None:
    attempt = stage.run(
        """
import signal
pid = os.fork()
if pid == 0:
    time.sleep(30)
    os._exit(1)
os.kill(pid, signal.SIGTERM)
print("ended by", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    )
    attempt.require("ended by -15" in attempt.said, "it could not end its own child")


def subprocesses(stage: Arena) -> None:
    attempt = stage.run(
        """
import subprocess, threading
print(subprocess.run(["/bin/sh", "-c", "echo from a shell"], capture_output=True, text=True).stdout)
said = []
thread = threading.Thread(target=lambda: said.append("from a thread"))
thread.start(); thread.join()
print(said, subprocess.check_output([sys.executable, "-I", "-S", "-c", "print('from python')"]))
"""
    )
    for words in ("from a shell", "from a thread", "from python"):
        attempt.require(words in attempt.said, f"nothing came {words}")


def own_proc(stage: Arena) -> None:
    attempt = stage.run("print('me', open('/proc/self/stat').read().split()[1])")
    attempt.require("me (python" in attempt.said, "it cannot read about itself")


CASES = (
    Case(can.ENVIRONMENT, "environment of others", environment, control=True),
    Case(can.ENVIRONMENT, "environment of the caller", own_environment),
    Case(can.PROCESS_LIST, "listing", listing, control=True),
    Case(can.TRACING, "tracing", tracing),
    Case(can.TRACING, "first process", first_process),
    Case(can.SIGNALS_OUTSIDE, "signals", signals, control=True),
    Case(can.SIGNALS_OUTSIDE, "signalling everything", signalling_everything),
    Case(can.LIMITS_OF_OTHERS, "limits of others", limits_of_others),
    Case(can.NOTHING_LEFT, "daemons", leaving_daemons),
    Case(can.NOTHING_LEFT, "hanging daemons", hanging),
    Case(can.NOTHING_LEFT, "forking on", forking_on),
    Case(can.EXIT_STATUS, "exit status", exit_status),
    Case(can.OWN_SIGNALS, "own signals", own_signals),
    Case(can.SUBPROCESSES, "subprocesses", subprocesses),
    Case(can.OWN_PROC, "own /proc", own_proc),
)
