"""One group of jobs: same model, same prompts; controls first, then records."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.harness.controls import cross_check, run_controls, tolerance
from pytest_mecheval.harness.engine import Engine, Request, Runner, Values
from pytest_mecheval.harness.hooked import HookRunner
from pytest_mecheval.harness.interventions import Edit
from pytest_mecheval.harness.loading import Subject
from pytest_mecheval.harness.reading import attention_mass, direct_attribution
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.vocabulary import Metric
from pytest_mecheval.wire import (
    Attention,
    Attribution,
    Code,
    Document,
    Intervention,
    Job,
    Prose,
    Record,
    Rerun,
    Run,
)

METRICS = frozenset(metric.value for metric in Metric)


@dataclass(frozen=True)
class Loaded:
    """A model that passed its self-test."""

    subject: Subject
    runner: Runner
    slower_because: str = ""
    """Why the fast path is not used; empty when it is."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of a group; calibration is drawn only when something needs it."""

    examples: Examples
    calibration: Callable[[], Examples]


class Group:
    """Everything measured on one set of prompts with one model."""

    def __init__(self, loaded: Loaded, prompts: Prompts, jobs: Sequence[Job]) -> None:
        """Check that the model can read the prompts, then run the controls.

        Raises:
            SubjectError: the prompts do not fit the model, or the model cannot be measured on them.
            HarnessError: a control failed.
        """
        self.loaded = loaded
        self.examples = prompts.examples
        subject = loaded.subject
        check_fit(subject, prompts.examples)
        self.started = time.perf_counter()

        def calibration() -> Examples:
            drawn = prompts.calibration()
            check_fit(subject, drawn)
            return drawn

        d_head = int(subject.library.output_matrix(0).shape[1])
        self.engine = Engine(
            loaded.runner, subject.shape, d_head, prompts.examples, calibration, subject.device
        )
        with torch.inference_mode():
            self.controls = run_controls(self.engine)
            self.deviations = self._cross_check(jobs)

    def records(self, jobs: Sequence[Job]) -> Iterator[Record]:
        """One record per job, in order."""
        with torch.inference_mode():
            measured = self._runs(jobs)
            for job in jobs:
                probe = job.step.probe
                facts: Mapping[str, Any] = {}
                deviation = 0.0
                try:
                    if isinstance(probe, Run):
                        edit = self._resolved(probe)
                        values = measured[probe.intervention][probe.metric]
                        deviation = self.deviations.get(probe.metric, 0.0)
                        if edit.intervention.joint != "alone":
                            facts = {"partners": list(edit.partners)}
                    else:
                        values = self._reading(probe)
                    _require_finite(values)
                except SubjectError as error:
                    yield Record(job.address, (), unavailable=str(error))
                    continue
                yield self._record(job, values, deviation, facts)

    def _runs(self, jobs: Sequence[Job]) -> dict[Intervention, Mapping[str, Values]]:
        """Every distinct intervention of the jobs measured once, with all metrics wanted of it."""
        metrics: dict[Intervention, set[str]] = {}
        edits: dict[Intervention, Edit] = {}
        for job in jobs:
            probe = job.step.probe
            if not isinstance(probe, Run):
                continue
            try:
                edits[probe.intervention] = self._resolved(probe)
            except SubjectError:
                continue
            metrics.setdefault(probe.intervention, set()).add(probe.metric)
        requests = [Request(edits[i], tuple(sorted(names))) for i, names in metrics.items()]
        return dict(zip(metrics, self.engine.measure(requests), strict=True))

    def _resolved(self, probe: Run) -> Edit:
        if probe.metric not in METRICS:
            known = ", ".join(sorted(METRICS))
            raise HarnessError(f"unknown metric {probe.metric!r} (known: {known})")
        return self.engine.resolve(probe.intervention)

    def _reading(self, probe: Attention | Attribution | Document | Prose | Code | Rerun) -> Values:
        match probe:
            case Attention(head, query, key):
                return attention_mass(self.engine, head, query, key)
            case Attribution(component):
                return direct_attribution(self.engine, self.loaded.subject, component)
            case Document() | Prose() | Code() | Rerun():
                raise HarnessError(
                    "documents and reruns belong where the bundle is read, not to the harness"
                )

    def _cross_check(self, jobs: Sequence[Job]) -> dict[str, float]:
        """One random intervention of the group through plain hooks; the deviation per metric."""
        probes = [job.step.probe for job in jobs if isinstance(job.step.probe, Run)]
        metrics = tuple(sorted({probe.metric for probe in probes}))
        edits = []
        for probe in probes:
            try:
                edit = self._resolved(probe)
            except SubjectError:
                continue
            if not edit.empty:
                edits.append(edit)
        if not edits:
            everything = tuple(f"a{layer}" for layer in range(self.engine.shape.n_layers))
            edits = [self.engine.resolve(Intervention(everything, "counterfactual"))]
        # Seeded by content, so that a re-run checks the same intervention.
        addresses = "".join(sorted(job.address for job in jobs))
        chosen = random.Random(addresses).choice(edits)  # noqa: S311 - sampling, not secrecy
        plain = HookRunner(self.loaded.subject.library, stubs=False)
        return cross_check(self.engine, plain, Request(chosen, metrics), self.controls)

    def _record(
        self, job: Job, values: Values, deviation: float, facts: Mapping[str, Any]
    ) -> Record:
        clusters = self.examples.clusters
        listed = tuple(float(value) for value in values)
        return Record(
            address=job.address,
            values=listed,
            clusters=() if clusters is None else tuple(int(c) for c in clusters),
            exhaustive=self.examples.exhaustive,
            tolerance=tolerance(deviation, listed),
            facts=facts,
            provenance=self._provenance(),
        )

    def _provenance(self) -> dict[str, Any]:
        subject = self.loaded.subject
        found: dict[str, Any] = {
            "torch": torch.__version__,
            "transformer_lens": subject.library.version,
            "model_class": type(subject.library.module).__name__,
            "threads": torch.get_num_threads(),
            "device": str(subject.device),
            "path": self.loaded.runner.path,
            "prompts_sha256": fingerprint(self.examples),
            "prompts": int(self.examples.tokens.shape[0]),
            "controls": {
                "placebo": self.controls.placebo,
                "positive": self.controls.positive,
                "tau": self.controls.tau,
                "cross_check": dict(self.deviations),
            },
            "seconds": round(time.perf_counter() - self.started, 3),
        }
        if self.loaded.slower_because:
            found["slower_because"] = self.loaded.slower_because
        return found


