"""Memory of a whole run: summed proportional set size of pytest and everything it starts, by `-n`.

    python benchmarks/memory.py [BUNDLE] [-n 4] [-- more pytest arguments]

Without a bundle it writes one about a randomly initialised 12-layer, 768-wide model.

Promise: the peak with `-n 4` is at most 1.3 times the peak with `-n 0` plus the bare workers, because
workers import no torch and one harness child serves all of them. Linux only (`/proc/PID/smaps_rollup`).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from large_bundle import write_large_bundle

SAMPLE_S = 0.1
PROMISED_RATIO = 1.3
KIB_PER_MIB = 1024
SLEEPING_TEST = "import time\n\n\ndef test_sleep_{index}():\n    time.sleep(3)\n"


@dataclass(frozen=True)
class Peak:
    """The largest sum seen during one run."""

    total_mib: float
    without_root_mib: float
    """The same moment without the pytest process itself: workers and children."""
    processes: int
    seconds: float
    exit_code: int


def pss_mib(pid: int) -> float:
    """Proportional set size of a process; 0 once it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / KIB_PER_MIB
    except (OSError, ProcessLookupError):
        pass
    return 0.0


def family(root: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def peak_of(command: Sequence[str], folder: Path) -> Peak:
    """Run a command and watch its family's memory."""
    begin = time.perf_counter()
    best, rest, count = 0.0, 0.0, 0
    with (folder / "output.txt").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - pytest, as the caller asked
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            sizes = {pid: pss_mib(pid) for pid in family(process.pid)}
            total = sum(sizes.values())
            if total > best:
                best, rest = total, total - sizes[process.pid]
                count = sum(size > 0 for size in sizes.values())
            time.sleep(SAMPLE_S)
    return Peak(best, rest, count, time.perf_counter() - begin, process.returncode)


def measured(bundle: Path, workers: int, more: Sequence[str]) -> Peak:
    """A run that measures everything anew: own evidence, own output."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pytest", f"--mecheval={bundle}", "-n", str(workers)]
        command += [
            f"--mecheval-evidence={folder / 'evidence'}",
            f"--mecheval-out={folder / 'out'}",
        ]
        peak = peak_of([*command, "-q", *more], folder)
        if peak.exit_code not in (0, 1):
            tail = (folder / "output.txt").read_text(errors="replace")[-2000:]
            raise SystemExit(f"pytest -n {workers} ended with {peak.exit_code}:\n{tail}")
    return peak


def bare_workers(workers: int) -> Peak:
    """Workers with the plugin installed and nothing to measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index in range(workers):
            text = SLEEPING_TEST.format(index=index)
            (folder / f"test_sleep_{index}.py").write_text(text)
        return peak_of([sys.executable, "-m", "pytest", "-q", "-n", str(workers)], folder)


def main() -> None:
    """Print the three peaks and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("-n", type=int, default=4, dest="workers")
    parser.add_argument("more", nargs="*", help="passed to pytest")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bundle = chosen.bundle.resolve() if chosen.bundle else write_large_bundle(Path(name))
        compare(bundle, chosen.workers, chosen.more)


def compare(bundle: Path, workers: int, more: Sequence[str]) -> None:
    """Run with no worker and with several, and hold the difference against the bare workers."""
    alone = measured(bundle, 0, more)
    many = measured(bundle, workers, more)
    bare = bare_workers(workers)
    allowed = PROMISED_RATIO * alone.total_mib + bare.without_root_mib
    label = f"-n {workers}"
    print(f"peak of summed PSS, {bundle.name}")
    print(
        f"  -n 0          {alone.total_mib:8.0f} MiB  ({alone.processes} processes, {alone.seconds:.0f} s)"
    )
    print(
        f"  {label:<13} {many.total_mib:8.0f} MiB  ({many.processes} processes, {many.seconds:.0f} s)"
    )
    print(f"  bare workers  {bare.without_root_mib:8.0f} MiB")
    ratio = (many.total_mib - bare.without_root_mib) / alone.total_mib
    verdict = "kept" if many.total_mib <= allowed else "BROKEN"
    print(
        f"  {label} without bare workers is {ratio:.2f}x of -n 0 (promise: {PROMISED_RATIO}x, {verdict})"
    )


if __name__ == "__main__":
    main()
