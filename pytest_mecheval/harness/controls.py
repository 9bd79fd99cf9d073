"""Controls of the harness itself, run before anything is believed: placebo, positive control, cross-check.

A failure here is an error of ours (`HarnessError`), never a verdict (METHODS 4, CTL-11 and CTL-12).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.harness.engine import Block, Engine, Request, Values
from pytest_mecheval.harness.hooked import HookRunner
from pytest_mecheval.harness.metrics import LOGIT_DIFF
from pytest_mecheval.wire import Intervention

RELATIVE_TAU = 1e-5
"""Numeric noise we accept, as a share of the largest logit (fp32 reordering was seen at 2e-6)."""
POSITIVE_FACTOR = 5.0
"""METHODS 6, common preamble: the positive control moves the metric at least this many tau."""
CROSS_CHECK_FACTOR = 10.0
"""Fast and plain path may differ by this many tau before the group is refused."""
CONTROL_PROMPTS = 16
"""Prompts the controls run on: plain hooks are slow, and a broken path differs on every prompt."""
FLOOR = 1e-6
"""Smallest tolerance reported, as a share of the largest value: fp32 resolution."""


@dataclass(frozen=True)
class Controls:
    """Results of a group's controls, in nats of logit_diff."""

    tau: float
    placebo: float
    """Largest change when every head and MLP is overwritten with its own value."""
    positive: float
    """Mean absolute change when every head and MLP is resampled."""


def every_component(engine: Engine) -> tuple[str, ...]:
    """All heads (by layer) and all MLPs of the model."""
    layers = range(engine.shape.n_layers)
    return tuple(f"a{i}" for i in layers) + tuple(f"m{i}" for i in layers if engine.shape.d_mlp)


def run_controls(engine: Engine) -> Controls:
    """Placebo and positive control on the first prompts.

    Raises:
        SubjectError: outputs are not finite, or clean and counterfactual prompts are answered alike.
        HarnessError: the placebo moves the metric, or the positive control does not.
    """
    engine = engine.sibling(engine.runner, CONTROL_PROMPTS)
    block = engine.blocks[0]
    clean = _logits_scale(engine, block)
    tau = RELATIVE_TAU * max(1.0, clean)
    everything = every_component(engine)
    edits = [
        Intervention(()),
        Intervention((), base="counterfactual"),
        Intervention(everything, "unchanged"),
        Intervention(everything, "counterfactual"),
    ]
    requests = [Request(engine.resolve(edit), (LOGIT_DIFF,)) for edit in edits]
    own, other, placebo, resampled = (found[LOGIT_DIFF] for found in engine.measure(requests))
    placebo_effect = float(np.abs(placebo - own).max())
    if not placebo_effect <= tau:
        raise HarnessError(
            f"placebo: writing activations back unchanged moved logit_diff by {placebo_effect:.2g} nats "
            f"(allowed: {tau:.2g})"
        )
    if float(np.abs(other - own).mean()) < POSITIVE_FACTOR * tau:
        raise SubjectError(
            "the model answers clean and counterfactual prompts alike, so no intervention can show an effect"
        )
    positive_effect = float(np.abs(resampled - own).mean())
    if positive_effect < POSITIVE_FACTOR * tau:
        raise HarnessError(
            f"positive control: resampling every component moved logit_diff by only {positive_effect:.2g} nats "
            f"(needed: {POSITIVE_FACTOR * tau:.2g})"
        )
    return Controls(tau, placebo_effect, positive_effect)


def cross_check(
    engine: Engine, plain: HookRunner, request: Request, controls: Controls
) -> dict[str, float]:
    """Largest deviation per metric between the engine's way and plain `run_with_hooks`.

    The reference draws its own activations through the library, so nothing is shared but the prompts.

    Raises:
        HarnessError: logit_diff differs by more than `CROSS_CHECK_FACTOR` tau.
    """
    wanted = tuple(sorted({*request.metrics, LOGIT_DIFF}))
    ours, theirs = (
        engine.sibling(runner, CONTROL_PROMPTS).measure([Request(request.edit, wanted)])[0]
        for runner in (engine.runner, plain)
    )
    deviations = {name: _largest(ours[name], theirs[name]) for name in wanted}
    allowed = CROSS_CHECK_FACTOR * controls.tau
    if not deviations[LOGIT_DIFF] <= allowed:
        raise HarnessError(
            f"cross-check: {request.edit.intervention} gives logit_diff differing by "
            f"{deviations[LOGIT_DIFF]:.2g} nats from plain hooks (allowed: {allowed:.2g})"
        )
    return deviations


def tolerance(deviation: float, values: Sequence[float]) -> float:
    """What a record reports: the deviation seen, at least fp32 resolution of its values."""
    return max(deviation, FLOOR * max(1.0, max(map(abs, values), default=0.0)))


def _largest(ours: Values, theirs: Values) -> float:
    return float(np.abs(ours - theirs).max())


def _logits_scale(engine: Engine, block: Block) -> float:
    logits = engine.runner.base_logits(engine.trace(block, "clean"), block.readout.read)
    scale = float(logits.abs().max())
    if not np.isfinite(scale):
        raise SubjectError("the model's logits are infinite or undefined on this task")
    return scale
