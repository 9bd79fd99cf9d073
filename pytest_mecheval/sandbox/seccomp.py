"""The system call filter as bytes of classic BPF: the same for every backend, with what each has to add.

Written as a block list with argument checks, above a refusal of every call newer than the table, because
a scientific stack uses a wide and growing set of calls. Address families are an allow-list.
"""

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_mecheval.sandbox.syscalls import AUDIT_ARCHITECTURE, HIGHEST_KNOWN, architecture, number

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
ERRNO = 0x00050000

LOAD_WORD = 0x20
JUMP_EQUAL = 0x15
JUMP_GREATER = 0x25
JUMP_SET = 0x45
AND = 0x54
RETURN = 0x06

NUMBER_AT = 0
ARCHITECTURE_AT = 4
ARGUMENTS_AT = 16
X32_BIT = 0x40000000

AF_UNIX = 1
SOCK_TYPE_MASK = 0xF
SOCK_STREAM, SOCK_SEQPACKET = 1, 5
CLONE_NEW = 0x7E020000
"""CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET."""
SET_ID_BITS = 0o6000
CREATING = 0o100 | 0o20000000
"""O_CREAT and the bit of O_TMPFILE that is its own."""
SIGNAL_OWNER_COMMANDS = (8, 10, 15)
"""fcntl F_SETOWN, F_SETSIG, F_SETOWN_EX: a way to have a signal sent to another process."""
IOCTLS = (0x5412, 0x541C, 0x8901, 0x8902, 0x40086602, 0x40087602, 0x401C5820)
"""TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP, FS_IOC_SETFLAGS, FS_IOC_SETVERSION, FS_IOC_FSSETXATTR."""
PR_SET_DUMPABLE = 4

