"""Measuring what an intervention does: the steps it takes and the arrays that come back.

Ablation, patching, ranking and negative claims all compare an edited run with an unedited one; the
planning and the reading of that comparison live here once, so that plan and decide cannot drift apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pytest_mecheval.checks import steps
from pytest_mecheval.checks.check import Subject
from pytest_mecheval.checks.inference import ALPHA, Inference, clip_for, damage
from pytest_mecheval.evidence.decision import Control, Decision
from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.stats import threshold
from pytest_mecheval.vocabulary import Component, Metric, Rung, Verdict
from pytest_mecheval.wire import Intervention, PlanStep, Slice, Split


@dataclass(frozen=True)
class Comparison:
    """Where effects are measured: one task, one stratum, one metric, one unedited baseline."""

    task: str
    stratum: str
    metric: Metric

    def where(self, split: Split) -> Slice:
        """The slice of a split."""
        return steps.prompts(self.task, self.stratum, split)

    def run(self, split: Split, edit: Intervention) -> PlanStep:
        """The step that measures an edit."""
        return steps.edited(self.where(split), self.metric, edit)

    def baseline_steps(self) -> tuple[PlanStep, ...]:
        """Unedited runs on both prompts and both splits: range, clipping, behaviour."""
        return tuple(
            steps.unedited(self.where(split), self.metric, base)
            for split in ("calibration", "evaluation")
            for base in ("clean", "counterfactual")
        )

    def read(self, evidence: Evidence, needed: float = 0.0) -> "Baselines":
        """The unedited scores, with the inference they allow; `needed` is a stated threshold."""
        cal_clean, cal_other, clean, other = (
            evidence.values(step) for step in self.baseline_steps()
        )
        exhaustive = evidence[self.baseline_steps()[2]].exhaustive
        clip = clip_for(self.metric, cal_clean, cal_other)
        inference = Inference(clip, exhaustive, evidence.tolerance, reach=needed)
        return Baselines(self, cal_clean, cal_other, clean, other, inference)


@dataclass(frozen=True)
class Baselines:
    """Unedited scores and how to infer from them."""

    comparison: Comparison
    calibration_clean: Values
    calibration_counterfactual: Values
    clean: Values
    counterfactual: Values
    inference: Inference

    @property
    def behaves(self) -> bool:
        """Whether the model does the task at all: clean prompts score better than counterfactual ones."""
        return self.inference.exceeds(self.gap, self.inference.tolerance)

    @property
    def metric_range(self) -> float:
        """|mean clean - mean counterfactual| on calibration data, metric's unit."""
        return threshold.metric_range(self.calibration_clean, self.calibration_counterfactual)

    @property
    def gap(self) -> Values:
        """How much better each clean prompt scores than its counterfactual, shape (units,)."""
        return damage(self.comparison.metric, self.clean, self.counterfactual)

    def as_share(self, control: Control) -> Control:
        """A control's effect as a share of the mean gap."""
        return Control(control.name, control.value / float(self.gap.mean()))

    def effect(self, evidence: Evidence, split: Split, edit: Intervention) -> Values:
        """Damage of an edit per unit; for an edit of the counterfactual run, how much it repairs."""
        after = evidence.values(self.comparison.run(split, edit))
        metric = self.comparison.metric
        if edit.base == "counterfactual":
            before = (
                self.calibration_counterfactual if split == "calibration" else self.counterfactual
            )
            return damage(metric, after, before)
        before = self.calibration_clean if split == "calibration" else self.clean
        return damage(metric, before, after)

    def default_delta(self, evidence: Evidence, controls: Mapping[str, Intervention]) -> float:
        """Smallest effect of interest, from the range and the controls on calibration data."""
        effects = (self.effect(evidence, "calibration", edit) for edit in controls.values())
        means = np.array([float(values.mean()) for values in effects], dtype=np.float64)
        return threshold.default_delta(
            self.calibration_clean, self.calibration_counterfactual, means
        )


def missing(subject: Subject, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those components the model does not have."""
    return tuple(name for name in names if not subject.shape.has(Component.parse(name)))


def no_such_component(subject: Subject, names: tuple[str, ...], rung: Rung) -> Decision:
    """REFUTED: the claim names a component that does not exist."""
    shape = subject.shape
    size = f"{shape.n_layers} layers, {shape.n_heads} heads each, {'with' if shape.d_mlp else 'no'} MLPs"
    return Decision(
        Verdict.REFUTED,
        "no such component",
        f"the model has no {', '.join(missing(subject, names))} ({size})",
        "components that exist in the model",
        rung,
    )


def unavailable(evidence: Evidence, rung: Rung, needed: str) -> Decision:
    """NOT_TESTABLE: model or data could not be measured."""
    reason = evidence.unavailable
    return Decision(Verdict.NOT_TESTABLE, "missing artifact", f"nothing: {reason}", needed, rung)


def no_behaviour(baselines: Baselines, rung: Rung, needed: str) -> Decision:
    """NOT_TESTABLE: a mechanism cannot be tested where the behaviour is absent (METHODS 6b)."""
    metric = baselines.comparison.metric
    estimate = baselines.inference.estimate(baselines.gap, metric.unit)
    measured = f"{metric} on clean minus counterfactual prompts is {estimate}: the model does not do this task"
    return Decision(Verdict.NOT_TESTABLE, "no behaviour", measured, needed, rung, estimate)


def subject_problems(
    spec_task: str, stratum: str, subject: Subject, *positions: str
) -> tuple[str, ...]:
    """Usage errors about task, stratum and positions, each with what is allowed."""
    facts = subject.tasks.get(spec_task)
    if facts is None:
        known = ", ".join(sorted(subject.tasks)) or "none"
        return (f"unknown task {spec_task!r} (known: {known})",)
    problems = []
    if stratum not in facts.strata:
        problems.append(
            f"task {spec_task!r} has no stratum {stratum!r} (known: {', '.join(facts.strata)})"
        )
    for position in positions:
        if position != "all" and position not in facts.positions:
            known = ", ".join(("all", *facts.positions))
            problems.append(f"task {spec_task!r} has no position {position!r} (known: {known})")
    return tuple(problems)


def path_problems(senders: tuple[str, ...], receivers: tuple[str, ...]) -> tuple[str, ...]:
    """Receivers that no sender can reach: information flows to later layers only."""
    last = max(Component.parse(name).layer for name in senders)
    return tuple(
        f"receiver {name} does not come after every sender ({', '.join(senders)})"
        for name in receivers
        if Component.parse(name.rpartition(".")[0]).layer <= last
    )


CONFIDENCE = f"{100 * (1 - ALPHA):g} %"
"""How sure every verdict is, for texts."""
