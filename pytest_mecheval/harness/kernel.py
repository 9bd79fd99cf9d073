"""The transformer as plain functions of tensors, so that a run can start and stop anywhere.

This is the fast path: no hooks, no modules. It covers the usual pre-norm decoder (learned or no
positions; LayerNorm or RMS, with or without parameters; plain MLP or none). Whether it computes what
the library's model computes is not believed but checked at every load (`selftest`); models outside
this family run through the library with hooks (`hooked`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor

from pytest_mecheval.harness.weights import Checkpoint

Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: Mapping[str, Activation] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
}
_ATTENTION = ("w_q", "b_q", "w_k", "b_k", "w_v", "b_v", "w_o", "b_o")


@dataclass(frozen=True)
class Norm:
    """LayerNorm, RMSNorm, or nothing; with or without parameters."""

    kind: str
    """`LN`, `RMS`, or `` for the identity."""
    weight: Tensor | None
    bias: Tensor | None
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        """Normalised residual stream, same shape as `x` (..., d_model)."""
        if self.kind == "LN":
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        if self.kind == "RMS":
            scaled = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
            return scaled if self.weight is None else scaled * self.weight
        return x

    def linear_at(self, x: Tensor, direction: Tensor) -> Tensor:
        """`direction` pulled back through the norm with the scale frozen at `x`.

        Adding up `contribution @ result` over all contributions to `x`, plus `bias @ direction`,
        gives `norm(x) @ direction`. Shapes (n, d_model) -> (n, d_model).
        """
        if not self.kind:
            return direction
        if self.weight is not None:
            direction = direction * self.weight
        centred = x - x.mean(-1, keepdim=True) if self.kind == "LN" else x
        scale = torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + self.eps)
        if self.kind == "LN":
            direction = direction - direction.mean(-1, keepdim=True)
        return direction * scale


@dataclass(frozen=True)
class Layer:
    """Weights of one block; matrices are `(in, out)` views, so `x @ w + b` is the layer."""

    norm1: Norm
    w_q: Tensor
    b_q: Tensor
    w_k: Tensor
    b_k: Tensor
    w_v: Tensor
    b_v: Tensor
    w_o: Tensor
    b_o: Tensor
    norm2: Norm | None = None
    w_in: Tensor | None = None
    b_in: Tensor | None = None
    w_out: Tensor | None = None
    b_out: Tensor | None = None


@dataclass(frozen=True)
class Kernel:
    """A whole model as weights plus the four functions a forward pass is made of."""

    n_heads: int
    d_head: int
    scale: float
    embed: Tensor
    """(d_vocab, d_model)."""
    positions: Tensor | None
    """(n_ctx, d_model)."""
    layers: tuple[Layer, ...]
    final: Norm
    unembed: Tensor
    """(d_vocab, d_model): a row per token."""
    unembed_bias: Tensor
    activation: Activation

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    def embedded(self, tokens: Tensor) -> Tensor:
        """Residual stream entering block 0, shape (n, length, d_model)."""
        x = F.embedding(tokens, self.embed)
        return x if self.positions is None else x + self.positions[: tokens.shape[1]]

    def project(self, layer: int, letter: str, normed: Tensor) -> Tensor:
        """Queries, keys or values, shape (rows, length, heads, d_head)."""
        block = self.layers[layer]
        weight, bias = {
            "q": (block.w_q, block.b_q),
            "k": (block.w_k, block.b_k),
            "v": (block.w_v, block.b_v),
        }[letter]
        return split(affine(normed, weight, bias), -1, (self.n_heads, self.d_head))

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Attention output before W_O (`z`), shape (rows, queries, heads, d_head).

        Args:
            q: (rows, queries, heads, d_head).
            k: (rows, keys, heads, d_head).
            v: as `k`.
            mask: True where a query may look, broadcastable to (rows, heads, queries, keys);
                None: causal when there are as many queries as keys, else everything.
        """
        causal = mask is None and q.shape[1] == k.shape[1] and q.shape[1] > 1
        z = F.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=mask,
            is_causal=causal,
            scale=1.0 / self.scale,
        )
        return z.transpose(1, 2)

    def pattern(self, q: Tensor, k: Tensor) -> Tensor:
        """Causal attention weights, shape (rows, heads, length, length)."""
        scores = torch.einsum("rqhd,rkhd->rhqk", q, k) / self.scale
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        return scores.masked_fill(future, -math.inf).softmax(-1)

    def written(self, layer: int, z: Tensor) -> Tensor:
        """What the attention of a layer adds to the residual stream, shape (..., d_model)."""
        block = self.layers[layer]
        return affine(z.flatten(-2), block.w_o, block.b_o)

    def head_output(self, layer: int, head: int) -> Tensor:
        """W_O of one head, shape (d_head, d_model)."""
        return self.layers[layer].w_o[head * self.d_head : (head + 1) * self.d_head]

    def mlp(self, layer: int, resid_mid: Tensor) -> Tensor:
        """What the MLP of a layer adds to the residual stream, shape (..., d_model)."""
        block = self.layers[layer]
        if block.norm2 is None or block.w_in is None or block.w_out is None:
            raise ValueError(f"layer {layer} has no MLP")
        hidden = self.activation(affine(block.norm2(resid_mid), block.w_in, block.b_in))
        return affine(hidden, block.w_out, block.b_out)

    @property
    def has_mlp(self) -> bool:
        return self.layers[0].w_in is not None

    def logits(self, resid: Tensor) -> Tensor:
        """All logits, shape (..., d_vocab)."""
        return affine(self.final(resid), self.unembed.T, self.unembed_bias)


