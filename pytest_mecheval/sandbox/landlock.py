"""Landlock, a system call filter and no capabilities: works for any user and inside default containers."""

import contextlib
from pathlib import Path

from pytest_mecheval.errors import UsageError
from pytest_mecheval.sandbox import capabilities
from pytest_mecheval.sandbox.backend import Backend, Launch
from pytest_mecheval.sandbox.confinement import Confinement, Isolation
from pytest_mecheval.sandbox.launcher import restrict
from pytest_mecheval.sandbox.seccomp import Profile, filter_program
from pytest_mecheval.sandbox.syscalls import architecture
from pytest_mecheval.sandbox.view import gpu_nodes, gpu_read_paths, system_paths

NAME = "landlock"
MINIMUM_ABI = 3
"""Linux 6.2; before it, files outside could be truncated."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
KERNEL_FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")
"""All that is shown of /proc and /sys: nothing there concerns a process."""
WITHOUT_SCOPES = (
    "this kernel (Landlock ABI {abi}, below 6) cannot confine signals, so sending any is refused"
)


def backend(abi: int | None = None) -> Backend:
    """The backend, when this kernel has what it needs.

    Args:
        abi: use an older Landlock version than the kernel's, for tests.

    Raises:
        UsageError: no Landlock here, or too old, or an unknown processor.
    """
    kernel = restrict.landlock_abi()
    if kernel < MINIMUM_ABI:
        have = f"version {kernel}" if kernel else "none"
        raise UsageError(
            f"sandbox landlock: this kernel has {have}, version {MINIMUM_ABI} is needed (Linux 6.2 or later "
            "with the landlock security module on)"
        )
    used = min(abi or kernel, kernel)
    machine = architecture()
    scoped = used >= restrict.SCOPE_ABI

    def prepare(confinement: Confinement, _stack: contextlib.ExitStack, _fds: list[int]) -> Launch:
        profile = Profile(
            unix_sockets=False, metadata=False, signals=scoped, memory_files=confinement.gpu
        )
        read = [*system_paths(), *confinement.read_only]
        devices: list[str] = list(DEVICES)
        if confinement.gpu:
            devices += [str(path) for path in gpu_nodes()]
            read += gpu_read_paths()
        facts = [path for path in KERNEL_FACTS if Path(path).exists()]
        rules = {
            "abi": used,
            "read": [*(str(path) for path in read), *facts],
            "write": [str(confinement.scratch)],
            "devices": [path for path in devices if Path(path).exists()],
        }
        return Launch(
            confinement.argv,
            landlock=rules,
            system_call_filter=filter_program(profile, machine),
            machine=machine,
        )

    gaps = list(capabilities.LANDLOCK_GAPS)
    if not scoped:
        gaps.append((capabilities.OWN_SIGNALS, WITHOUT_SCOPES.format(abi=used)))
    gaps += capabilities.superuser_gaps()
    isolation = Isolation(
        NAME,
        capabilities.all_but(gaps),
        tuple(gaps),
        (f"Landlock ABI {used}", f"system call filter for {machine}"),
    )
    return Backend(isolation, prepare)
