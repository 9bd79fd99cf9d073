"""A batch of jobs as a file, and what a child process leaves for each: a record, or a failure beside it.

Both child processes work from it: the harness, and the driver of bundles' own modules. Records are written
as soon as they are known, so a killed run loses only what was under way.
"""

import json
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mecheval.wire import Job, Record, dump, load_job, record_path, write_atomically


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


class Output:
    """Where a batch's records, failures and progress go."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._started = time.perf_counter()
        self._done = 0

    def unmeasured(self) -> Iterator[Job]:
        """Every job once, in the order of the batch, less those that have a record already."""
        seen: set[str] = set()
        for job in self._batch.jobs:
            if job.address in seen or self._recorded(job):
                self._done += 1
                continue
            seen.add(job.address)
            yield job

    def _recorded(self, job: Job) -> bool:
        return record_path(self._batch.store, job.address).exists()

    def write(self, records: Iterable[Record]) -> None:
        """Store each record as soon as it is known."""
        for record in records:
            write_atomically(record_path(self._batch.store, record.address), dump(record))
            self._done += 1

    def unavailable(self, jobs: Iterable[Job], why: str) -> None:
        """Record for every job that it cannot be measured, with the reason for its reader."""
        self.write(Record(job.address, (), unavailable=why) for job in jobs)

    def fail(self, jobs: Iterable[Job], error: Exception) -> None:
        """Note an error of ours for every job that has no record."""
        for job in jobs:
            if self._recorded(job):
                continue
            body: Mapping[str, str] = {
                "address": job.address,
                "error": f"{type(error).__name__}: {error}",
                "traceback": "".join(traceback.format_exception(error)),
            }
            write_atomically(self._batch.failures / f"{job.address}.json", json.dumps(body))
            self._done += 1

    def report(self, what: str) -> None:
        """Rewrite the progress line, when the batch asks for one."""
        if self._batch.progress is None:
            return
        line = {
            "done": self._done,
            "total": len(self._batch.jobs),
            "what": what,
            "seconds": round(time.perf_counter() - self._started, 3),
        }
        write_atomically(self._batch.progress, json.dumps(line) + "\n")
