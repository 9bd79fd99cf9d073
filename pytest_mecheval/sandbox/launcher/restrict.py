"""Restricts the calling process for good: Landlock rules, no capabilities, a system call filter.

Standard library only; called between fork and exec by the supervisor.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
RULE_PATH_BENEATH = 1
CREATE_RULESET_VERSION = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER = 1 << 10, 1 << 11, 1 << 12, 1 << 13
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15

READ = EXECUTE | READ_FILE | READ_DIR
TREE_CHANGES = REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_FIFO | MAKE_SYM | REFER
WRITE = READ | WRITE_FILE | TRUNCATE | TREE_CHANGES
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""Rights a rule on a file, rather than a folder, may name."""
IOCTL_ABI, NETWORK_ABI, SCOPE_ABI = 5, 4, 6
ALL_NETWORK = 0b11
"""Binding and connecting TCP."""
ALL_SCOPES = 0b11
"""Abstract unix sockets, and signals, to processes outside."""

PR_CAPBSET_DROP, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 24, 22, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION_3 = 0x20080522
CAPSET_NUMBERS = {"x86_64": 126, "aarch64": 91}
HIGHEST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    version = int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION))
    return max(version, 0)


def no_new_privileges() -> None:
    """Programs run from now on gain nothing from set-id bits."""
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def drop_capabilities(machine: str) -> None:
    """Give up every capability, also those an exec as root would bring back."""
    for capability in range(HIGHEST_CAPABILITY + 1):
        if _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            code = ctypes.get_errno()
            if code == errno.EINVAL:
                break
            # An ordinary user may not shrink the bounding set; no_new_privs and no set-id do it there.
            if code != errno.EPERM:
                raise OSError(code, "dropping capabilities")
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("<Ii", CAPABILITY_VERSION_3, 0)
    nothing = struct.pack("<6I", 0, 0, 0, 0, 0, 0)
    _check(_libc.syscall(CAPSET_NUMBERS[machine], header, nothing), "capset")


def landlock(
    abi: int, readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]
) -> None:
    """Allow files below these paths and nothing else; also TCP, abstract sockets and signals to others.

    Args:
        abi: the version to use, at least 3, at most the kernel's.
        readable: files and folders to read and execute.
        writable: folders to change.
        devices: device files to read, write and control.

    Raises:
        OSError: a path is missing, or the kernel refuses.
    """
    device = READ_FILE | WRITE_FILE | (IOCTL_DEV if abi >= IOCTL_ABI else 0)
    handled = WRITE | device | MAKE_CHAR | MAKE_BLOCK | MAKE_SOCK
    attributes = struct.pack("<Q", handled)
    if abi >= NETWORK_ABI:
        attributes += struct.pack("<Q", ALL_NETWORK)
    if abi >= SCOPE_ABI:
        attributes += struct.pack("<Q", ALL_SCOPES)
    ruleset = _check(
        _libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0),
        "landlock_create_ruleset",
    )
    for paths, rights in ((readable, READ), (writable, WRITE), (devices, device)):
        for path in paths:
            _allow(ruleset, path, rights)
    _check(_libc.syscall(RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= FILE_RIGHTS
        rule = struct.pack("<Qi", rights, beneath)
        _check(_libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0), f"landlock {path}")
    finally:
        os.close(beneath)


def seccomp(program: bytes) -> None:
    """Install a filter (an array of `struct sock_filter`) for this process and all it starts."""
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    described = Program(len(program) // 8, ctypes.addressof(buffer))
    _check(
        _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(described), 0, 0), "seccomp"
    )
