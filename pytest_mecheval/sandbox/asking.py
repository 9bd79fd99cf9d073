"""Asks a bundle's own code one question in the sandbox: a fresh process, a read-only copy, tensors back."""

import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.reading import stated_file
from pytest_mecheval.errors import SubjectError
from pytest_mecheval.sandbox.backend import Backend, remove_tree
from pytest_mecheval.sandbox.channel import Array, Expected, memory, pack, read_reply
from pytest_mecheval.sandbox.confinement import Confinement, Isolation, Limits, Outcome
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.sandbox.view import interpreter_paths

ANSWER_BYTES = 2**26
"""How much an answer may hold unless the question says otherwise."""
LAST_BYTES = 2000
NO_ISOLATION = (
    "the bundle's own code can only be measured in isolation, and isolation is switched off "
    "(--mecheval-sandbox=none): what it returns would be testimony"
)


class Refused(SubjectError):
    """The bundle's code failed and said how: another question may fare better."""


@dataclass(frozen=True)
class Question:
    """What is asked of which code."""

    root: Path
    """The bundle's folder."""
    files: tuple[str, ...]
    """Relative paths it may see; it gets copies it cannot change."""
    task: Mapping[str, Any]
    """Plain JSON for `guest.answering`: `do` (`call`, `drive`), `entry`, and what that needs."""
    expected: Mapping[str, Expected]
    """The tensors waited for, see `channel.read_reply`."""
    tensors: Mapping[str, Array] = field(default_factory=dict)
    """Inputs we chose; never answers."""
    limits: Limits = field(default_factory=Limits)
    answer_bytes: int = ANSWER_BYTES


@dataclass(frozen=True)
class Answer:
    """Tensors the bundle's code returned, checked against what was expected; arrays are writable copies."""

    tensors: Mapping[str, Array]
    isolation: Isolation
    seconds: float


def ask(question: Question, backend: Backend, python: Path = Path(sys.executable)) -> Answer:
    """Run the bundle's code once and take its answer; nothing it started is left when this returns.

    Args:
        question: what to ask.
        backend: how to isolate it.
        python: the interpreter with the bundle's packages.

    Raises:
        SubjectError: no isolation, the code failed (`Refused`), ended without an answer, or its
            answer is malformed (`MalformedMeasurement`).
        HarnessError: the sandbox itself failed.
    """
    if not backend.isolation.confined:
        raise SubjectError(NO_ISOLATION)
    workshop = Path(os.path.realpath(tempfile.mkdtemp(prefix="asked-")))
    try:
        bundle = workshop / "bundle"
        copy_files(question.root, question.files, bundle)
        # Neither number means anything to the code inside: they only tell this answer from another.
        nonce, case = secrets.token_hex(16), secrets.token_hex(4)
        header = {"nonce": nonce, "case": case, "task": {**question.task, "root": str(bundle)}}
        with (
            memory(pack(header, question.tensors)) as request,
            memory(size=question.answer_bytes) as answer,
        ):
            outcome = backend.run(
                Confinement(
                    argv=(str(python), "-I", str(guest()), str(request), str(answer)),
                    scratch=workshop / "scratch",
                    read_only=(*interpreter_paths(python), guest(), bundle),
                    environment=scrubbed(workshop / "scratch", python=python),
                    limits=question.limits,
                    cwd=bundle,
                    channels=(request, answer),
                ),
                workshop / "logs",
            )
            reply = read_reply(answer, nonce=nonce, case=case, expected=question.expected)
        entry = str(question.task["entry"])
        if reply is None:
            raise SubjectError(f"{entry} gave no answer: {_ending(outcome)}")
        if reply.error:
            raise Refused(f"{entry}: {reply.error}")
        return Answer(reply.tensors, outcome.isolation, outcome.wall_s)
    finally:
        remove_tree(workshop)


def copy_files(root: Path, files: Iterable[str], target: Path) -> None:
    """Copies of a bundle's files, links never followed.

    Raises:
        BundleError: a file is gone or cannot be read safely.
    """
    target.mkdir(parents=True)
    for relative in files:
        place = target / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stated_file(root, relative), place)


def guest() -> Path:
    """The folder that runs inside, found without importing it."""
    spec = importlib.util.find_spec("pytest_mecheval.sandbox")
    if spec is None or not spec.submodule_search_locations:
        raise SubjectError("the part that runs in the sandbox is not installed")
    return Path(spec.submodule_search_locations[0]) / "guest"


def _ending(outcome: Outcome) -> str:
    """Why there is no answer, in words; what the process itself said comes last and escaped."""
    if outcome.notes:
        what = outcome.notes[0]
    elif outcome.exit_code is not None:
        what = f"it ended with exit code {outcome.exit_code}"
    else:
        what = f"it was {outcome.status}"
    said = outcome.stderr.read_bytes()[-LAST_BYTES:].decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line.strip()]
    return f"{what} ({escaped(lines[-1].strip())})" if lines else what
