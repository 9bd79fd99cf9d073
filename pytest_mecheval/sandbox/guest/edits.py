"""One edit of a model as plain values, and what it writes: from a source to a change of an activation."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from .frames import Unanswerable
from .subject import Change, Key, Trace

NOISE_SCALE = 3.0
"""Test activations are this much larger than the model's own, so that an edit cannot hide."""
OK, NO_HEAD, NO_MLP, NO_RESID, NO_TURN, NO_PATTERNS, SHORT = range(7)
"""What became of an edit; `run.driving.states` has the words."""
NO_PLACE = {"head": NO_HEAD, "mlp": NO_MLP, "resid": NO_RESID}


class Impossible(Exception):
    """This model cannot be edited that way; the others may go on."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Edit:
    """One edit with every head it touches; hashable, so that no forward pass is made twice."""

    heads: tuple[tuple[int, tuple[int, ...]], ...]
    mlps: tuple[int, ...]
    resids: tuple[int, ...]
    source: str
    base: str
    positions: str
    rotation: int

    @property
    def keys(self) -> set[Key]:
        """The components written."""
        found: set[Key] = {("head", layer) for layer, _ in self.heads}
        found |= {("mlp", layer) for layer in self.mlps}
        return found | {("resid", layer) for layer in self.resids}


def new_value(source: Trace | str, key: Key, own: Tensor) -> Tensor:
    if source == "zero":
        return torch.zeros_like(own)
    if source == "noise":
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(own.shape, generator=generator).to(own.dtype)
        return own + NOISE_SCALE * float(own.std().clamp_min(1.0)) * noise
    if isinstance(source, str):
        raise Unanswerable(f"no activations called {source}")
    return source[key].to(own.dtype).expand_as(own)


def written(source: Trace | str, key: Key, heads: tuple[int, ...], where: Tensor | None) -> Change:
    """Replace a component, or those heads of it, at the written positions."""
    chosen = list(heads)

    def change(own: Tensor, _: int) -> Tensor:
        new = new_value(source, key, own)
        if key[0] != "head":
            return new.clone() if where is None else torch.where(where, new, own)
        out = own.clone()
        part = new[:, :, chosen]
        mask = None if where is None else where.unsqueeze(-1)
        out[:, :, chosen] = part if mask is None else torch.where(mask, part, own[:, :, chosen])
        return out

    return change


def turned(source: Trace | str, key: Key, rotation: int, where: Tensor | None) -> Change:
    """The change, turned before it is added."""

    def change(own: Tensor, _: int) -> Tensor:
        turn = rotation_matrix(rotation, own.shape[-1]).to(own.dtype)
        delta = (new_value(source, key, own) - own) @ turn
        return own + (delta if where is None else delta * where)

    return change


def rotation_matrix(index: int, width: int) -> Tensor:
    """The index-th random orthogonal matrix, the harness's own (`harness.interventions`)."""
    seed = hashlib.sha256(f"rotation {index} {width}".encode()).digest()[:8]
    generator = torch.Generator().manual_seed(int.from_bytes(seed, "big") >> 1)
    gaussian = torch.randn(width, width, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    turned: Tensor = (q * r.diagonal().sign()).to(torch.float32)
    return turned
