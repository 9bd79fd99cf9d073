"""From a job to what a group needs: the model, tested, and the prompts, drawn."""

import dataclasses

import torch

from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.harness.group import Loaded, Prompts
from pytest_mecheval.harness.loading import load
from pytest_mecheval.harness.selftest import choose_runner
from pytest_mecheval.tasks.drawing import draw
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.tasks.registry import UnknownTask
from pytest_mecheval.wire import Job, Slice

CALIBRATION_PROMPTS = 64
"""DESIGN section 12: size of the calibration split."""

SHOWN_WEIGHTS = 3
"""Broken weights named in one error text; the rest is counted."""


def load_tested(job: Job, device: str) -> Loaded:
    """The job's model with the fastest runner that passed the self-test.

    Raises:
        SubjectError: its files cannot be used, or the device is not there.
        HarnessError: a hook does not do what its name says.
    """
    if device != "cpu" and not torch.cuda.is_available():
        raise SubjectError(f"device {device!r} is not available here (available: cpu)")
    with torch.inference_mode():
        subject = load(job.model, device)
        try:
            runner, reason = choose_runner(subject)
        except HarnessError:
            # Weights that are no numbers fail every comparison of the self-test: theirs, not ours.
            if names := _not_finite(subject.library.module):
                raise SubjectError(f"weights are infinite or no numbers: {names}") from None
            raise
    return Loaded(subject, runner, reason)


def _not_finite(module: torch.nn.Module) -> str:
    """The first parameters that hold a value that is no finite number, or an empty text."""
    broken = [
        name.removeprefix("_original_component.").replace("._original_component", "")
        for name, weight in module.named_parameters()
        if not bool(torch.isfinite(weight).all())
    ]
    shown = ", ".join(broken[:SHOWN_WEIGHTS])
    return (
        f"{shown} and {len(broken) - SHOWN_WEIGHTS} more" if len(broken) > SHOWN_WEIGHTS else shown
    )


def draw_prompts(job: Job) -> Prompts:
    """The job's prompts; calibration prompts share its stratum and salt.

    Raises:
        SubjectError: the task cannot be drawn.
    """
    prompts = job.step.slice

    def calibration() -> Examples:
        wanted = dataclasses.replace(prompts, split="calibration", n=CALIBRATION_PROMPTS)
        return _drawn(job, wanted)

    return Prompts(_drawn(job, prompts), calibration)


def _drawn(job: Job, prompts: Slice) -> Examples:
    try:
        return draw(job.data, prompts, job.salt)
    except UnknownTask as error:
        raise SubjectError(str(error)) from None
