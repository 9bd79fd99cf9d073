"""Bubblewrap: private namespaces for files, processes, network and users, with the system call filter."""

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pytest_mecheval.errors import UsageError
from pytest_mecheval.sandbox import capabilities
from pytest_mecheval.sandbox.backend import MIB, Backend, Launch
from pytest_mecheval.sandbox.confinement import Confinement, Isolation
from pytest_mecheval.sandbox.seccomp import Profile, filter_program
from pytest_mecheval.sandbox.syscalls import architecture
from pytest_mecheval.sandbox.view import SYSTEM_FOLDERS, gpu_nodes, gpu_read_paths, system_paths

NAME = "bubblewrap"
SHARED_MEMORY_MIB = 512
"""Size of /dev/shm, where data loaders hand tensors over."""
TEMPORARY_MIB = 256
"""Size of /tmp, for programs that insist on it; the rest goes to the scratch folder."""
PROBE_SECONDS = 20.0
INSTALL = "install bubblewrap (apt install bubblewrap, dnf install bubblewrap)"
PASSWD = b"user:x:{uid}:{gid}:user:/nonexistent:/bin/sh\n"
SIZE_OPTION = "--size"
"""Since 0.5; without it a file system in memory would be unlimited."""
NO_NESTING_OPTION = "--disable-userns"
"""Since 0.8; the system call filter refuses nested namespaces as well."""


def executable() -> Path | None:
    """Where bwrap is; a copy in the current folder does not count."""
    here = os.path.realpath(".")
    places = [
        place
        for place in ("/usr/bin", "/bin", "/usr/local/bin", *os.get_exec_path())
        if place.startswith("/") and os.path.realpath(place) != here
    ]
    found = shutil.which("bwrap", path=os.pathsep.join(places))
    return Path(found) if found else None


@functools.cache
def _help(program: Path) -> str:
    done = subprocess.run(  # noqa: S603 - the program found above, no shell
        [program, "--help"], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
    )
    return done.stdout + done.stderr


def arguments(
    confinement: Confinement, *, filter_fd: int, passwd_fd: int, own_proc: bool, no_nesting: bool
) -> list[str]:
    """All options of bwrap for one confinement, in the order in which bwrap carries them out."""
    options = [
        *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
        *("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--hostname", "localhost"),
        *([NO_NESTING_OPTION] if no_nesting else []),
        *_system(),
        *("--ro-bind-data", str(passwd_fd), "/etc/passwd"),
        *(["--proc", "/proc"] if own_proc else []),
        *("--dev", "/dev"),
        *(SIZE_OPTION, str(SHARED_MEMORY_MIB * MIB), "--tmpfs", "/dev/shm"),  # noqa: S108 - a mount point inside
        *(SIZE_OPTION, str(TEMPORARY_MIB * MIB), "--tmpfs", "/tmp"),  # noqa: S108 - a mount point inside
    ]
    if confinement.gpu:
        for node in gpu_nodes():
            options += ["--dev-bind-try", str(node), str(node)]
        for path in gpu_read_paths():
            if not path.is_relative_to("/proc"):
                options += ["--ro-bind-try", str(path), str(path)]
    binds = [("--ro-bind", path) for path in confinement.read_only]
    binds.append(("--bind", confinement.scratch))
    # Outer folders first, so that an inner one is mounted on top of it and not hidden.
    for option, path in sorted(binds, key=lambda bind: len(bind[1].parts)):
        options += [option, str(path), str(path)]
    # Last: what bwrap made itself (/, /dev) is memory without a bound until it is read-only.
    options += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return [*options, "--chdir", str(confinement.working_directory), "--seccomp", str(filter_fd)]


def _system() -> Iterable[str]:
    for path in system_paths():
        if path.is_symlink() and str(path) in SYSTEM_FOLDERS:
            yield from ("--symlink", str(path.readlink()), str(path))
        else:
            yield from ("--ro-bind", str(path), str(path))


def _in_memory(data: bytes, stack: contextlib.ExitStack) -> int:
    """A readable descriptor of these bytes."""
    stream = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    stream.write(data)
    stream.seek(0)
    return stream.fileno()


def backend(*, own_proc: bool = True) -> Backend:
    """The backend, as it would be on this machine; `backends.choose` finds out whether it works.

    Args:
        own_proc: mount a private /proc; refused in containers that mask parts of theirs.

    Raises:
        UsageError: bubblewrap is not installed, too old, or the processor is unknown.
    """
    program = executable()
    if program is None:
        raise UsageError(f"sandbox bubblewrap: bwrap was not found; {INSTALL}")
    offered = _help(program)
    if SIZE_OPTION not in offered:
        raise UsageError(f"sandbox bubblewrap: {program} is older than 0.5; {INSTALL}")
    machine = architecture()
    no_nesting = NO_NESTING_OPTION in offered

    def prepare(confinement: Confinement, stack: contextlib.ExitStack, fds: list[int]) -> Launch:
        profile = Profile(
            unix_sockets=True, metadata=True, signals=True, memory_files=confinement.gpu
        )
        passwd = PASSWD.replace(b"{uid}", b"%d" % os.getuid()).replace(
            b"{gid}", b"%d" % os.getgid()
        )
        filter_fd = _in_memory(filter_program(profile, machine), stack)
        passwd_fd = _in_memory(passwd, stack)
        options = arguments(
            confinement,
            filter_fd=filter_fd,
            passwd_fd=passwd_fd,
            own_proc=own_proc,
            no_nesting=no_nesting,
        )
        # Handed over as a file: the command line of a process is public.
        text = b"\0".join(os.fsencode(word) for word in options) + b"\0"
        arguments_fd = _in_memory(text, stack)
        fds += [filter_fd, passwd_fd, arguments_fd]
        return Launch(
            (str(program), "--args", str(arguments_fd), "--", *confinement.argv),
            pid_namespace=True,
            signals_as_codes=True,
        )

    gaps = list(capabilities.BUBBLEWRAP_GAPS)
    if not own_proc:
        gaps.append(
            (capabilities.OWN_PROC, "this container does not let a private /proc be mounted")
        )
    gaps += capabilities.superuser_gaps()
    version = subprocess.run(  # noqa: S603 - the program found above, no shell
        [program, "--version"], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
    )
    isolation = Isolation(
        NAME,
        capabilities.all_but(gaps),
        tuple(gaps),
        (version.stdout.strip(), f"system call filter for {machine}"),
    )
    return Backend(isolation, prepare)
