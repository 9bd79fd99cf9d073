"""What the installed plugin costs a pytest run that does not use it: paired runs, median of differences.

Run: python benchmarks/idle_tax.py [PAIRS]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 15
GOAL_MS = 5.0


def seconds(folder: Path, *arguments: str) -> float:
    """Wall time of an empty pytest run in a process of its own."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return time.perf_counter() - start


def main(pairs: int) -> None:
    """Alternate runs with and without the plugin, so that a busy machine slows both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        plugin = ("-p", "pytest_mecheval.plugin")
        for arguments in ((), plugin):
            seconds(folder, *arguments)
        differences, ratios, cpu = [], [], []
        for index in range(pairs):
            order = ((), plugin) if index % 2 else (plugin, ())
            taken = {arguments: seconds(folder, *arguments) for arguments in order}
            differences.append(taken[plugin] - taken[()])
            ratios.append(taken[plugin] / taken[()])
            cpu.append(taken[()])
    print(f"pairs                {pairs}")
    print(f"plain run, median    {1000 * statistics.median(cpu):.1f} ms")
    print(
        f"idle tax, median     {1000 * statistics.median(differences):.1f} ms (goal: under {GOAL_MS:g} ms)"
    )
    print(f"paired ratio, median {statistics.median(ratios):.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
