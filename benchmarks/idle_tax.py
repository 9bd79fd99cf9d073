"""What the installed plugin costs a pytest run that does not use it: paired runs, median of differences.

Run: python benchmarks/idle_tax.py [PAIRS]
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 15
GOAL_MS = 5.0
BLOCKED = ("-p", "no:mecheval")
"""Pytest still looks through all installed plugins, and leaves this one out."""


def seconds(folder: Path, *arguments: str) -> tuple[float, float]:
    """Wall and processor time of an empty pytest run in a process of its own."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # compiling anew each time is not what users do
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(pairs: int) -> None:
    """Alternate runs with and without the plugin, so that a busy machine slows both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        for arguments in (BLOCKED, ()):
            seconds(folder, *arguments)
        runs = []
        for index in range(pairs):
            order = ((), BLOCKED) if index % 2 else (BLOCKED, ())
            taken = {arguments: seconds(folder, *arguments) for arguments in order}
            runs.append((taken[BLOCKED], taken[()]))
    print(f"pairs                          {pairs}")
    for column, label in enumerate(("wall", "processor")):
        plain = [run[0][column] for run in runs]
        taxed = [run[1][column] for run in runs]
        tax = statistics.median(b - a for a, b in zip(plain, taxed, strict=True))
        least = min(taxed) - min(plain)
        ratio = statistics.median(b / a for a, b in zip(plain, taxed, strict=True))
        print(f"{label} time of a plain run, median {1000 * statistics.median(plain):.1f} ms")
        print(
            f"{label} idle tax, median            {1000 * tax:.1f} ms (goal: under {GOAL_MS:g} ms)"
        )
        print(f"{label} idle tax, least of each        {1000 * least:.1f} ms")
        print(f"{label} paired ratio, median        {ratio:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