REFUSED = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease"),
    *("pidfd_getfd", "kcmp", "unshare", "setns"),
    *("mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig"),
    *("fsmount", "fspick", "mount_setattr", "statmount", "listmount", "quotactl", "quotactl_fd"),
    *("swapon", "swapoff", "name_to_handle_at", "open_by_handle_at", "fanotify_init"),
    *("add_key", "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
    *("acct", "syslog", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex"),
    *("sethostname", "setdomainname", "vhangup", "migrate_pages", "move_pages", "lookup_dcookie"),
    *(
        "nfsservctl",
        "lsm_set_self_attr",
        "iopl",
        "ioperm",
        "modify_ldt",
        "uselib",
        "ustat",
        "sysfs",
    ),
    "_sysctl",
    # System V and POSIX message queues, shared memory: outlive the process, seen by the whole machine.
    *("shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop"),
    *("msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"),
    *("sched_setscheduler", "sched_setparam", "sched_setattr", "ioprio_set"),
)
ABSENT = (
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret"),
    # Their arguments lie behind a pointer that a filter cannot follow; libraries fall back.
    *("clone3", "openat2", "setxattrat", "removexattrat"),
)
OWN_PROCESS_ONLY = ("prlimit64", "sched_setaffinity")
"""First argument is a process: 0 means itself."""
SIGNALS = ("kill", "tkill", "tgkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
NETWORK = ("connect", "bind", "listen", "accept", "accept4")
# Landlock decides about content only: owner, mode, times and attributes of every file stay in reach.
MODES = ("chmod", "fchmod", "fchmodat", "fchmodat2")
TIMES = ("utime", "utimes", "futimesat", "utimensat")
OWNERS = ("chown", "fchown", "lchown", "fchownat")
ATTRIBUTES = (
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
)
WATCHES = ("inotify_init", "inotify_init1")


@dataclass(frozen=True, slots=True)
class Profile:
    """What the filter has to do beyond its common part."""

    unix_sockets: bool
    """Allow AF_UNIX sockets: only where the file system and network namespaces are private."""
    metadata: bool
    """Allow changing modes, times and owners: only where nothing outside the scratch folder is writable."""
    signals: bool
    """Allow sending signals: only where no process outside can be reached."""
    memory_files: bool = False
    """Allow memfd_create, whose memory no limit of the tree sees; GPU drivers need it."""


@dataclass(slots=True)
class _Program:
    machine: str
    instructions: list[tuple[int, int, int, int]] = field(default_factory=list)

    def add(self, code: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        self.instructions.append((code, if_true, if_false, value))

    def on(self, name: str, body: list[tuple[int, int, int, int]]) -> None:
        """Run `body` (which always returns) for one system call."""
        nr = number(name, self.machine)
        if nr is not None:
            self.add(JUMP_EQUAL, nr, 0, len(body))
            self.instructions += body

    def answer(self, names: Iterable[str], code: int) -> None:
        for name in names:
            self.on(name, [_give(ERRNO | code)])

    def assembled(self) -> bytes:
        return b"".join(
            struct.pack("<HBBI", code, if_true, if_false, value)
            for code, if_true, if_false, value in self.instructions
        )


def _give(value: int) -> tuple[int, int, int, int]:
    return (RETURN, 0, 0, value)


def _argument(index: int) -> tuple[int, int, int, int]:
    """Load the low half of an argument: every argument looked at is an int to the kernel."""
    return (LOAD_WORD, 0, 0, ARGUMENTS_AT + 8 * index)


def _if_any_equal(
    index: int, values: Iterable[int], then: int, otherwise: int
) -> list[tuple[int, int, int, int]]:
    listed = tuple(values)
    tests = [(JUMP_EQUAL, len(listed) - place, 0, value) for place, value in enumerate(listed)]
    return [_argument(index), *tests, _give(otherwise), _give(then)]


def _if_bits(index: int, bits: int, then: int, otherwise: int) -> list[tuple[int, int, int, int]]:
    return [_argument(index), (JUMP_SET, 0, 1, bits), _give(then), _give(otherwise)]


def filter_program(profile: Profile, machine: str | None = None) -> bytes:
    """The filter as an array of `struct sock_filter`, ready for `prctl` or `bwrap --seccomp`.

    Raises:
        UsageError: the processor's architecture is not in the table.
    """
    machine = machine or architecture()
    program = _Program(machine)
    denied = ERRNO | errno.EPERM
    program.add(LOAD_WORD, ARCHITECTURE_AT)
    program.add(JUMP_EQUAL, AUDIT_ARCHITECTURE[machine], 1, 0)
    program.instructions.append(_give(KILL_PROCESS))
    program.add(LOAD_WORD, NUMBER_AT)
    # Also answers x32 calls, whose numbers carry X32_BIT.
    program.add(JUMP_GREATER, HIGHEST_KNOWN, 0, 1)
    program.instructions.append(_give(ERRNO | errno.ENOSYS))

    _sockets(program, profile)
    program.on("clone", _if_bits(0, CLONE_NEW, denied, ALLOW))
    program.on("ioctl", _if_any_equal(1, IOCTLS, denied, ALLOW))
    program.on("fcntl", _if_any_equal(1, SIGNAL_OWNER_COMMANDS, denied, ALLOW))
    program.on("prctl", _prctl(denied))
    # The three arguments of setpriority: which, who, value; `who` 0 is oneself.
    program.on("setpriority", _if_any_equal(1, (0,), ALLOW, denied))
    for name in OWN_PROCESS_ONLY:
        program.on(name, _if_any_equal(0, (0,), ALLOW, denied))
    _files(program, profile, denied)
    if not profile.signals:
        program.answer(SIGNALS, errno.EPERM)
    if not profile.memory_files:
        program.answer(("memfd_create",), errno.ENOSYS)
    program.answer(REFUSED, errno.EPERM)
    program.answer(ABSENT, errno.ENOSYS)
    program.instructions.append(_give(ALLOW))
    return program.assembled()


def _sockets(program: _Program, profile: Profile) -> None:
    refused = ERRNO | errno.EAFNOSUPPORT
    if profile.unix_sockets:
        for name in ("socket", "socketpair"):
            program.on(name, _if_any_equal(0, (AF_UNIX,), ALLOW, refused))
        return
    program.answer(("socket",), errno.EAFNOSUPPORT)
    program.answer(NETWORK, errno.EPERM)
    # A datagram pair could still send to any socket by its path; connected kinds cannot.
    program.on(
        "socketpair",
        [
            _argument(0),
            (JUMP_EQUAL, 1, 0, AF_UNIX),
            _give(refused),
            _argument(1),
            (AND, 0, 0, SOCK_TYPE_MASK),
            (JUMP_EQUAL, 2, 0, SOCK_STREAM),
            (JUMP_EQUAL, 1, 0, SOCK_SEQPACKET),
            _give(refused),
            _give(ALLOW),
        ],
    )


def _prctl(denied: int) -> list[tuple[int, int, int, int]]:
    """A process may not hide its memory use and open files from the supervisor."""
    return [
        _argument(0),
        (JUMP_EQUAL, 1, 0, PR_SET_DUMPABLE),
        _give(ALLOW),
        _argument(1),
        (JUMP_EQUAL, 1, 0, 1),
        _give(denied),
        _give(ALLOW),
    ]


def _files(program: _Program, profile: Profile, denied: int) -> None:
    """No set-id files; where the kernel does not protect metadata, changes to it quietly do nothing."""
    if profile.metadata:
        for name, place in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2)):
            program.on(name, _if_bits(place, SET_ID_BITS, denied, ALLOW))
    else:
        # Success without effect: `shutil.copy` would fail otherwise.
        program.answer((*MODES, *TIMES), 0)
        program.answer(OWNERS, errno.EPERM)
        program.answer(ATTRIBUTES, errno.ENOTSUP)
        program.answer(WATCHES, errno.ENOSYS)
    for name, place in (("creat", 1), ("mknod", 1), ("mknodat", 2)):
        program.on(name, _if_bits(place, SET_ID_BITS, denied, ALLOW))
    for name, flags, mode in (("open", 1, 2), ("openat", 2, 3)):
        program.on(
            name,
            [
                _argument(flags),
                (JUMP_SET, 1, 0, CREATING),
                _give(ALLOW),
                _argument(mode),
                (JUMP_SET, 0, 1, SET_ID_BITS),
                _give(denied),
                _give(ALLOW),
            ],
        )
