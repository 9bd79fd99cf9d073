"""Probes that only read: attention mass between named positions and direct logit attribution."""

import numpy as np
import torch
from torch import Tensor

from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.harness.engine import Block, Engine, Values
from pytest_mecheval.harness.interventions import Trace
from pytest_mecheval.harness.loading import Subject
from pytest_mecheval.vocabulary import Component

COMPLETENESS = 1e-4
"""All contributions add up to the logit difference within this share of the largest of them."""


def attention_mass(engine: Engine, head: str, query: str, key: str) -> Values:
    """Attention weight of a head from one named position to another, shape (prompts,), 0 to 1.

    Raises:
        SubjectError: no such head or position.
    """
    component = _component(engine, head)
    if component.kind != "head":
        raise SubjectError(f"attention is read from one head, not from {head}")
    for name in (query, key):
        if name not in engine.examples.positions:
            known = ", ".join(sorted(engine.examples.positions))
            raise SubjectError(f"the task has no position {name!r} (it has: {known})")
    mass = np.empty(engine.n)
    for block in engine.blocks:
        patterns = engine.patterns(block, component.layer)[:, component.head]
        rows = torch.arange(patterns.shape[0], device=patterns.device)
        found = patterns[rows, block.positions[query], block.positions[key]]
        mass[block.rows] = found.double().cpu().numpy()
    return mass


def direct_attribution(engine: Engine, subject: Subject, component: str) -> Values:
    """What a component writes along answer minus foil, LayerNorm scale frozen, shape (prompts,), nats.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (direct paths);
    the scale is frozen at the clean run, as in Wang et al. 2022, arXiv:2211.00593.

    Raises:
        SubjectError: no such component, or logits that are not linear in the normalised stream.
    """
    wanted = _component(engine, component)
    found = np.empty(engine.n)
    for block in engine.blocks:
        trace = engine.trace(block, "clean")
        direction, constant = _pulled_back(subject, trace, block)
        _check_complete(engine, trace, block, direction, constant)
        written = _contribution(engine, trace, block, wanted)
        found[block.rows] = (written * direction).sum(-1).double().cpu().numpy()
    return found


def _component(engine: Engine, name: str) -> Component:
    component = Component.parse(name)
    if not engine.shape.has(component):
        raise SubjectError(f"the model has no component {component}")
    return component


def _pulled_back(subject: Subject, trace: Trace, block: Block) -> tuple[Tensor, Tensor]:
    """The direction in the residual stream that is answer minus foil, and what biases add to it."""
    readout = block.readout
    if subject.kernel is not None:
        norm, rows, bias = subject.kernel.final, subject.kernel.unembed, subject.kernel.unembed_bias
    else:
        norm, rows, bias = subject.library.readout()
    direction = rows[readout.answers] - rows[readout.foils]
    constant = bias[readout.answers] - bias[readout.foils]
    if norm.bias is not None:
        constant = constant + direction @ norm.bias
    return norm.linear_at(_at(trace.resid_pre[-1], block), direction), constant


def _contribution(engine: Engine, trace: Trace, block: Block, component: Component) -> Tensor:
    """What a component writes to the residual stream at the read position, (n, d_model)."""
    layer = component.layer
    match component.kind:
        case "head":
            matrix = engine.runner.output_matrix(layer)[component.head]
            return _at(trace.z[layer], block)[:, component.head] @ matrix
        case "attn":
            return _at(trace.z[layer], block).flatten(-2) @ engine.runner.output_matrix(
                layer
            ).flatten(0, 1)
        case "mlp":
            return _at(trace.mlp[layer], block)
        case "resid" | "input":
            return _at(trace.resid_pre[layer], block)


def _check_complete(
    engine: Engine, trace: Trace, block: Block, direction: Tensor, constant: Tensor
) -> None:
    """All parts must add up to the measured logit difference, else attribution has no meaning here.

    Raises:
        SubjectError: the logits are not linear in the normalised stream (a soft cap, for instance).
        HarnessError: the parts of the residual stream do not add up to it.
    """
    parts = [Component("input")]
    for layer in range(engine.shape.n_layers):
        parts += [Component("attn", layer)]
        parts += [Component("mlp", layer)] if engine.shape.d_mlp else []
    written = [(_contribution(engine, trace, block, part) * direction).sum(-1) for part in parts]
    whole = (_at(trace.resid_pre[-1], block) * direction).sum(-1)
    logits = engine.runner.base_logits(trace, block.readout.read)
    rows = torch.arange(logits.shape[0], device=logits.device)
    measured = logits[rows, block.readout.answers] - logits[rows, block.readout.foils]
    scale = max(1.0, *(float(part.abs().max()) for part in written))
    if float((whole + constant - measured).abs().max()) > COMPLETENESS * scale:
        raise SubjectError(
            "direct attribution is not defined here: logits are not linear in the final residual stream"
        )
    biases = [engine.runner.output_bias(layer) for layer in range(engine.shape.n_layers)]
    parts_sum = torch.stack([*written, direction @ torch.stack(biases).sum(0)]).sum(0)
    if float((parts_sum - whole).abs().max()) > COMPLETENESS * scale:
        raise HarnessError("direct attribution: contributions do not add up to the residual stream")


def _at(value: Tensor, block: Block) -> Tensor:
    rows = torch.arange(value.shape[0], device=value.device)
    return value[rows, block.readout.read]
