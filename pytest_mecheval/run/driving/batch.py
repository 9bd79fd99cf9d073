"""A batch of jobs about bundles' own modules: one sandboxed process for all of them where they fit together."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pytest_mecheval.batches import Batch, Output
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.errors import HarnessError, SubjectError, UsageError
from pytest_mecheval.run.driving.group import Drawn, Group, drawn, prompt_tensors
from pytest_mecheval.sandbox.asking import Answer, Question, Refused, ask
from pytest_mecheval.sandbox.backend import Backend
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.channel import Array, Expected, MalformedMeasurement
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.vocabulary import ModelShape
from pytest_mecheval.wire import Job, ModelRef, digest

ANSWER_BYTES = 2**28
"""Largest answer of one process; more logits than this take another process."""
LIMITS = Limits(cpu_s=1800, wall_s=1200)
MAX_PLACES = 4000
_PLACES = re.compile(r"[A-Za-z0-9_.,{}:;=]*")


@dataclass(frozen=True)
class Subject:
    """A bundle's own module: which, of what files, isolated how."""

    model: ModelRef
    files: tuple[str, ...]
    backend: Backend


class Driver:
    """Works through a batch."""

    def __init__(self, batch: Batch, limits: Limits = LIMITS) -> None:
        self.batch = batch
        self._limits = limits
        self._output = Output(batch)

    def run(self) -> None:
        """Measure every job that has no record yet; never raises for a job's sake."""
        models: dict[str, list[Job]] = {}
        for job in self._output.unmeasured():
            models.setdefault(digest(asdict(job.model)), []).append(job)
        for jobs in models.values():
            try:
                self._run_model(jobs)
            except Exception as error:  # noqa: BLE001 - one model must not take the others with it
                self._output.fail(jobs, error)
        self._output.report("finished")

    def _run_model(self, jobs: Sequence[Job]) -> None:
        model = jobs[0].model
        shape = ModelShape(**model.code["shape"])
        try:
            backend = choose(model.code["sandbox"])
        except UsageError as error:
            self._output.unavailable(jobs, str(error))
            return
        bundle = discover(Path(model.code["root"]))
        if bundle.digest != model.code["digest"]:
            raise HarnessError(f"{bundle.root}: its files changed after the run began; start again")
        files = tuple(file.path for file in bundle.files)
        groups = list(self._groups(jobs, shape))
        for wave in _waves(groups, shape):
            count = sum(len(group.jobs) for group in wave)
            self._output.report(f"{count} measurements on the bundle's own module")
            self._run_wave(Subject(model, files, backend), wave)

    def _groups(self, jobs: Sequence[Job], shape: ModelShape) -> Iterator[Group]:
        """Jobs by their prompts; prompts that cannot be drawn are said at once."""
        together: dict[str, list[Job]] = {}
        for job in jobs:
            same = [asdict(job.data), asdict(job.step.slice), job.salt]
            together.setdefault(digest(same), []).append(job)
        for members in together.values():
            try:
                prompts = drawn(members[0])
            except SubjectError as error:
                self._output.unavailable(members, str(error))
                continue
            yield from _cut(members, prompts, shape)

    def _run_wave(self, subject: Subject, wave: Sequence[Group]) -> None:
        jobs = [job for group in wave for job in group.jobs]
        try:
            answer = ask(question(subject, wave, self.batch.threads, self._limits), subject.backend)
            note = provenance(subject.model, answer, self.batch.threads)
        except Refused as error:
            if len(wave) == 1:
                self._output.unavailable(jobs, str(error))
                return
            # One task the module cannot read must not take the claims about others with it.
            for group in wave:
                self._run_wave(subject, [group])
            return
        except SubjectError as error:
            self._output.unavailable(jobs, str(error))
            return
        for number, group in enumerate(wave):
            try:
                self._output.write(group.records(f"g{number}", answer.tensors, note))
            except SubjectError as error:
                self._output.unavailable(group.jobs, str(error))
            except HarnessError as error:
                self._output.fail(group.jobs, error)


