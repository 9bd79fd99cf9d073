"""A batch of jobs: grouping, order, records written as soon as they are known, failures beside them.

Jobs with the same model, data, slice and salt form a group: one clean run, one counterfactual cache,
one set of controls. A group is written wave by wave, so a killed run loses one wave at most.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.harness.group import Group, Loaded, Prompts
from pytest_mecheval.wire import (
    Job,
    Record,
    digest,
    dump,
    load_job,
    record_path,
    write_atomically,
)

WAVE = 64
"""Jobs computed between two writes."""


class BatchError(Exception):
    """The batch file itself cannot be used."""


@dataclass(frozen=True)
class Batch:
    """A parsed batch file."""

    jobs: tuple[Job, ...]
    store: Path
    failures: Path
    threads: int = 1
    progress: Path | None = None
    device: str = "cpu"


def parse(body: Any) -> Batch:
    """The batch a parsed JSON document describes.

    Raises:
        BatchError: names what is missing or malformed.
    """
    try:
        return Batch(
            jobs=tuple(load_job(job) for job in body["jobs"]),
            store=Path(body["store"]),
            failures=Path(body["failures"]),
            threads=int(body.get("threads", 1)),
            progress=Path(body["progress"]) if body.get("progress") else None,
            device=str(body.get("device", "cpu")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BatchError(f"not a batch of this version: {type(error).__name__}: {error}") from None


Load = Callable[[Job, str], Loaded]
Draw = Callable[[Job], Prompts]


class Runner:
    """Works through a batch."""

    def __init__(self, batch: Batch, load: Load, draw: Draw) -> None:
        """Prepare, without computing anything.

        Args:
            batch: what to do.
            load: loads and tests a job's model on a device; SubjectError when it cannot be used.
            draw: draws a job's evaluation and calibration prompts.
        """
        self.batch = batch
        self._load = load
        self._draw = draw
        self._started = time.perf_counter()
        self._loaded: tuple[str, Loaded | SubjectError | HarnessError] | None = None
        self._done = 0

    def run(self) -> None:
        """Measure every job that has no record yet; never raises for a job's sake."""
        for jobs in self._groups():
            try:
                self._run_group(jobs)
            except Exception as error:  # noqa: BLE001 - one group must not take the others with it
                self._fail(jobs, error)

    def _groups(self) -> Iterator[list[Job]]:
        """Unmeasured jobs by model, then by prompts, both in the order they first appear."""
        models: dict[str, dict[str, list[Job]]] = {}
        seen: set[str] = set()
        for job in self.batch.jobs:
            address = job.address
            if address in seen or record_path(self.batch.store, address).exists():
                self._done += 1
                continue
            seen.add(address)
            prompts = [asdict(job.data), asdict(job.step.slice), job.salt]
            groups = models.setdefault(digest(asdict(job.model)), {})
            groups.setdefault(digest(prompts), []).append(job)
        for groups in models.values():
            yield from groups.values()

    def _run_group(self, jobs: Sequence[Job]) -> None:
        try:
            group = Group(self._model(jobs[0]), self._draw(jobs[0]), jobs)
        except SubjectError as error:
            self._write(Record(job.address, (), unavailable=str(error)) for job in jobs)
            return
        for at in range(0, len(jobs), WAVE):
            wave = jobs[at : at + WAVE]
            self._report(f"{len(wave)} measurements on {jobs[0].step.slice.task or 'the task'}")
            self._write(group.records(wave))

    def _model(self, job: Job) -> Loaded:
        """The job's model; the last one is kept, and a failure is not tried again.

        Raises:
            SubjectError: the model cannot be used.
            HarnessError: the self-test failed.
        """
        key = digest(asdict(job.model))
        if self._loaded is None or self._loaded[0] != key:
            self._report(f"loading {job.model.name or 'the model'}")
            self._loaded = None
            try:
                self._loaded = (key, self._load(job, self.batch.device))
            except (SubjectError, HarnessError) as error:
                self._loaded = (key, error)
        found = self._loaded[1]
        if isinstance(found, Exception):
            raise found
        return found

    def _write(self, records: Iterator[Record] | Sequence[Record]) -> None:
        for record in records:
            write_atomically(record_path(self.batch.store, record.address), dump(record))
            self._done += 1

    def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        """Note an error of ours for every job of the group that has no record."""
        text = f"{type(error).__name__}: {error}"
        details = "".join(traceback.format_exception(error))
        for job in jobs:
            if record_path(self.batch.store, job.address).exists():
                continue
            body: Mapping[str, str] = {
                "address": job.address,
                "error": text,
                "traceback": details,
            }
            write_atomically(self.batch.failures / f"{job.address}.json", json.dumps(body))
            self._done += 1

    def _report(self, what: str) -> None:
        if self.batch.progress is None:
            return
        line = {
            "done": self._done,
            "total": len(self.batch.jobs),
            "what": what,
            "seconds": round(time.perf_counter() - self._started, 3),
        }
        write_atomically(self.batch.progress, json.dumps(line) + "\n")

    def finish(self) -> None:
        """Write the last progress line."""
        self._report("finished")
