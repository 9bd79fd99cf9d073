"""Times what isolation adds to starting one process: each backend against bare execution, in turn.

Printed are medians of paired differences in milliseconds, for an interpreter that does nothing and for one
that imports numpy; the other columns say how much of it is the supervisor alone (backend `none`).

    python benchmarks/sandbox_startup.py            # 15 pairs
    python benchmarks/sandbox_startup.py --pairs 40
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.backends import available, choose
from pytest_mecheval.sandbox.confinement import Confinement
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.sandbox.view import interpreter_paths

PROGRAMS = {"nothing": "pass", "numpy": "import numpy"}
PAIRS = 15
MILLISECONDS = 1000


def bare(program: str, folder: Path) -> float:
    """Milliseconds from start to end without any of our code around it."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, env=scrubbed(folder), cwd=folder)  # noqa: S603
    return MILLISECONDS * (time.perf_counter() - started)


def confined(backend: Backend, program: str, folder: Path) -> float:
    """Milliseconds from asking for a run to having its outcome, in a fresh scratch folder."""
    scratch, logs = folder / "scratch", folder / "logs"
    started = time.perf_counter()
    confinement = Confinement(
        argv=(sys.executable, "-c", program),
        scratch=scratch,
        read_only=interpreter_paths(),
        environment=scrubbed(scratch),
    )
    outcome = backend.run(confinement, logs)
    elapsed = MILLISECONDS * (time.perf_counter() - started)
    if not outcome.succeeded:
        raise SystemExit(f"{backend.name}: {outcome.stderr.read_text()}{outcome.notes}")
    remove_tree(scratch)
    return elapsed


def main() -> None:
    """Print one line per program and backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=PAIRS)
    pairs = parser.parse_args().pairs
    backends = (choose("none"), *available())
    print(f"{'program':10} {'backend':12} {'bare ms':>8} {'confined ms':>12} {'added ms':>9}")
    with tempfile.TemporaryDirectory(prefix="startup-") as place:
        folder = Path(place)
        for name, program in PROGRAMS.items():
            for backend in backends:
                rows = [
                    (bare(program, folder), confined(backend, program, folder))
                    for _ in range(pairs + 1)
                ][1:]
                before = statistics.median(row[0] for row in rows)
                after = statistics.median(row[1] for row in rows)
                added = statistics.median(row[1] - row[0] for row in rows)
                print(f"{name:10} {backend.name:12} {before:8.1f} {after:12.1f} {added:9.1f}")


if __name__ == "__main__":
    main()
