"""The filter's bytes, run by a small interpreter of classic BPF: which system call gets which answer."""

import errno
import struct

import pytest

from pytest_mecheval.errors import UsageError
from pytest_mecheval.sandbox import syscalls
from pytest_mecheval.sandbox.seccomp import Profile, filter_program
from pytest_mecheval.sandbox.syscalls import AUDIT_ARCHITECTURE, number

LANDLOCK = Profile(unix_sockets=False, metadata=False, signals=True)
OLD_LANDLOCK = Profile(unix_sockets=False, metadata=False, signals=False)
BUBBLEWRAP = Profile(unix_sockets=True, metadata=True, signals=True)
MACHINES = ("x86_64", "aarch64")


def answer(profile, name, *arguments, machine="x86_64", architecture=None):
    """`allow`, `kill` or the error the kernel would give, as the BPF machine computes it."""
    nr = name if isinstance(name, int) else number(name, machine)
    data = struct.pack("<IIQ", nr, architecture or AUDIT_ARCHITECTURE[machine], 0)
    data += struct.pack("<6Q", *(*arguments, *(0,) * (6 - len(arguments))))
    program = [
        struct.unpack("<HBBI", chunk) for chunk in chunks(filter_program(profile, machine), 8)
    ]
    accumulator = place = 0
    while True:
        code, if_true, if_false, value = program[place]
        place += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                place += if_true if accumulator == value else if_false
            case 0x25:
                place += if_true if accumulator > value else if_false
            case 0x45:
                place += if_true if accumulator & value else if_false
            case 0x06:
                if value == 0x7FFF0000:
                    return "allow"
                return (
                    "kill"
                    if value == 0x80000000
                    else errno.errorcode.get(value & 0xFFFF, "success")
                )
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def chunks(data, size):
    assert len(data) % size == 0
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", [LANDLOCK, BUBBLEWRAP])
@pytest.mark.parametrize("name", ["ptrace", "mount", "bpf", "keyctl", "unshare", "setns", "shmget"])
def test_refused_everywhere(profile, name, machine):
    assert answer(profile, name, machine=machine) == "EPERM"


@pytest.mark.parametrize("machine", MACHINES)
def test_ordinary_calls_pass(machine):
    for name in ("ioctl", "fcntl", "prctl", "openat", "clone"):
        assert answer(LANDLOCK, name, machine=machine) == "allow"


@pytest.mark.parametrize("profile", [LANDLOCK, BUBBLEWRAP])
@pytest.mark.parametrize("family", [2, 10, 16, 17, 40])
def test_socket_families_are_an_allow_list(profile, family):
    assert answer(profile, "socket", family, 1) == "EAFNOSUPPORT"
    assert answer(profile, "socketpair", family, 1) == "EAFNOSUPPORT"


def test_unix_sockets_only_in_a_private_network():
    assert answer(BUBBLEWRAP, "socket", 1, 1) == "allow"
    assert answer(LANDLOCK, "socket", 1, 1) == "EAFNOSUPPORT"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(1, "allow"), (5, "allow"), (1 | 0o2000000, "allow"), (2, "EAFNOSUPPORT")],
)
def test_a_datagram_pair_is_refused_because_it_could_send_anywhere(kind, expected):
    assert answer(LANDLOCK, "socketpair", 1, kind) == expected


@pytest.mark.parametrize("flag", [0x10000000, 0x20000, 0x20000000, 0x40000000, 0x02000000])
def test_new_namespaces_are_refused_and_threads_are_not(flag):
    assert answer(BUBBLEWRAP, "clone", flag | 17) == "EPERM"
    assert answer(BUBBLEWRAP, "clone", 0x3D0F00) == "allow"
    assert answer(BUBBLEWRAP, "clone3") == "ENOSYS"


