"""Gets evidence for claims: reads what is stored, measures what is missing, once for all processes.

Any number of workers use one evidence folder. Whoever finds a record missing takes one of the `slots` file
locks and starts a harness child for the missing records of all selected claims; everybody else polls and
goes on as soon as its own records are there. Records are the only result, so a killed run resumes.
"""

import contextlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.evidence.measurement import Evidence, Measurement, measured
from pytest_mecheval.evidence.store import DamagedRecord, EvidenceStore
from pytest_mecheval.run.child import Child, driving_command, engine_command, write_batch
from pytest_mecheval.run.documents import kept
from pytest_mecheval.run.rerun import Script, rerun
from pytest_mecheval.wire import Job, PlanStep, Record, write_atomically

POLL_SECONDS = 0.05
STOP_FILE = "stop"
"""In the session folder: the run is over, nobody should go on measuring."""
CRASH_FILE = "crashed"
"""In the session folder: a shared batch crashed, so from now on claims are measured one by one."""


@dataclass(frozen=True)
class Workplace:
    """Where one pytest run measures, and with how much."""

    store: Path
    """The evidence folder, shared by all runs."""
    session_id: str
    """This run; failures are remembered for it only."""
    slots: int = 1
    """Children at a time, over all workers."""
    threads: int = 1
    """Torch threads per child."""
    command: tuple[str, ...] = field(default_factory=engine_command)
    """The harness; the batch file is appended."""
    driving_command: tuple[str, ...] = field(default_factory=driving_command)
    """What measures bundles' own modules, likewise."""

    @property
    def session(self) -> Path:
        """Batches, logs and failures of this run."""
        return self.store / "sessions" / self.session_id

    @property
    def failures(self) -> Path:
        """One file per job that the harness could not measure."""
        return self.session / "failures"


@dataclass(frozen=True)
class Request:
    """Everything one claim needs measured."""

    name: str
    """Claim id, for messages."""
    jobs: Mapping[PlanStep, Job] = field(default_factory=dict)
    known: Mapping[PlanStep, Measurement] = field(default_factory=dict)
    """Evidence read without a child process (documents)."""
    scripts: Mapping[PlanStep, Script] = field(default_factory=dict)
    """The bundle's own scripts to run, each once for all claims."""
    unavailable: str = ""
    """Why nothing can be measured; then there are no jobs."""


