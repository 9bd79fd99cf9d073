"""Measures many interventions on one set of prompts: batching, caches, sources, partners.

Which runner computes (`fast` or `hooked`) is decided at load; everything here is the same for both.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.harness.interventions import (
    ALL_POSITIONS,
    Edit,
    Trace,
    Writes,
    position_mask,
    resolve,
    rotation_matrix,
    writes_of,
    zero_source,
)
from pytest_mecheval.harness.metrics import KL, LOGIT_DIFF, Readout, from_logits
from pytest_mecheval.harness.partners import roles, same_role_heads
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.vocabulary import Component, ModelShape
from pytest_mecheval.wire import Base, Intervention

Values = NDArray[np.float64]

TARGET_TOKENS = 2048
"""Rows times positions of one batch: large enough for the matrix products, small enough for the cache."""
CACHE_BYTES = 512 * 2**20
"""Activations kept between interventions; beyond it they are computed again for each wave."""
FLOAT_BYTES = 4
TRACE_TENSORS = 6
"""Tensors of width d_model that a `Trace` with keys holds per layer and token."""


class Runner(Protocol):
    """What the engine needs of a way to run the model."""

    path: str

    def trace(self, tokens: Tensor, keys: bool = False) -> Trace: ...
    def patterns(self, trace: Trace, layer: int) -> Tensor: ...
    def received(self, edit: Edit, senders: Writes, base: Trace) -> Writes: ...
    def measure(
        self, base: Trace, batch: Sequence[Writes], readout: Readout, metrics: Sequence[str]
    ) -> Mapping[str, Tensor]: ...
    def base_logits(self, base: Trace, read: Tensor) -> Tensor: ...
    def output_matrix(self, layer: int) -> Tensor: ...
    def output_bias(self, layer: int) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One intervention and the metrics wanted of it."""

    edit: Edit
    metrics: tuple[str, ...]


@dataclass
class Block:
    """Some of the prompts, as tensors, with the activations of their unedited runs."""

    rows: slice
    clean: Tensor
    counterfactual: Tensor
    readout: Readout
    positions: Mapping[str, Tensor]
    traces: dict[Base, Trace] = field(default_factory=dict)
    patterns: dict[int, Tensor] = field(default_factory=dict)

    def tokens(self, base: Base) -> Tensor:
        return self.clean if base == "clean" else self.counterfactual


