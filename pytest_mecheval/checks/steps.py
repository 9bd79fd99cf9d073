"""Shorthand for the plan steps that several kinds share: unedited runs, edits, the positive control."""

from pytest_mecheval.checks.check import Subject
from pytest_mecheval.vocabulary import AblationValue, Metric
from pytest_mecheval.wire import Base, Intervention, PlanStep, Run, Slice, Source, Split

CALIBRATION_N = 64
"""Prompts that fix threshold, clipping and control signs; never used for a verdict (DESIGN 12)."""
EVALUATION_N = 256
"""Prompts that decide; drawn from a stream disjoint from calibration (DESIGN 12)."""

SOURCES: dict[AblationValue, Source] = {
    AblationValue.ZERO: "zero",
    AblationValue.MEAN: "mean",
    AblationValue.RESAMPLE: "counterfactual",
}


def prompts(task: str, stratum: str, split: Split, n: int = 0) -> Slice:
    """The slice of a task that a split means; `n` only where a kind needs more than the default."""
    return Slice(
        task, split, stratum, n or (CALIBRATION_N if split == "calibration" else EVALUATION_N)
    )


def unedited(where: Slice, metric: Metric, base: Base = "clean") -> PlanStep:
    """The model as it is, on the clean or the counterfactual prompt."""
    return PlanStep(where, Run(Intervention((), base=base), str(metric)))


def edited(where: Slice, metric: Metric, edit: Intervention) -> PlanStep:
    """The metric under an intervention."""
    return PlanStep(where, Run(edit, str(metric)))


def ablating(components: tuple[str, ...], value: AblationValue, positions: str) -> Intervention:
    """Writing the ablation value into the components of a clean run."""
    return Intervention(tuple(sorted(components)), SOURCES[value], positions=positions)


def everything(subject: Subject, value: AblationValue) -> Intervention:
    """The positive control CTL-12: every head and MLP of the model ablated at once, everywhere."""
    parts = (*subject.shape.heads(), *subject.shape.mlps())
    return ablating(tuple(str(part) for part in parts), value, "all")