def test_set_id_bits_are_refused_only_where_they_mean_a_mode():
    assert answer(BUBBLEWRAP, "chmod", 0, 0o4755) == "EPERM"
    assert answer(BUBBLEWRAP, "chmod", 0, 0o755) == "allow"
    assert answer(BUBBLEWRAP, "openat", 0, 0, 0o100, 0o6755) == "EPERM"
    assert answer(BUBBLEWRAP, "openat", 0, 0, 0o20200000, 0o4755) == "EPERM"
    # Without O_CREAT the fourth argument is whatever was in the register.
    assert answer(BUBBLEWRAP, "openat", 0, 0, 0, 0o6755) == "allow"


def test_metadata_is_silent_or_real():
    for name in ("chmod", "fchmodat", "utimensat"):
        assert answer(LANDLOCK, name) == "success"
        assert answer(BUBBLEWRAP, name) == "allow"
    assert answer(LANDLOCK, "fchownat") == "EPERM"
    assert answer(LANDLOCK, "setxattr") in ("ENOTSUP", "EOPNOTSUPP")


def test_signals_only_where_the_kernel_confines_them():
    assert answer(LANDLOCK, "kill", 1, 9) == "allow"
    for name in ("kill", "tkill", "tgkill", "pidfd_send_signal", "rt_sigqueueinfo"):
        assert answer(OLD_LANDLOCK, name, 1, 9) == "EPERM"


def test_other_processes_limits_are_out_of_reach():
    assert answer(LANDLOCK, "prlimit64", 0) == "allow"
    assert answer(LANDLOCK, "prlimit64", 1234) == "EPERM"
    assert answer(LANDLOCK, "setpriority", 0, 1234, 5) == "EPERM"
    assert answer(LANDLOCK, "setpriority", 0, 0, 5) == "allow"


def test_hiding_from_the_supervisor_is_refused():
    assert answer(LANDLOCK, "prctl", 4, 0) == "EPERM"
    assert answer(LANDLOCK, "prctl", 4, 1) == "allow"
    assert answer(LANDLOCK, "prctl", 15, 0) == "allow"


@pytest.mark.parametrize("command", [8, 10, 15])
def test_signals_by_file_owner_are_refused(command):
    assert answer(LANDLOCK, "fcntl", 3, command, 1) == "EPERM"


def test_foreign_architectures_end_the_program():
    assert answer(LANDLOCK, "ioctl", architecture=0x40000003) == "kill"
    assert answer(LANDLOCK, 0x40000000 | 16) == "ENOSYS"


@pytest.mark.parametrize("nr", [467, 500, 2**32 - 1])
def test_calls_newer_than_the_table_do_not_exist(nr):
    assert answer(BUBBLEWRAP, nr) == "ENOSYS"


def test_memory_files_only_for_gpu_drivers():
    assert answer(LANDLOCK, "memfd_create") == "ENOSYS"
    assert answer(Profile(False, False, True, memory_files=True), "memfd_create") == "allow"


def test_every_rule_ends_within_reach():
    for profile in (LANDLOCK, OLD_LANDLOCK, BUBBLEWRAP):
        for machine in MACHINES:
            assert len(filter_program(profile, machine)) // 8 < 4096


def test_an_unknown_processor_is_refused(monkeypatch):
    monkeypatch.setattr(syscalls.platform, "machine", lambda: "riscv64")
    with pytest.raises(UsageError, match="riscv64"):
        syscalls.architecture()


def test_numbers_agree_with_this_system():
    """Against the C library's own table, where the headers are installed."""
    from pathlib import Path

    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no kernel headers here")
    lines = [
        line.split() for line in header.read_text().splitlines() if line.startswith("#define __NR_")
    ]
    table = {words[1].removeprefix("__NR_"): int(words[2]) for words in lines if words[2].isdigit()}
    known = {name: nr for name, (nr, _) in syscalls._NUMBERS.items() if nr is not None}
    assert {name: nr for name, nr in known.items() if name in table and table[name] != nr} == {}
    assert len(set(known) & set(table)) > 100