def _outputs(prompts: Drawn, shape: ModelShape) -> int:
    """How many logits per position to reckon with."""
    seen = (prompts.examples.tokens, prompts.examples.answers, prompts.examples.foils)
    return max(shape.d_vocab, *(int(array.max()) + 1 for array in seen))


def _cut(jobs: Sequence[Job], prompts: Drawn, shape: ModelShape) -> Iterator[Group]:
    """The jobs as few groups whose logits fit one answer each."""
    group = Group(jobs, prompts, shape)
    if len(jobs) == 1 or group.answer_bytes(_outputs(prompts, shape)) <= ANSWER_BYTES // 2:
        yield group
        return
    half = len(jobs) // 2
    yield from _cut(jobs[:half], prompts, shape)
    yield from _cut(jobs[half:], prompts, shape)


def _waves(groups: Sequence[Group], shape: ModelShape) -> Iterator[list[Group]]:
    """Groups that fit one answer together."""
    wave: list[Group] = []
    size = 0
    for group in groups:
        own = group.answer_bytes(_outputs(group.prompts, shape))
        if wave and size + own > ANSWER_BYTES // 2:
            yield wave
            wave, size = [], 0
        wave.append(group)
        size += own
    if wave:
        yield wave


def question(
    subject: Subject, groups: Sequence[Group], threads: int, limits: Limits = LIMITS
) -> Question:
    """Everything about these groups in one question to the bundle's module."""
    code = subject.model.code
    tensors: dict[str, Array] = {}
    expected: dict[str, Expected] = {
        "places": Expected(("U8",), (None,)),
        "forwards": Expected(("I64",), (1,)),
    }
    told = []
    shared: dict[str, str] = {}
    for number, group in enumerate(groups):
        name = f"g{number}"
        key = group.prompts.calibration_key
        if key not in shared:
            shared[key] = f"c{len(shared)}"
            tensors |= prompt_tensors(shared[key], group.prompts.calibration)
        told.append(group.task(name, shared[key]))
        tensors |= group.tensors(name)
        expected |= group.expected(name)
    task = {
        "do": "drive",
        "entry": code["entry"],
        "arguments": code["arguments"],
        "weights": code["weights"],
        "sites": code["sites"],
        "threads": threads,
        "groups": told,
    }
    return Question(
        Path(code["root"]), subject.files, task, expected, tensors, limits, ANSWER_BYTES
    )


def provenance(model: ModelRef, answer: Answer, threads: int) -> Mapping[str, Any]:
    """How a record was obtained, for its reader.

    Raises:
        MalformedMeasurement: the description of the module holds anything but module paths.
    """
    text = answer.tensors["places"][:MAX_PLACES].astype(np.uint8).tobytes().decode("latin-1")
    if not _PLACES.fullmatch(text):
        raise MalformedMeasurement("malformed measurement: places holds more than module paths")
    found = dict(part.partition("=")[::2] for part in text.split(";"))
    stated = model.code["sites"]
    kinds = ("head", "mlp", "resid", "attention")
    sites = [
        f"{kind} {found[kind]}{'' if stated.get(kind) else ' (recognised by us)'}"
        for kind in kinds
        if kind in found
    ]
    backend = answer.isolation.backend
    return {
        "driven": (
            f"measured on the bundle's own module {found.get('class', '')} ({model.code['entry']}), "
            f"driven by us under isolation {backend}: {', '.join(sites) or 'no sites known'}"
        ),
        "isolation": answer.isolation.described(),
        "model_class": found.get("class", ""),
        "sites": sites,
        "modules": found.get("modules", ""),
        "threads": threads,
        "path": "sandboxed module",
        "forwards": int(answer.tensors["forwards"][0]),
        "seconds": round(answer.seconds, 3),
    }
