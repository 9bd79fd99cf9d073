"""A kernel-side bound on processes for the superuser, whom RLIMIT_NPROC does not count: one control group.

Used where this machine lets us make one (version 1, or version 2 with the pids controller handed down).
Standard library only.
"""

import contextlib
import os
import time

from pytest_mecheval.sandbox.launcher.processes import text

CONTROLLER = "pids"
REMOVE_SECONDS = 1.0
REMOVE_PAUSE = 0.005


def _own_folder() -> str:
    """Where our own control group for processes is mounted; empty when it cannot be told."""
    path, unified = "", ""
    for line in text("/proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        if CONTROLLER in controllers.split(","):
            path = place
        elif not controllers:
            unified = place
    version_1 = bool(path)
    for line in text("/proc/self/mountinfo").splitlines():
        fields, _, described = line.partition(" - ")
        mounted_root, mount_point = fields.split()[3:5]
        kind, _, options = [*described.split(), "", "", ""][:3]
        right = (
            kind == "cgroup" and CONTROLLER in options.split(",")
            if version_1
            else kind == "cgroup2"
        )
        if right:
            inside = path if version_1 else unified
            if mounted_root != "/" and inside.startswith(mounted_root):
                inside = inside[len(mounted_root) :]
            return f"{mount_point}/{inside.strip('/')}".rstrip("/")
    return ""


def create(most: int) -> str:
    """A new group for at most this many processes and threads; its folder, or empty when there can be none."""
    parent = _own_folder()
    if not parent:
        return ""
    folder = f"{parent}/confined-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        os.mkdir(folder, 0o700)  # noqa: PTH102 - no pathlib in the supervisor
    except OSError:
        return ""
    if _write(f"{folder}/pids.max", str(most)):
        return folder
    # Version 2 hands a controller down only when told to, and only where no process sits in between.
    if _write(f"{parent}/cgroup.subtree_control", f"+{CONTROLLER}") and _write(
        f"{folder}/pids.max", str(most)
    ):
        return folder
    remove(folder)
    return ""


def enter(folder: str) -> None:
    """Put the calling process, and all it will start, into the group.

    Raises:
        OSError: the kernel refuses.
    """
    if not _write(f"{folder}/cgroup.procs", str(os.getpid())):
        raise OSError(f"{folder}: cannot be entered")


def close(folder: str) -> None:
    """Let no process of the group start another, so that none slips away while they are ended."""
    _write(f"{folder}/pids.max", "0")


def remove(folder: str) -> bool:
    """Delete the group once its last process is gone; whether that worked."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            os.rmdir(folder)  # noqa: PTH106 - no pathlib in the supervisor
        except FileNotFoundError:
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(REMOVE_PAUSE)
        else:
            return True


def usable() -> bool:
    """Whether a group can be made here; tries it."""
    folder = create(1)
    return bool(folder) and remove(folder)


def _write(path: str, value: str) -> bool:
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            return os.write(handle, value.encode()) > 0
        finally:
            os.close(handle)
    return False
