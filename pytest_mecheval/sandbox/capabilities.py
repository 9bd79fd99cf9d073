"""What a sandbox can guarantee, one name each: the contract tests them, backends list those they lack."""

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pytest_mecheval.sandbox.launcher import cgroup

READ_OUTSIDE = "read outside"
WRITE_OUTSIDE = "write outside"
METADATA_OUTSIDE = "metadata outside"
LINKS = "links"
EXISTENCE = "existence of files"
DESCRIPTORS = "inherited descriptors"
SET_ID = "set-id files"
INTERNET = "internet sockets"
UNIX_SOCKETS = "unix sockets"
OTHER_FAMILIES = "other socket families"
ENVIRONMENT = "environment"
PROCESS_LIST = "other processes"
TRACING = "tracing"
SIGNALS_OUTSIDE = "signals outside"
LIMITS_OF_OTHERS = "limits of others"
NOTHING_LEFT = "nothing left running"
WALL_LIMIT = "wall limit"
CPU_LIMIT = "cpu limit"
MEMORY_LIMIT = "memory limit"
PROCESS_LIMIT = "process limit"
EXACT_PROCESS_LIMIT = "exact process limit"
FILE_LIMIT = "file limit"
DISK_LIMIT = "disk limit"
OPEN_FILE_LIMIT = "open file limit"
OUTPUT_LIMIT = "output limit"
MEMORY_FILES = "files in memory"
KERNEL_SURFACE = "kernel surface"
PRIVILEGES = "privileges"
SHARED_IPC = "shared ipc"
EXIT_STATUS = "exit status"
OWN_SIGNALS = "own signals"
OWN_PROC = "own /proc"
OWN_TEMPORARY = "own /tmp"
SHARED_MEMORY = "shared memory"
PSEUDO_TERMINALS = "pseudo terminals"
OWN_MODES = "own file modes"
SUBPROCESSES = "subprocesses"

CAPABILITIES: Mapping[str, str] = MappingProxyType(
    {
        READ_OUTSIDE: "files outside its view cannot be read or listed",
        WRITE_OUTSIDE: "nothing outside its scratch folder can be created, changed, renamed or deleted",
        METADATA_OUTSIDE: "modes, times, owners and attributes outside its scratch folder stay as they are",
        LINKS: "neither links nor /proc/self reach a file outside its view",
        EXISTENCE: "whether a file outside its view exists cannot be found out",
        DESCRIPTORS: "no open file of the caller is inherited, input is empty",
        SET_ID: "no file with set-user or set-group bits can be made",
        INTERNET: "no TCP or UDP, not even to this machine",
        UNIX_SOCKETS: "no socket of a service on this machine can be reached, by path or abstract name",
        OTHER_FAMILIES: "netlink, vsock, packet and other socket families are refused",
        ENVIRONMENT: "variables of the caller, keys and tokens are not visible, also not in other processes",
        PROCESS_LIST: "other processes of this machine cannot be listed",
        TRACING: "other processes cannot be traced, and their memory not read",
        SIGNALS_OUTSIDE: "processes outside cannot be signalled",
        LIMITS_OF_OTHERS: "limits and priorities of processes outside cannot be changed",
        NOTHING_LEFT: "every process it started is gone when the run is over, detached ones too",
        WALL_LIMIT: "a run that hangs is over soon after its wall limit",
        CPU_LIMIT: "CPU time of all its processes together is bounded",
        MEMORY_LIMIT: "memory of one process, and of all together, is bounded",
        PROCESS_LIMIT: "a fork bomb is bounded",
        EXACT_PROCESS_LIMIT: "the kernel itself refuses one process too many",
        FILE_LIMIT: "the size of one file is bounded",
        DISK_LIMIT: "all files together are bounded, in size and in number, deleted ones too",
        OPEN_FILE_LIMIT: "the number of open files is bounded",
        OUTPUT_LIMIT: "what is kept of its output is bounded, and a flood does not stop the run from ending",
        MEMORY_FILES: "no unaccounted memory through memfd, /dev/shm, /tmp or /run",
        KERNEL_SURFACE: "namespaces, mounts, keyrings, io_uring, bpf, perf and the like are refused",
        PRIVILEGES: "no capability is held, and set-id programs give none",
        SHARED_IPC: "System V memory and semaphores, and message queues, are refused",
        EXIT_STATUS: "exit codes, signals and arguments come through unchanged",
        OWN_SIGNALS: "its processes can signal each other",
        OWN_PROC: "/proc of its own processes can be read",
        OWN_TEMPORARY: "a /tmp that can be written and is private",
        SHARED_MEMORY: "shared memory works (data loaders with worker processes)",
        PSEUDO_TERMINALS: "a pseudo terminal can be opened (shell cells of notebooks)",
        OWN_MODES: "modes and times of its own files can be changed",
        SUBPROCESSES: "it can start programs and threads",
    }
)

NEEDS_ISOLATION = (
    *(READ_OUTSIDE, WRITE_OUTSIDE, METADATA_OUTSIDE, LINKS, EXISTENCE, SET_ID, INTERNET),
    *(UNIX_SOCKETS, OTHER_FAMILIES, PROCESS_LIST, TRACING, SIGNALS_OUTSIDE, LIMITS_OF_OTHERS),
    *(MEMORY_FILES, KERNEL_SURFACE, PRIVILEGES, SHARED_IPC, OWN_TEMPORARY, ENVIRONMENT),
)
"""What limits and supervision alone cannot give."""

LANDLOCK_GAPS = (
    (
        EXISTENCE,
        "Landlock leaves stat() alone: size and time of any file on this machine can be seen",
    ),
    (OWN_PROC, "/proc is not shown, because it cannot be limited to its own processes"),
    (OWN_TEMPORARY, "there is no private /tmp; TMPDIR points into the scratch folder"),
    (SHARED_MEMORY, "it cannot be made private, so /dev/shm is not shown"),
    (PSEUDO_TERMINALS, "pseudo terminals cannot be made private, so there are none"),
    (OWN_MODES, "changing modes and times would reach every file of the user, so it has no effect"),
)
BUBBLEWRAP_GAPS: tuple[tuple[str, str], ...] = ()

BEYOND = (
    "flaws of the kernel, which is shared with the confined program",
    "side channels: timing, caches, load of the machine",
    "the driver of a GPU, when one is handed in",
    "a program that behaves well only while it is being watched",
    "false numbers: a sandbox keeps code in, it does not make what it says true",
)
"""What no backend protects against; for README and report."""

SUPERUSER = (
    "run as superuser, whose processes the kernel does not count, and no control group can be made here; "
    "the supervisor looks every 20 ms"
)


def superuser_gaps() -> list[tuple[str, str]]:
    """What is lacking because we run as root; an ordinary user has no such gap."""
    return [(EXACT_PROCESS_LIMIT, SUPERUSER)] if os.geteuid() == 0 and not cgroup.usable() else []


def all_but(gaps: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The capabilities that hold.

    Raises:
        KeyError: a gap names no capability.

    >>> "links" in all_but([("links", "for a reason")])
    False
    """
    missing = {name for name, _ in gaps}
    if unknown := missing - set(CAPABILITIES):
        raise KeyError(f"no such capability: {', '.join(sorted(unknown))}")
    return tuple(name for name in CAPABILITIES if name not in missing)
