"""From the words of an intervention to what is written where: resolved edits and concrete writes.

Meaning of components: a head is its output before W_O (`z`), a layer `a1` all its heads, an MLP its
output, `r1` the residual stream entering block 1, `input` the one entering block 0.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pytest_mecheval.errors import SubjectError, UsageError
from pytest_mecheval.vocabulary import Component, ModelShape
from pytest_mecheval.wire import Intervention

ALL_POSITIONS = "all"
LETTERS = ("q", "k", "v")
_RECEIVER = re.compile(r"(a\d+\.h\d+)(?:\.([qkv]))?")
_ROTATIONS_KEPT = 64

Partners = Callable[[Sequence[Component]], Sequence[Component]]
"""Heads that play the same role as the given ones (calibration data)."""


@dataclass(frozen=True)
class Receiver:
    """One input of one head: its query, key or value side."""

    layer: int
    head: int
    letter: str


@dataclass(frozen=True)
class Edit:
    """An intervention resolved against a model: every component it touches, by layer."""

    intervention: Intervention
    heads: Mapping[int, tuple[int, ...]]
    mlps: tuple[int, ...]
    resids: tuple[int, ...]
    receivers: tuple[Receiver, ...] = ()
    partners: tuple[str, ...] = ()
    """Same-role heads found for a joint intervention, canonical names."""

    @property
    def empty(self) -> bool:
        """True when nothing is written: an unedited run of the base prompt."""
        return not (self.heads or self.mlps or self.resids)


def resolve(intervention: Intervention, shape: ModelShape, partners: Partners) -> Edit:
    """Expand layers into heads, find partners, read receivers.

    Raises:
        SubjectError: a component or receiver that the model does not have.
    """
    named = [_component(text, shape) for text in intervention.components]
    found: list[Component] = []
    if intervention.joint != "alone":
        found = list(partners([c for c in named if c.kind == "head"]))
    chosen = found if intervention.joint == "partners_only" else named + found
    heads: dict[int, set[int]] = {}
    mlps: set[int] = set()
    resids: set[int] = set()
    for component in chosen:
        match component.kind:
            case "head":
                heads.setdefault(component.layer, set()).add(component.head)
            case "attn":
                heads.setdefault(component.layer, set()).update(range(shape.n_heads))
            case "mlp":
                mlps.add(component.layer)
            case "resid" | "input":
                resids.add(component.layer)
    return Edit(
        intervention,
        {layer: tuple(sorted(found)) for layer, found in sorted(heads.items())},
        tuple(sorted(mlps)),
        tuple(sorted(resids)),
        tuple(r for text in intervention.receivers for r in _receivers(text, shape)),
        tuple(str(component) for component in found),
    )


def _component(text: str, shape: ModelShape) -> Component:
    try:
        component = Component.parse(text)
    except UsageError as error:
        raise SubjectError(str(error)) from None
    if not shape.has(component):
        raise SubjectError(f"the model has no component {component}")
    return component


def _receivers(text: str, shape: ModelShape) -> tuple[Receiver, ...]:
    match = _RECEIVER.fullmatch(text)
    if match is None:
        raise SubjectError(f"unknown receiver {text!r} (allowed: a1.h6.q, a1.h6.k, a1.h6.v, a1.h6)")
    head = _component(match[1], shape)
    letters = (match[2],) if match[2] else LETTERS
    return tuple(Receiver(head.layer, head.head, letter) for letter in letters)


@dataclass(frozen=True)
class Trace:
    """Activations of one unedited run on a block of prompts; also the shape of a written source.

    As a source every tensor may have 1 in place of n or of length: it is then written everywhere.
    """

    resid_pre: Sequence[Tensor]
    """Entering each block and, last, leaving the last one; (n, length, d_model)."""
    resid_mid: Sequence[Tensor]
    """After attention, before the MLP; (n, length, d_model). Empty in a source."""
    z: Sequence[Tensor]
    """(n, length, heads, d_head) per layer."""
    mlp: Sequence[Tensor]
    """(n, length, d_model) per layer; empty for an attention-only model."""
    keys: Sequence[Tensor] = ()
    """(n, length, heads, d_head) per layer, where position reuse needs them."""
    values: Sequence[Tensor] = ()
    tokens: Tensor | None = None
    """The prompts, (n, length); None in a source."""

    @property
    def bytes(self) -> int:
        """Memory held."""
        lists = (self.resid_pre, self.resid_mid, self.z, self.mlp, self.keys, self.values)
        return sum(t.nbytes for tensors in lists for t in tensors)

    def mean(self) -> "Trace":
        """The per-position mean over prompts, as a source."""

        def averaged(tensors: Sequence[Tensor]) -> list[Tensor]:
            return [tensor.mean(0, keepdim=True) for tensor in tensors]

        return Trace(averaged(self.resid_pre), (), averaged(self.z), averaged(self.mlp))


def zero_source(shape: ModelShape, d_head: int, device: torch.device) -> Trace:
    """Zeros for every component."""
    resid = torch.zeros(1, 1, shape.d_model, device=device)
    z = torch.zeros(1, 1, shape.n_heads, d_head, device=device)
    layers = shape.n_layers
    return Trace([resid] * (layers + 1), (), [z] * layers, [resid] * layers)


@dataclass(frozen=True)
class Writes:
    """Concrete tensors of one intervention on one block of prompts."""

    z: Mapping[int, tuple[tuple[int, ...], Tensor]] = field(default_factory=dict)
    """layer -> heads and their values (n|1, length|1, heads, d_head)."""
    mlp: Mapping[int, Tensor] = field(default_factory=dict)
    resid: Mapping[int, Tensor] = field(default_factory=dict)
    letters: Mapping[int, Sequence[tuple[Receiver, Tensor]]] = field(default_factory=dict)
    """layer -> receivers and the queries, keys or values (n, length, d_head) they get."""
    where: Tensor | None = None
    """(n, length, 1), True at written positions; None: everywhere."""
    start: int = 0
    """Positions before this one are as in the base run (causal attention)."""
    rotation: Tensor | None = None
    """(d_model, d_model) orthogonal: the change is turned before it is added."""

    @property
    def entry(self) -> tuple[int, int]:
        """First layer touched and how late in it: 0 its input, 1 its heads, 2 its MLP."""
        stages = [(layer, 0) for layer in (*self.resid, *self.letters)]
        stages += [(layer, 1) for layer in self.z]
        stages += [(layer, 2) for layer in self.mlp]
        return min(stages)


def writes_of(
    edit: Edit, source: Trace, where: Tensor | None, start: int, rotation: Tensor | None
) -> Writes:
    """The writes of an edit without receivers."""
    return Writes(
        z={
            layer: (heads, source.z[layer][:, :, _index(heads)])
            for layer, heads in edit.heads.items()
        },
        mlp={layer: source.mlp[layer] for layer in edit.mlps},
        resid={layer: source.resid_pre[layer] for layer in edit.resids},
        where=where,
        start=start,
        rotation=rotation,
    )


def _index(heads: tuple[int, ...]) -> slice | list[int]:
    """A view for neighbouring heads, a copy otherwise."""
    if heads == tuple(range(heads[0], heads[-1] + 1)):
        return slice(heads[0], heads[-1] + 1)
    return list(heads)


def sender_delta(
    writes: Writes, base: Trace, layer: int, output_matrix: Callable[[int], Tensor]
) -> Tensor:
    """What the senders change in the residual stream entering `layer`, everything between frozen.

    Senders that are not upstream of `layer` change nothing there.

    Source: Wang et al. 2022, arXiv:2211.00593, appendix B (path patching).

    Args:
        writes: the senders' values.
        base: the run being edited.
        layer: the receiver's layer.
        output_matrix: W_O of a layer, shape (heads, d_head, d_model).

    Returns:
        Shape (n, length, d_model).
    """
    delta = torch.zeros_like(base.resid_pre[layer])
    for sender, (heads, value) in writes.z.items():
        if sender < layer:
            change = (value - base.z[sender][:, :, _index(heads)]).flatten(-2)
            delta += change @ output_matrix(sender)[_index(heads)].flatten(0, 1)
    for sender, value in writes.mlp.items():
        if sender < layer:
            delta += value - base.mlp[sender]
    for sender, value in writes.resid.items():
        if sender <= layer:
            delta += value - base.resid_pre[sender]
    if writes.rotation is not None:
        delta = delta @ writes.rotation
    return delta if writes.where is None else delta * writes.where


def position_mask(column: Tensor, length: int) -> Tensor:
    """(n, length, 1), True at one position of each prompt; (n,) in."""
    steps = torch.arange(length, device=column.device)
    return (steps[None, :] == column[:, None]).unsqueeze(-1)


@functools.lru_cache(maxsize=_ROTATIONS_KEPT)
def rotation_matrix(index: int, width: int) -> Tensor:
    """The index-th random orthogonal matrix, uniform (Haar), shape (width, width); same on every machine's CPU.

    Source: Mezzadri 2007, Notices of the AMS 54(5), section 5 (QR with the sign of R's diagonal).
    """
    seed = hashlib.sha256(f"rotation {index} {width}".encode()).digest()[:8]
    generator = torch.Generator().manual_seed(int.from_bytes(seed, "big") >> 1)
    gaussian = torch.randn(width, width, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    turned: Tensor = (q * r.diagonal().sign()).to(torch.float32)
    return turned
