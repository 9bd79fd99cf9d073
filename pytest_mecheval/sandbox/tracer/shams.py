"""Weights that differ in a known way: heads permuted (the function stays), or entries shuffled.

A number that comes out of a forward pass must follow: under permuted heads every clean number stays and
every head's effect moves to a known other head; under shuffled weights everything changes.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MAX_HEADS = 4096
MIN_SHUFFLED_RANK = 2
"""Vectors (norms, biases) stay: shuffled norms would only add nonsense."""


@dataclass(frozen=True)
class Part:
    """How one tensor of an attention layer holds its heads."""

    pattern: re.Pattern[str]
    axis: int
    blocks: int = 1
    """Equal parts along the axis that hold heads each (fused q, k, v: 3)."""
    per_head: bool = False
    """True when the axis is the head axis itself."""
    grouped: bool = False
    """True for keys and values, which grouped-query attention has fewer of."""


@dataclass(frozen=True)
class Layout:
    """One family of checkpoints; group 1 of every pattern is the layer."""

    name: str
    parts: tuple[Part, ...]


def _part(pattern: str, axis: int, **fields: Any) -> Part:
    return Part(re.compile(rf"(?:^|.*?\.){pattern}$"), axis, **fields)


LAYOUTS = (
    Layout(
        "transformer_lens bridge",
        (
            _part(r"blocks\.(\d+)\.attn\.q\.(?:weight|bias)", 0),
            _part(r"blocks\.(\d+)\.attn\.[kv]\.(?:weight|bias)", 0, grouped=True),
            _part(r"blocks\.(\d+)\.attn\.o\.weight", 1),
        ),
    ),
    Layout(
        "HookedTransformer",
        (
            _part(r"blocks\.(\d+)\.attn\.(?:W_Q|b_Q|W_O)", 0, per_head=True),
            _part(r"blocks\.(\d+)\.attn\._?(?:W_K|b_K|W_V|b_V)", 0, per_head=True, grouped=True),
        ),
    ),
    Layout(
        "GPT-2",
        (
            _part(r"h\.(\d+)\.attn\.c_attn\.weight", 1, blocks=3),
            _part(r"h\.(\d+)\.attn\.c_attn\.bias", 0, blocks=3),
            _part(r"h\.(\d+)\.attn\.c_proj\.weight", 0),
        ),
    ),
    Layout(
        "GPT-NeoX",
        (
            _part(r"layers\.(\d+)\.attention\.query_key_value\.(?:weight|bias)", 0),
            _part(r"layers\.(\d+)\.attention\.dense\.weight", 1),
        ),
    ),
    Layout(
        "separate projections",
        (
            _part(r"layers?\.(\d+)\.self_attn\.q_proj\.(?:weight|bias)", 0),
            _part(r"layers?\.(\d+)\.self_attn\.[kv]_proj\.(?:weight|bias)", 0, grouped=True),
            _part(r"layers?\.(\d+)\.self_attn\.(?:o|out)_proj\.weight", 1),
        ),
    ),
    Layout(
        "BERT",
        (
            _part(r"layer\.(\d+)\.attention\.self\.(?:query|key|value)\.(?:weight|bias)", 0),
            _part(r"layer\.(\d+)\.attention\.output\.dense\.weight", 1),
        ),
    ),
    Layout(
        "torch MultiheadAttention",
        (
            _part(r"(\d+)\.(?:self_attn|attn|attention)\.in_proj_(?:weight|bias)", 0, blocks=3),
            _part(r"(\d+)\.(?:self_attn|attn|attention)\.out_proj\.weight", 1),
        ),
    ),
)


@dataclass
class Applied:
    """What a sham did to one set of tensors."""

    kind: str
    layout: str = ""
    heads: int = 0
    groups: int = 0
    permutations: dict[str, list[int]] = field(default_factory=dict)
    """Per layer: slot i now holds the head that was at permutations[layer][i]."""
    tensors: int = 0
    reason: str = ""
    """Why nothing was changed; empty when something was."""


def derangement(count: int, rng: random.Random) -> list[int]:
    """A permutation of range(count) without fixed point; count must be at least 2.

    >>> found = derangement(5, random.Random(0))
    >>> sorted(found), any(i == v for i, v in enumerate(found))
    ([0, 1, 2, 3, 4], False)
    """
    order = list(range(count))
    while any(index == value for index, value in enumerate(order)):
        rng.shuffle(order)
    return order


def head_order(heads: int, groups: int, rng: random.Random) -> tuple[list[int], list[int]]:
    """Orders of query heads and of key-value groups that move together and leave no head in place."""
    if groups == heads:
        order = derangement(heads, rng)
        return order, order
    size = heads // groups
    if groups > 1:
        moved = derangement(groups, rng)
        return [group * size + index for group in moved for index in range(size)], moved
    return derangement(heads, rng), [0]


def permute_heads(
    tensors: Mapping[str, Tensor], heads: int, groups: int, seed: int
) -> tuple[dict[str, Tensor], Applied]:
    """The same function with its heads in another order.

    Args:
        tensors: a checkpoint by name; never changed in place.
        heads: query heads per layer; 0 when unknown.
        groups: key-value heads per layer, 0 for as many as `heads`.
        seed: of the permutation; one stream per layer.
    """
    groups = groups or heads
    report = Applied("headperm", heads=heads, groups=groups)
    if not 1 < heads <= MAX_HEADS:
        report.reason = "the number of heads is unknown" if heads < 2 else "too many heads"
        return dict(tensors), report
    if heads % groups:
        report.reason = f"{heads} heads do not divide into {groups} groups"
        return dict(tensors), report
    for layout in LAYOUTS:
        matched = [
            (name, part, match[1])
            for name in tensors
            for part in layout.parts
            if (match := part.pattern.match(name))
        ]
        if {part for _, part, _ in matched} >= set(_required(layout)):
            return _permuted(tensors, layout, matched, report, seed)
    report.reason = "no attention weights with a known layout"
    return dict(tensors), report


def _required(layout: Layout) -> list[Part]:
    return [part for part in layout.parts if not part.pattern.pattern.endswith("bias$")]


def _permuted(
    tensors: Mapping[str, Tensor],
    layout: Layout,
    matched: list[tuple[str, Part, str]],
    report: Applied,
    seed: int,
) -> tuple[dict[str, Tensor], Applied]:
    changed = dict(tensors)
    orders: dict[str, tuple[list[int], list[int]]] = {}
    for name, part, layer in matched:
        if layer not in orders:
            rng = random.Random(f"{seed} {layer}")  # noqa: S311 - a permutation, not a secret
            orders[layer] = head_order(report.heads, report.groups, rng)
        order = orders[layer][1 if part.grouped else 0]
        done = reordered(tensors[name], part, order)
        if done is None:
            report.reason = f"{name}: shape does not divide into {len(order)} heads"
            return dict(tensors), report
        changed[name] = done
        report.tensors += 1
    report.layout = layout.name
    report.permutations = {layer: list(order) for layer, (order, _) in sorted(orders.items())}
    return changed, report


def reordered(tensor: Tensor, part: Part, order: list[int]) -> Tensor | None:
    """A copy with the head blocks of one axis in another order; None when the axis does not divide."""
    size = tensor.shape[part.axis]
    if part.per_head:
        if size != len(order):
            return None
        index = torch.tensor(order)
    else:
        if size % (part.blocks * len(order)):
            return None
        width = size // (part.blocks * len(order))
        one = [head * width + i for head in order for i in range(width)]
        span = size // part.blocks
        index = torch.tensor([block * span + i for block in range(part.blocks) for i in one])
    return tensor.index_select(part.axis, index.to(tensor.device)).contiguous()


def shuffle(tensors: Mapping[str, Tensor], seed: int) -> tuple[dict[str, Tensor], Applied]:
    """Every matrix with its entries in random order: same distribution, no function left."""
    report = Applied("shuffle")
    generator = torch._C.Generator(device="cpu").manual_seed(seed)
    changed = dict(tensors)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.dim() < MIN_SHUFFLED_RANK:
            continue
        order = torch.randperm(tensor.numel(), generator=generator, device="cpu")
        flat = tensor.detach().reshape(-1)
        changed[name] = flat[order.to(flat.device)].reshape(tensor.shape)
        report.tensors += 1
    if not report.tensors:
        report.reason = "no weight matrices in this load"
    return changed, report