class Engine:
    """All measurements of one model on one set of prompts."""

    def __init__(
        self,
        runner: Runner,
        shape: ModelShape,
        d_head: int,
        examples: Examples,
        calibration: Callable[[], Examples],
        device: torch.device | None = None,
    ) -> None:
        """Cut the prompts into blocks.

        Args:
            runner: how forward passes are computed.
            shape: of the model.
            d_head: width of one head.
            examples: the prompts to measure on.
            calibration: draws the calibration prompts (mean source, partner heads).
            device: where tensors live.
        """
        self.runner = runner
        self.shape = shape
        self.device = device or torch.device("cpu")
        self.examples = examples
        self.n = examples.tokens.shape[0]
        columns = [examples.read, *examples.positions.values()]
        self.length = max(int(column.max()) for column in columns) + 1
        self.blocks = list(_blocks(examples, self.length, self.device))
        per_token = FLOAT_BYTES * TRACE_TENSORS * shape.n_layers * shape.d_model
        self._keep = 2 * per_token * self.n * self.length <= CACHE_BYTES
        self._zero = zero_source(shape, d_head, self.device)
        self._d_head = d_head
        self._calibration = calibration
        self._calibration_traces: dict[Base, Trace] = {}
        self._means: dict[Base, Trace] = {}
        self._roles: Mapping[Component, Tensor] | None = None
        self._partners: dict[tuple[Component, ...], tuple[Component, ...]] = {}

    def resolve(self, intervention: Intervention) -> Edit:
        """The intervention against this model and these prompts.

        Raises:
            SubjectError: a component, receiver or position that does not exist.
        """
        known = {ALL_POSITIONS, *self.examples.positions}
        if intervention.positions not in known:
            raise SubjectError(
                f"the task has no position {intervention.positions!r} (it has: {', '.join(sorted(known))})"
            )
        return resolve(intervention, self.shape, self.partners)

    def partners(self, heads: Sequence[Component]) -> Sequence[Component]:
        """Heads with nearly the same attention pattern on calibration prompts."""
        key = tuple(sorted(heads))
        if key and key not in self._partners:
            if self._roles is None:
                trace = self.calibration_trace("clean")
                layers = range(self.shape.n_layers)
                self._roles = roles([self.runner.patterns(trace, layer) for layer in layers])
            self._partners[key] = same_role_heads(key, self._roles)
        return self._partners.get(key, ())

    def measure(self, requests: Sequence[Request]) -> list[Mapping[str, Values]]:
        """Values of every request, in order; each metric has shape (prompts,)."""
        found: list[dict[str, Values]] = [
            {metric: np.empty(self.n) for metric in request.metrics} for request in requests
        ]
        batches = self._batches(requests)
        pairs: Iterable[tuple[list[int], Block]] = itertools.product(batches, self.blocks)
        if not self._keep:
            pairs = ((batch, block) for block in self.blocks for batch in batches)
        previous = self.blocks[0]
        for batch, block in pairs:
            if block is not previous and not self._keep:
                previous.traces.clear()
            previous = block
            values = self._run(block, [requests[index] for index in batch])
            for row, index in enumerate(batch):
                for metric, column in found[index].items():
                    column[block.rows] = values[metric][row].double().cpu().numpy()
        return list(found)

    def sibling(self, runner: Runner, prompts: int | None = None) -> "Engine":
        """The same model through any runner on the first prompts; no activation is shared."""
        examples = self.examples if prompts is None else first(self.examples, prompts)
        return Engine(runner, self.shape, self._d_head, examples, self._calibration, self.device)

    def patterns(self, block: Block, layer: int) -> Tensor:
        """Attention weights of the clean run, shape (n, heads, length, length)."""
        if layer not in block.patterns:
            block.patterns.clear()
            block.patterns[layer] = self.runner.patterns(self.trace(block, "clean"), layer)
        return block.patterns[layer]

    def trace(self, block: Block, base: Base) -> Trace:
        """Activations of the unedited run of a block's prompts."""
        if base not in block.traces:
            block.traces[base] = self.runner.trace(block.tokens(base), keys=True)
        return block.traces[base]

    def calibration_trace(self, base: Base) -> Trace:
        """Activations on the calibration prompts, cut to the length measured here.

        Raises:
            SubjectError: calibration prompts are shorter than the ones measured.
        """
        if base not in self._calibration_traces:
            drawn = self._calibration()
            tokens = drawn.tokens if base == "clean" else drawn.counterfactual
            if tokens.shape[1] < self.length:
                raise SubjectError(
                    f"calibration prompts have {tokens.shape[1]} tokens, the measured ones {self.length}: "
                    "a mean per position is not defined"
                )
            ids = torch.from_numpy(tokens[:, : self.length].copy()).to(self.device)
            self._calibration_traces[base] = self.runner.trace(ids)
        return self._calibration_traces[base]

    def writes(self, block: Block, edit: Edit) -> Writes:
        """Concrete tensors of an edit on a block."""
        intervention = edit.intervention
        base = self.trace(block, intervention.base)
        where, start = None, 0
        if intervention.positions != ALL_POSITIONS:
            column = block.positions[intervention.positions]
            where = position_mask(column, self.length)
            # Never past a read position: those must stay inside the computed suffix.
            start = min(int(column.min()), int(block.readout.read.min()))
        rotation = None
        if intervention.rotation >= 0:
            rotation = rotation_matrix(intervention.rotation, self.shape.d_model).to(self.device)
        source = self._source(block, intervention)
        writes = writes_of(edit, source, where, start, rotation)
        return self.runner.received(edit, writes, base) if edit.receivers else writes

    def compared(self, block: Block) -> Readout:
        """The block's readout with the clean run's log probabilities, which kl compares with."""
        if block.readout.clean_logprobs is None:
            logits = self.runner.base_logits(self.trace(block, "clean"), block.readout.read)
            block.readout = replace(block.readout, clean_logprobs=logits.log_softmax(-1))
        return block.readout

    def _source(self, block: Block, intervention: Intervention) -> Trace:
        match intervention.source:
            case "zero":
                return self._zero
            case "mean":
                base = intervention.base
                if base not in self._means:
                    self._means[base] = self.calibration_trace(base).mean()
                return self._means[base]
            case "counterfactual" | "clean" as prompt:
                return self.trace(block, prompt)
            case "unchanged":
                return self.trace(block, intervention.base)

    def _run(self, block: Block, requests: Sequence[Request]) -> Mapping[str, Tensor]:
        """One batch on one block; each metric (batch, prompts of the block)."""
        metrics = sorted({metric for request in requests for metric in request.metrics})
        readout = self.compared(block) if KL in metrics else block.readout
        base = self.trace(block, requests[0].edit.intervention.base)
        if requests[0].edit.empty:
            logits = self.runner.base_logits(base, readout.read)
            alone = from_logits(logits.unsqueeze(0), readout, metrics)
            return {name: values.expand(len(requests), -1) for name, values in alone.items()}
        writes = [self.writes(block, request.edit) for request in requests]
        order = sorted(range(len(writes)), key=lambda index: writes[index].entry)
        values = self.runner.measure(base, [writes[index] for index in order], readout, metrics)
        back = torch.tensor(order, device=self.device).argsort()
        return {name: column[back] for name, column in values.items()}

    def _batches(self, requests: Sequence[Request]) -> list[list[int]]:
        """Indices of requests that can run together: same base, first layer, kind of positions and readout."""
        groups: dict[tuple[Base, int, str, bool], list[int]] = {}
        for index, request in enumerate(requests):
            edit, intervention = request.edit, request.edit.intervention
            key = (
                intervention.base,
                first_layer(edit),
                intervention.positions,
                set(request.metrics) <= {LOGIT_DIFF},
            )
            groups.setdefault(key, []).append(index)
        batches = []
        for key, members in groups.items():
            size = self._batch_size(key[1], key[2])
            batches += [members[at : at + size] for at in range(0, len(members), size)]
        return batches

    def _batch_size(self, layer: int, positions: str) -> int:
        """Interventions per batch so that rows times positions is near `TARGET_TOKENS`."""
        rows = self.blocks[0].clean.shape[0]
        width = self.length
        if positions != ALL_POSITIONS:
            width -= int(self.examples.positions[positions].min())
        if layer == self.shape.n_layers - 1:
            width = 1
        return max(1, TARGET_TOKENS // (rows * max(1, width)))


def first(examples: Examples, count: int) -> Examples:
    """The first pairs of a block of examples."""
    rows = slice(0, count)
    return replace(
        examples,
        tokens=examples.tokens[rows],
        counterfactual=examples.counterfactual[rows],
        answers=examples.answers[rows],
        foils=examples.foils[rows],
        read=examples.read[rows],
        positions={name: column[rows] for name, column in examples.positions.items()},
        clusters=None if examples.clusters is None else examples.clusters[rows],
    )


def first_layer(edit: Edit) -> int:
    """The first layer whose computation an edit changes; -1 for an unedited run."""
    if edit.receivers:
        return min(receiver.layer for receiver in edit.receivers)
    return min([*edit.heads, *edit.mlps, *edit.resids], default=-1)


def _blocks(examples: Examples, length: int, device: torch.device) -> Iterator[Block]:
    n = examples.tokens.shape[0]
    size = max(1, min(n, TARGET_TOKENS // length))

    def column(values: NDArray[np.int64], rows: slice) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values[rows])).to(device)

    for at in range(0, n, size):
        rows = slice(at, min(n, at + size))
        yield Block(
            rows,
            column(examples.tokens[:, :length], rows),
            column(examples.counterfactual[:, :length], rows),
            Readout(
                column(examples.read, rows),
                column(examples.answers, rows),
                column(examples.foils, rows),
            ),
            {name: column(values, rows) for name, values in examples.positions.items()},
        )
