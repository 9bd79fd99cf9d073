"""What the supervisor can see and end: every process below it, their memory and time, the files they keep.

Standard library only. Reads /proc of this machine; the confined program has no part in it.
"""

import contextlib
import os
import signal
import stat
import time

PAGE = os.sysconf("SC_PAGESIZE")
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
STAT_FIELDS_AFTER_NAME = 22
UTIME, STIME, CUTIME, CSTIME, THREADS, RSS = 11, 12, 13, 14, 17, 21
"""Places in /proc/PID/stat, counted from the state field on."""
KILL_SECONDS = 5.0
"""How long the last survivors are hunted."""
KILL_PAUSE = 0.005
MAX_DEPTH = 200
"""Folders nested deeper than this are a trap for whoever has to delete them."""


class Tree:
    """The processes below the supervisor at one moment (no dataclass: importing those costs every start)."""

    __slots__ = ("cpu_s", "pids", "resident", "tasks")

    def __init__(self, pids: tuple[int, ...], tasks: int, resident: int, cpu_s: float) -> None:
        self.pids = pids
        self.tasks = tasks
        """Processes and threads."""
        self.resident = resident
        """Bytes, pages shared between processes counted once for each."""
        self.cpu_s = cpu_s
        """Of those alive, and of those they waited for."""


def names(folder: str) -> list[str]:
    """What a folder contains; nothing when it is gone. No pathlib here: importing it costs every start."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - as said above
    except OSError:
        return []


def text(path: str) -> str:
    """What a file says; nothing when it is gone or closed to us."""
    try:
        with open(path) as stream:  # noqa: PTH123 - no pathlib, see `names`
            return stream.read()
    except OSError:
        return ""


def numbers(folder: str) -> list[int]:
    """The names in a folder that are numbers."""
    return [int(name) for name in names(folder) if name.isdigit()]


def _children(pid: int) -> list[int]:
    return [
        int(word)
        for task in numbers(f"/proc/{pid}/task")
        for word in text(f"/proc/{pid}/task/{task}/children").split()
    ]


def _children_by_scan(root: int) -> list[int]:
    """All descendants from the parent field of every process, where the kernel lists no children."""
    parents: dict[int, list[int]] = {}
    for pid in numbers("/proc"):
        fields = _stat(pid)
        if fields:
            parents.setdefault(int(fields[1]), []).append(pid)
    found, queue = [], [root]
    while queue:
        for child in parents.get(queue.pop(), ()):
            found.append(child)
            queue.append(child)
    return found


CHILDREN_LISTED = "children" in names(f"/proc/self/task/{os.getpid()}")


def descendants(root: int) -> list[int]:
    """Every process below `root`, parents first."""
    if not CHILDREN_LISTED:
        return _children_by_scan(root)
    found: list[int] = []
    seen, queue = {root}, [root]
    while queue:
        for child in _children(queue.pop(0)):
            if child not in seen:
                seen.add(child)
                found.append(child)
                queue.append(child)
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may itself contain spaces and brackets."""
    fields = text(f"/proc/{pid}/stat").rpartition(") ")[2].split()
    return fields if len(fields) >= STAT_FIELDS_AFTER_NAME else []


def tree(root: int) -> Tree:
    """Count what runs below `root`."""
    pids = tuple(descendants(root))
    tasks = pages = ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            tasks += int(fields[THREADS])
            pages += int(fields[RSS])
            ticks += sum(int(fields[place]) for place in (UTIME, STIME, CUTIME, CSTIME))
    return Tree(pids, tasks, pages * PAGE, ticks / TICKS)


def proportional_memory(pids: tuple[int, ...]) -> int:
    """Bytes with shared pages counted once; slower, so only asked when the quick sum is too high."""
    total = 0
    for pid in pids:
        lines = text(f"/proc/{pid}/smaps_rollup").splitlines()
        shares = [int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")]
        fields = [] if shares else _stat(pid)
        total += sum(shares) + (int(fields[RSS]) * PAGE if fields else 0)
    return total


def unlinked_bytes(pids: tuple[int, ...]) -> int:
    """Bytes of deleted files that are still held open: invisible in the folder, real on the disk."""
    seen: dict[tuple[int, int], int] = {}
    for pid in pids:
        for descriptor in numbers(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                facts = os.stat(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH116 - no pathlib, see `names`
                if facts.st_nlink == 0 and stat.S_ISREG(facts.st_mode):
                    seen[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
    return sum(seen.values())


def folder_use(folder: str, most_bytes: int, most_files: int) -> tuple[int, int, str]:
    """Bytes on disk and number of entries below a folder, and what is wrong with it, if anything.

    Stops as soon as a bound is passed; links are not followed.
    """
    total, files = 0, 0
    queue = [(folder, 0)]
    while queue:
        place, depth = queue.pop()
        if depth > MAX_DEPTH:
            return total, files, f"nests folders deeper than {MAX_DEPTH}"
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    files += 1
                    with contextlib.suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            queue.append((entry.path, depth + 1))
                    if total > most_bytes:
                        return total, files, f"holds more than {most_bytes // MIB} MiB"
                    if files > most_files:
                        return total, files, f"holds more than {most_files} files"
        except OSError:
            continue
    return total, files, ""


Ended = tuple[int, int, float, int]
"""Process id, wait status, CPU seconds, largest resident bytes."""


def reap() -> list[Ended]:
    """Children that have ended since the last call."""
    ended: list[Ended] = []
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024))


def kill_everything(root: int) -> tuple[list[Ended], int]:
    """Stop, then kill, every process below `root` until none is left.

    Returns:
        What `reap` said of them, and how many could not be ended.
    """
    ended: list[Ended] = []
    deadline = time.monotonic() + KILL_SECONDS
    while True:
        ended += reap()
        alive = descendants(root)
        if not alive or time.monotonic() > deadline:
            return ended, len(alive)
        # Stopped first: what is stopped cannot fork while its relatives are being killed.
        for kind in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with contextlib.suppress(OSError):
                    os.kill(pid, kind)
        time.sleep(KILL_PAUSE)
