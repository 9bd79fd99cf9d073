"""Jobs on one set of prompts: what they ask of the sandbox, and records from what comes back."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.run.driving import edits
from pytest_mecheval.run.driving.scores import Values, check_outputs, score
from pytest_mecheval.sandbox.channel import Array, Expected
from pytest_mecheval.tasks.drawing import draw
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.tasks.registry import UnknownTask
from pytest_mecheval.vocabulary import Metric, ModelShape
from pytest_mecheval.wire import (
    Attention,
    Attribution,
    Intervention,
    Job,
    Record,
    Run,
    Slice,
    digest,
)

CALIBRATION_PROMPTS = 64
"""DESIGN section 12: size of the calibration split."""
RELATIVE_TAU = 1e-5
"""Numeric noise we accept, as a share of the largest logit."""
POSITIVE_FACTOR = 5.0
"""METHODS 6, common preamble: the positive control moves the metric at least this many tau."""
FLOOR = 1e-6
"""Smallest tolerance reported, as a share of the largest value: fp32 resolution."""
PARTNERS = 3
"""Rows of partner heads the guest returns per edit."""


class UnknownPlace(SubjectError):
    """A kind of component has no known place in the bundle's module."""


@dataclass(frozen=True)
class Drawn:
    """Prompts to measure on, and calibration prompts under a name that tells equal ones."""

    examples: Examples
    calibration: Examples
    calibration_key: str


def drawn(job: Job) -> Drawn:
    """The prompts of a job.

    Raises:
        SubjectError: the task cannot be drawn, or clean and counterfactual prompts are the same.
    """
    where = job.step.slice
    other: Slice = replace(where, split="calibration", n=CALIBRATION_PROMPTS)
    try:
        examples = draw(job.data, where, job.salt)
        calibration = draw(job.data, other, job.salt)
    except UnknownTask as error:
        raise SubjectError(str(error)) from None
    if bool((examples.tokens == examples.counterfactual).all()):
        raise SubjectError(
            "clean and counterfactual prompts are the same, so nothing can be resampled"
        )
    return Drawn(examples, calibration, fingerprint(calibration))