def _require_finite(values: Values) -> None:
    """Refuse numbers no statistic can use.

    Raises:
        SubjectError: a value is infinite or undefined.
    """
    if not np.isfinite(values).all():
        raise SubjectError("the measured values are infinite or undefined")


def check_fit(subject: Subject, examples: Examples) -> None:
    """Refuse prompts that the model cannot read.

    Raises:
        SubjectError: a prompt is too long or holds a token the model does not have.
    """
    shape = subject.shape
    if examples.tokens.shape[1] > shape.n_ctx:
        raise SubjectError(
            f"prompts have {examples.tokens.shape[1]} tokens, the model reads at most {shape.n_ctx}"
        )
    arrays = (examples.tokens, examples.counterfactual, examples.answers, examples.foils)
    low, high = min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)
    if low < 0 or high >= shape.d_vocab:
        raise SubjectError(
            f"the task uses tokens {low} to {high}, the model knows 0 to {shape.d_vocab - 1}"
        )
    if bool((examples.tokens == examples.counterfactual).all()):
        raise SubjectError(
            "clean and counterfactual prompts are the same, so nothing can be resampled"
        )


def fingerprint(examples: Examples) -> str:
    """SHA-256 over the prompts and what is read of them."""
    found = hashlib.sha256()
    arrays = [examples.tokens, examples.counterfactual, examples.answers, examples.foils]
    for array in [*arrays, examples.read]:
        found.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
    return found.hexdigest()
