"""Works through a batch of jobs: grouping, order, one model at a time.

Jobs with the same model, data, slice and salt form a group: one clean run, one counterfactual cache,
one set of controls. A group is written wave by wave, so a killed run loses one wave at most.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from pytest_mecheval.batches import Batch, Output
from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.harness.group import Group, Loaded, Prompts
from pytest_mecheval.wire import Job, digest

WAVE = 64
"""Jobs computed between two writes."""


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
        self._output = Output(batch)
        self._loaded: tuple[str, Loaded | SubjectError | HarnessError] | None = None

    def run(self) -> None:
        """Measure every job that has no record yet; never raises for a job's sake."""
        for jobs in self._groups():
            try:
                self._run_group(jobs)
            except Exception as error:  # noqa: BLE001 - one group must not take the others with it
                self._output.fail(jobs, error)

    def _groups(self) -> Iterator[list[Job]]:
        """Unmeasured jobs by model, then by prompts, both in the order they first appear."""
        models: dict[str, dict[str, list[Job]]] = {}
        for job in self._output.unmeasured():
            prompts = [asdict(job.data), asdict(job.step.slice), job.salt]
            groups = models.setdefault(digest(asdict(job.model)), {})
            groups.setdefault(digest(prompts), []).append(job)
        for groups in models.values():
            yield from groups.values()

    def _run_group(self, jobs: Sequence[Job]) -> None:
        try:
            group = Group(self._model(jobs[0]), self._draw(jobs[0]), jobs)
        except SubjectError as error:
            self._output.unavailable(jobs, str(error))
            return
        for at in range(0, len(jobs), WAVE):
            wave = jobs[at : at + WAVE]
            self._output.report(
                f"{len(wave)} measurements on {jobs[0].step.slice.task or 'the task'}"
            )
            self._output.write(group.records(wave))

    def _model(self, job: Job) -> Loaded:
        """The job's model; the last one is kept, and a failure is not tried again.

        Raises:
            SubjectError: the model cannot be used.
            HarnessError: the self-test failed.
        """
        key = digest(asdict(job.model))
        if self._loaded is None or self._loaded[0] != key:
            self._output.report(f"loading {job.model.name or 'the model'}")
            self._loaded = None
            try:
                self._loaded = (key, self._load(job, self.batch.device))
            except (SubjectError, HarnessError) as error:
                self._loaded = (key, error)
        found = self._loaded[1]
        if isinstance(found, Exception):
            raise found
        return found

    def finish(self) -> None:
        """Write the last progress line."""
        self._output.report("finished")