class Runner:
    """One process's view of the measuring work."""

    def __init__(self, workplace: Workplace, on_wait: Callable[[], object] | None = None) -> None:
        """Nothing is touched on disk before the first measurement.

        Args:
            workplace: where and with how much.
            on_wait: called a few times per second while waiting.
        """
        self.workplace = workplace
        self.store = EvidenceStore(workplace.store)
        self.selected: tuple[Request, ...] = ()
        self.notes: dict[str, str] = {}
        """Address to what was repaired there."""
        self._on_wait = on_wait or (lambda: None)
        self._records: dict[str, Record] = {}
        self._measurements: dict[str, Measurement] = {}
        self._child: Child | None = None
        self._batches = 0

    def select(self, requests: Iterable[Request]) -> None:
        """Name everything this run will need, so that one child can measure it together."""
        self.selected = tuple(requests)

    def evidence(self, request: Request) -> Evidence:
        """All measurements of a claim, measured now if need be.

        Raises:
            HarnessError: the engine could not measure a step, or crashed.
        """
        if request.unavailable:
            return Evidence({}, request.unavailable)
        try:
            reruns = {
                step: rerun(script, self.workplace.store, self.workplace.session)
                for step, script in request.scripts.items()
            }
        except SubjectError as error:
            return Evidence({}, str(error))
        waiting = list(request.jobs.values())
        while waiting:
            if self._load(waiting[-1]):
                waiting.pop()
                continue
            self._raise_known_failure(request, waiting[-1])
            if (self.workplace.session / STOP_FILE).exists():
                raise HarnessError(f"{request.name}: the run was stopped before it was measured")
            if self._child is None:
                self._start(waiting)
            self._watch_child()
        return self._assemble(replace(request, known={**request.known, **reruns}))

    def repaired(self, request: Request) -> tuple[str, ...]:
        """What had to be measured again because its stored record was damaged."""
        addresses = [job.address for job in request.jobs.values()]
        return tuple(self.notes[address] for address in addresses if address in self.notes)

    def close(self, *, wait: bool) -> None:
        """Let our child finish for other workers (`wait`), or end it at once."""
        while wait and self._child and not (self.workplace.session / STOP_FILE).exists():
            self._watch_child()
        if self._child:
            self._child.end()
            self._child = None

    def stop(self) -> None:
        """Tell every worker of this run that it is over; called once, by the controller."""
        if self.workplace.session.is_dir():
            write_atomically(self.workplace.session / STOP_FILE, "")

    def clean(self) -> None:
        """Remove the run's scratch folder, unless it holds failures worth reading."""
        folder = self.workplace.session
        if (
            folder.is_dir()
            and not self.workplace.failures.is_dir()
            and not (folder / CRASH_FILE).exists()
        ):
            shutil.rmtree(folder, ignore_errors=True)

    def _load(self, job: Job) -> bool:
        """Whether the job's verified record is at hand now."""
        if job.address in self._records:
            return True
        try:
            record = self.store.read(job)
        except DamagedRecord as damage:
            self.notes[job.address] = f"measured again, its stored record was damaged: {damage}"
            return False
        if record is None:
            return False
        self._records[job.address] = record
        return True

    def _raise_known_failure(self, request: Request, job: Job) -> None:
        path = self.workplace.failures / f"{job.address}.json"
        if path.exists():
            body = json.loads(path.read_text(encoding="utf-8"))
            raise HarnessError(f"{request.name}: {body['error']} (log: {self.workplace.session})")

    def _start(self, waiting: Sequence[Job]) -> None:
        """Start a child when a slot is free and there is something nobody is measuring yet."""
        taken = self._take_slot()
        if taken is None:
            return
        number, lock = taken
        try:
            elsewhere = self._in_flight(other_than=number)
            own = _distinct(
                job for job in waiting if job.address not in elsewhere and not self._load(job)
            )
            if own:
                # A batch goes to one engine; what needs the other has its turn when this one is done.
                own = [job for job in own if _driven(job) == _driven(own[0])]
                alone = (self.workplace.session / CRASH_FILE).exists()
                jobs = own if alone else self._shared(own, elsewhere)
                self._child = self._launch(number, lock, jobs, own_only=len(jobs) == len(own))
        finally:
            if self._child is None:
                lock.release()

    def _watch_child(self) -> None:
        """Wait one poll interval, and look at what our child left behind when it has ended."""
        if self._child is None:
            time.sleep(POLL_SECONDS)
        elif (status := self._child.exit_status(POLL_SECONDS)) is not None:
            self._look_back(self._child, status)
            self._child.batch.progress.unlink(missing_ok=True)
            self._child = None
        self._on_wait()

    def _take_slot(self) -> tuple[int, FileLock] | None:
        locks = self.workplace.store / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        for number in range(self.workplace.slots):
            # The thread that reaps the child lets go of the lock, so the lock must not be thread-local.
            lock = FileLock(locks / f"slot-{number}.lock", thread_local=False)
            with contextlib.suppress(Timeout):
                lock.acquire(blocking=False)
                return number, lock
        return None

    def _in_flight(self, *, other_than: int) -> set[str]:
        """Addresses that children in other slots are measuring; a free lock means its list is stale."""
        addresses: set[str] = set()
        locks = self.workplace.store / "locks"
        for number in range(self.workplace.slots):
            if number != other_than and _is_held(locks / f"slot-{number}.lock"):
                with contextlib.suppress(FileNotFoundError):
                    addresses.update(json.loads((locks / f"slot-{number}.json").read_text()))
        return addresses

    def _shared(self, own: Sequence[Job], elsewhere: set[str]) -> list[Job]:
        """Our own missing jobs first, then our share of everybody else's."""
        others = [
            job
            for request in self.selected
            for job in request.jobs.values()
            if job.address not in elsewhere
            and _driven(job) == _driven(own[0])
            and not self._load(job)
            and not (self.workplace.failures / f"{job.address}.json").exists()
        ]
        jobs = _distinct([*own, *others])
        return jobs[: max(math.ceil(len(jobs) / self.workplace.slots), len(own))]

    def _launch(self, number: int, lock: FileLock, jobs: Sequence[Job], *, own_only: bool) -> Child:
        for job in jobs:
            if job.address in self.notes:
                self.store.discard(job)
        self._batches += 1
        self.workplace.session.mkdir(parents=True, exist_ok=True)
        batch = write_batch(
            self.workplace.session,
            f"batch-{os.getpid()}-{self._batches}",
            jobs,
            own_only=own_only,
            store=self.workplace.store,
            failures=self.workplace.failures,
            threads=self.workplace.threads,
        )
        listing = self.workplace.store / "locks" / f"slot-{number}.json"
        write_atomically(listing, json.dumps([job.address for job in jobs]))
        workplace = self.workplace
        command = workplace.driving_command if _driven(jobs[0]) else workplace.command
        return Child(batch, command, self.workplace.threads, on_end=lock.release)

    def _look_back(self, child: Child, status: int) -> None:
        """Find out what an ended child left unmeasured, and remember why for the rest of the run."""
        left = [job for job in child.batch.jobs if not self._measured_or_failed(job)]
        if not left:
            return
        if child.batch.own_only:
            words = child.last_words() or "it said nothing"
            for job in left:
                self._note_failure(
                    job, f"the measuring process ended with status {status}: {words}"
                )
        else:
            write_atomically(self.workplace.session / CRASH_FILE, child.batch.log.name)

    def _measured_or_failed(self, job: Job) -> bool:
        return self._load(job) or (self.workplace.failures / f"{job.address}.json").exists()

    def _note_failure(self, job: Job, error: str) -> None:
        body = json.dumps({"address": job.address, "error": error})
        write_atomically(self.workplace.failures / f"{job.address}.json", body)

    def _assemble(self, request: Request) -> Evidence:
        records = {step: self._records[job.address] for step, job in request.jobs.items()}
        reasons = [record.unavailable for record in records.values() if record.unavailable]
        if reasons:
            return Evidence({}, reasons[0])
        known = {step: kept(found, self.workplace.store) for step, found in request.known.items()}
        return Evidence(known | {step: self._measurement(each) for step, each in records.items()})

    def _measurement(self, record: Record) -> Measurement:
        if record.address not in self._measurements:
            self._measurements[record.address] = measured(record)
        return self._measurements[record.address]


def _driven(job: Job) -> bool:
    """Whether the bundle's own module is measured, not weights we load ourselves."""
    return job.model.loader == "python"


def _distinct(jobs: Iterable[Job]) -> list[Job]:
    """Jobs without repetition of an address, in order."""
    return list({job.address: job for job in jobs}.values())


def _is_held(path: Path) -> bool:
    """Whether some process holds this lock now."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False
