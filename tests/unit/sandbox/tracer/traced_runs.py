"""Runs real scripts under the tracer, in processes of their own."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest_mecheval
from pytest_mecheval.sandbox.ledger import Ledger, read_ledger

TRACER = Path(pytest_mecheval.__file__).parent / "sandbox" / "tracer"
NONCE = "5f1d"
TIMEOUT_S = 240
THREADS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MPLBACKEND": "Agg"}


@dataclass(frozen=True)
class Traced:
    """One finished run."""

    ledger: Ledger
    code: int
    stdout: str
    stderr: str
    path: Path


Trace = Callable[..., Traced]


def run(folder: Path, script: str, *options: str, arguments: tuple[str, ...] = ()) -> Traced:
    """Run `folder/script` under the tracer; the ledger lies beside the folder."""
    path = folder.parent / f"{folder.name}.jsonl"
    base = [sys.executable, "-I", str(TRACER), str(path), "--root", str(folder)]
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [*base, "--nonce", NONCE, *options, "--", script, *arguments],
        cwd=folder,
        env={**os.environ, **THREADS},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Traced(read_ledger(path, NONCE), done.returncode, done.stdout, done.stderr, path)


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write a bundle's files."""
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return folder