class Group:
    """Jobs that share prompts."""

    def __init__(self, jobs: Sequence[Job], prompts: Drawn, shape: ModelShape) -> None:
        self.jobs = tuple(jobs)
        self.prompts = prompts
        self._shape = shape
        self._edits: dict[Intervention, int] = {}
        self._rows: dict[tuple[int, int, str], int] = {}
        self._told = edits.controls()
        for job in jobs:
            try:
                self._add(job)
            except SubjectError:
                continue  # said again when its record is written

    def _add(self, job: Job) -> None:
        probe = job.step.probe
        if isinstance(probe, Run) and probe.intervention not in self._edits:
            told = edits.spelled_out(probe.intervention, self._shape, self.prompts.examples)
            self._edits[probe.intervention] = len(self._told)
            self._told.append(told)
        elif isinstance(probe, Attention):
            row = edits.attention_row(probe, self._shape, self.prompts.examples)
            self._rows.setdefault(row, len(self._rows))

    def answer_bytes(self, outputs: int) -> int:
        """How large the logits will be, for a model of so many outputs."""
        return 4 * len(self._told) * len(self.prompts.examples.tokens) * outputs

    def task(self, name: str, calibration: str) -> Mapping[str, Any]:
        """What the guest is told of this group."""
        return {
            "name": name,
            "calibration": calibration,
            "edits": self._told,
            "patterns": [list(row) for row in self._rows],
        }

    def tensors(self, name: str) -> dict[str, Array]:
        """What the guest is given: prompts and positions, no answers."""
        examples = self.prompts.examples
        named = {f"{name}.at.{key}": column for key, column in examples.positions.items()}
        found = {**prompt_tensors(name, examples), f"{name}.read": examples.read, **named}
        return {key: np.ascontiguousarray(array, dtype=np.int64) for key, array in found.items()}

    def expected(self, name: str) -> dict[str, Expected]:
        """What must come back."""
        n, length = self.prompts.examples.tokens.shape
        told = len(self._told)
        found = {
            f"{name}.logits": Expected(("F32",), (told, n, None)),
            f"{name}.states": Expected(("I64",), (told,)),
            f"{name}.partners": Expected(("I64",), (told, PARTNERS, 2)),
        }
        if self._rows:
            found[f"{name}.patterns"] = Expected(("F32",), (len(self._rows), n, length))
            found[f"{name}.seen"] = Expected(("I64",), (1,))
        return found

    def records(
        self, name: str, answer: Mapping[str, Array], provenance: Mapping[str, Any]
    ) -> Iterator[Record]:
        """One record per job, in order.

        Raises:
            SubjectError: the model cannot do the task at all.
            HarnessError: the placebo moved the metric, or the positive control did not.
        """
        logits: Values = answer[f"{name}.logits"].astype(np.float64)
        states = answer[f"{name}.states"]
        examples = self.prompts.examples
        check_outputs(examples, logits.shape[2])
        found = self._controls(logits, states)
        full = {**provenance, "controls": found, "prompts_sha256": fingerprint(examples)}
        for job in self.jobs:
            try:
                values, facts = self._measured(job, name, answer, logits)
            except UnknownPlace as error:
                names = provenance.get("modules", "").replace(",", ", ")
                why = f"{error} (its modules: {names})" if names else str(error)
                yield Record(job.address, (), unavailable=why)
                continue
            except SubjectError as error:
                yield Record(job.address, (), unavailable=str(error))
                continue
            yield self._record(job, values, facts, full)

    def _controls(self, logits: Values, states: Array) -> Mapping[str, float]:
        def diff(row: int) -> Values:
            return score(Metric.LOGIT_DIFF, logits[row], logits[0], self.prompts.examples)

        own, other = diff(edits.CLEAN), diff(edits.OTHER)
        tau = RELATIVE_TAU * max(1.0, float(np.abs(logits[edits.CLEAN]).max()))
        if float(np.abs(other - own).mean()) < POSITIVE_FACTOR * tau:
            raise SubjectError(
                "the model answers clean and counterfactual prompts alike, so no intervention can show an effect"
            )
        if states[edits.PLACEBO]:
            return {"tau": tau}  # nothing can be written, so only unedited runs are believed
        placebo = float(np.abs(diff(edits.PLACEBO) - own).max())
        if not placebo <= tau:
            raise HarnessError(
                f"placebo: writing the module's own activations back moved logit_diff by {placebo:.2g} "
                f"nats (allowed: {tau:.2g}); is it the same on every call?"
            )
        for row, kind in ((edits.HEAD_NOISE, "head"), (edits.MLP_NOISE, "mlp")):
            moved = float(np.abs(logits[row] - logits[edits.CLEAN]).max())
            untouched = self._untouched(kind, states)
            if not untouched and moved <= tau:
                raise SubjectError(
                    f"noise written through sites.{kind} into every layer changes no output: "
                    "that module is not on the way to the logits"
                )
        positive = float(np.abs(diff(edits.POSITIVE) - own).mean())
        if positive < POSITIVE_FACTOR * tau:
            raise HarnessError(
                f"positive control: resampling every component moved logit_diff by only {positive:.2g} "
                f"nats (needed: {POSITIVE_FACTOR * tau:.2g})"
            )
        return {"placebo": placebo, "positive": positive, "tau": tau}

    def _untouched(self, kind: str, states: Array) -> bool:
        """Whether the guest knows no place for this kind; the noise edit was then empty."""
        return int(states[edits.HEAD_NOISE if kind == "head" else edits.MLP_NOISE]) != 0

    def _measured(
        self, job: Job, name: str, answer: Mapping[str, Array], logits: Values
    ) -> tuple[Values, Mapping[str, Any]]:
        probe = job.step.probe
        examples = self.prompts.examples
        match probe:
            case Run():
                edits.spelled_out(probe.intervention, self._shape, examples)
                row = self._edits[probe.intervention]
                _require_made(int(answer[f"{name}.states"][row]))
                facts: Mapping[str, Any] = {}
                if probe.intervention.joint != "alone":
                    rows = answer[f"{name}.partners"][row]
                    facts = {"partners": self._partners(rows)}
                return score(probe.metric, logits[row], logits[edits.CLEAN], examples), facts
            case Attention():
                place = self._rows[edits.attention_row(probe, self._shape, examples)]
                if not answer[f"{name}.seen"][0]:
                    raise SubjectError(edits.NO_PATTERNS)
                keys = examples.positions[probe.key]
                weights = answer[f"{name}.patterns"][place].astype(np.float64)
                return weights[np.arange(len(keys)), keys], {}
            case Attribution():
                raise SubjectError(edits.ATTRIBUTION)
            case _:
                raise HarnessError("documents and reruns are not measured on a model")

    def _partners(self, rows: Array) -> list[str]:
        names = edits.partner_names(rows.tolist())
        for name in names:
            edits.existing(name, self._shape)
        return names

    def _record(
        self, job: Job, values: Values, facts: Mapping[str, Any], provenance: Mapping[str, Any]
    ) -> Record:
        if not np.isfinite(values).all():
            return Record(
                job.address, (), unavailable="the measured values are infinite or undefined"
            )
        examples = self.prompts.examples
        clusters = examples.clusters
        listed = tuple(float(value) for value in values)
        return Record(
            address=job.address,
            values=listed,
            clusters=() if clusters is None else tuple(int(c) for c in clusters),
            exhaustive=examples.exhaustive,
            tolerance=FLOOR * max(1.0, max(map(abs, listed), default=0.0)),
            facts=facts,
            provenance=provenance,
        )


def _require_made(code: int) -> None:
    """Refuse an edit that the guest could not make.

    Raises:
        UnknownPlace: the model's modules were not recognised.
        SubjectError: another reason, or no code the guest knows.
    """
    if code == 0:
        return
    if code not in edits.STATES:
        raise SubjectError("malformed measurement: an unknown state")
    raise (UnknownPlace if code in edits.UNKNOWN_PLACES else SubjectError)(edits.STATES[code])


def prompt_tensors(name: str, examples: Examples) -> dict[str, Array]:
    """Clean and counterfactual tokens under a name."""
    return {
        f"{name}.clean": np.ascontiguousarray(examples.tokens, dtype=np.int64),
        f"{name}.other": np.ascontiguousarray(examples.counterfactual, dtype=np.int64),
    }


def fingerprint(examples: Examples) -> str:
    """SHA-256 over the prompts and what is read of them."""
    arrays = (
        examples.tokens,
        examples.counterfactual,
        examples.answers,
        examples.foils,
        examples.read,
    )
    parts = [hashlib.sha256(np.ascontiguousarray(a, dtype=np.int64).tobytes()) for a in arrays]
    return digest([part.hexdigest() for part in parts])