def split(x: Tensor, axis: int, sizes: tuple[int, ...]) -> Tensor:
    """One axis as several, a view (typed `Tensor.unflatten`)."""
    axis %= x.ndim
    return x.view(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`x @ weight + bias` in one call for any number of leading axes."""
    flat = x.reshape(-1, x.shape[-1])
    out = flat @ weight if bias is None else torch.addmm(bias, flat, weight)
    return out.view(*x.shape[:-1], weight.shape[1])


def why_not(settings: Mapping[str, Any]) -> str:
    """Why a configuration is outside the kernel's family; empty when it is inside.

    >>> why_not({"positional_embedding_type": "rotary"})
    "positional_embedding_type = 'rotary'"
    """
    wanted: Mapping[str, tuple[Any, ...]] = {
        "positional_embedding_type": ("standard",),
        "attention_dir": ("causal",),
        "gated_mlp": (False,),
        "final_rms": (False,),
        "n_key_value_heads": (None, settings.get("n_heads")),
        "normalization_type": ("LN", "LNPre", "RMS", "RMSPre", None),
    }
    for key, allowed in wanted.items():
        if settings.get(key, allowed[0]) not in allowed:
            return f"{key} = {settings[key]!r}"
    if not settings.get("attn_only", False) and settings.get("act_fn") not in ACTIVATIONS:
        return f"act_fn = {settings.get('act_fn')!r}"
    return ""


def build_kernel(checkpoint: Checkpoint, device: str = "cpu") -> Kernel | None:
    """The kernel of a checkpoint, sharing its tensors; None when it is outside the family."""
    settings = checkpoint.settings
    if why_not(settings):
        return None
    tensors = {name: tensor.to(device) for name, tensor in checkpoint.tensors.items()}
    kind = (settings["normalization_type"] or "").upper().removesuffix("PRE")

    def norm(name: str) -> Norm:
        weight, bias = tensors.get(f"{name}.weight"), tensors.get(f"{name}.bias")
        return Norm(kind, weight, bias, float(settings["eps"]))

    def block(index: int) -> Layer:
        prefix = f"blocks.{index}"
        w = {
            f"{'w' if kind == 'weight' else 'b'}_{letter}": tensors[
                f"{prefix}.attn.{letter}.{kind}"
            ]
            for letter in "qkvo"
            for kind in ("weight", "bias")
        }
        attention = {key: value.T if key[0] == "w" else value for key, value in w.items()}
        w_q, b_q, w_k, b_k, w_v, b_v, w_o, b_o = (attention[name] for name in _ATTENTION)
        layer = Layer(norm(f"{prefix}.ln1"), w_q, b_q, w_k, b_k, w_v, b_v, w_o, b_o)
        if settings["attn_only"]:
            return layer
        return replace(
            layer,
            norm2=norm(f"{prefix}.ln2"),
            w_in=tensors[f"{prefix}.mlp.in.weight"].T,
            b_in=tensors[f"{prefix}.mlp.in.bias"],
            w_out=tensors[f"{prefix}.mlp.out.weight"].T,
            b_out=tensors[f"{prefix}.mlp.out.bias"],
        )

    scale = settings["attn_scale"]
    return Kernel(
        n_heads=settings["n_heads"],
        d_head=settings["d_head"],
        scale=float(scale) if scale > 0 else math.sqrt(settings["d_head"]),
        embed=tensors["embed.weight"],
        positions=tensors["pos_embed.weight"],
        layers=tuple(block(index) for index in range(settings["n_layers"])),
        final=norm("ln_final"),
        unembed=tensors["unembed.weight"],
        unembed_bias=tensors["unembed.bias"],
        activation=ACTIVATIONS.get(settings["act_fn"], F.relu),
    )
