"""The content-addressed evidence store as its readers see it: whole, verified records or nothing."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from pytest_mecheval.errors import MechevalError
from pytest_mecheval.wire import Document, Job, Record, load_record, record_path


class DamagedRecord(MechevalError):
    """A record exists but is not what its address promises; it has to be measured again."""


class EvidenceStore:
    """Records by content address in one folder, written by the harness, shared by all processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, job: Job) -> Path:
        """Where the job's record is or will be."""
        return record_path(self.folder, job.address)

    def address_path(self, address: str) -> Path:
        """Where the record of an address is or will be."""
        return record_path(self.folder, address)

    def holds(self, job: Job) -> bool:
        """Whether there is a file for this job; cheap, says nothing about its content."""
        return self.path(job).exists()

    def read(self, job: Job) -> Record | None:
        """The record of a job, or None when it has not been measured.

        Raises:
            DamagedRecord: the file is no record of this job.
        """
        return self._read(self.path(job), lambda record: _problem(record, job))

    def read_address(self, address: str) -> Record | None:
        """The record at an address that no job leads to (a rerun, a document), or None.

        Raises:
            DamagedRecord: the file is no record of this address.
        """
        return self._read(
            record_path(self.folder, address), lambda record: _misplaced(record, address)
        )

    def _read(self, path: Path, problem_of: Callable[[Record], str]) -> Record | None:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DamagedRecord(f"{path}: cannot be read: {error}") from error
        try:
            record = load_record(json.loads(text))
            problem = problem_of(record)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedRecord(f"{path}: no complete record: {error!r}") from error
        if problem:
            raise DamagedRecord(f"{path}: {problem}")
        return record

    def discard(self, job: Job) -> None:
        """Remove a damaged record, so that the harness measures it again."""
        self.path(job).unlink(missing_ok=True)


def _misplaced(record: Record, address: str) -> str:
    """What contradicts the place the record was found at, or an empty text."""
    return "" if record.address == address else f"holds the record of {str(record.address)[:12]}"


def _problem(record: Record, job: Job) -> str:
    """What contradicts the job, or an empty text."""
    n, where = len(record.values), job.step.slice
    if problem := _misplaced(record, job.address):
        return problem
    if not all(type(value) in (float, int) for value in record.values):
        return "a value is not a number"
    if not all(type(value) is int for value in record.clusters):
        return "a cluster is not a whole number"
    if record.clusters and len(record.clusters) != n:
        return f"{len(record.clusters)} clusters for {n} values"
    if type(record.tolerance) not in (float, int) or math.isnan(record.tolerance):
        return "its tolerance is not a number"
    if record.unavailable or isinstance(job.step.probe, Document):
        return ""
    if n == 0:
        return "holds no values"
    if n > where.n and not record.exhaustive:
        return f"{n} values where {where.n} were asked for"
    return ""
