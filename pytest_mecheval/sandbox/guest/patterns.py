"""Attention weights of a plain module: what its softmax returns, or a stated module's output.

Most plain code has no module for them. Every torch function call passes through here during one unedited
forward pass, and the results shaped like attention weights are kept, one per layer in order.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

SOFTMAX = (torch.softmax, Tensor.softmax, functional.softmax)


class Watcher(TorchFunctionMode):
    """Keeps attention weights while it is active."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.kept: list[Tensor] = []
        """Shape (n, heads, queries, keys) each, in order of computation."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call through, and look at what came back."""
        named = kwargs or {}
        result = func(*args, **named)
        if func in SOFTMAX:
            self._keep(result)
        elif func is functional.scaled_dot_product_attention:
            self._keep(scaled(*args, **named))
        return result

    def _keep(self, weights: Tensor) -> None:
        if weights.ndim == 4 and weights.shape[1] == self._heads:
            self.kept.append(weights.detach().float())


def scaled(
    query: Tensor,
    key: Tensor,
    _value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001 - torch's signature
    is_causal: bool = False,
    scale: float | None = None,
    **_: Any,
) -> Tensor:
    """The weights `scaled_dot_product_attention` uses and does not return, (n, heads, queries, keys)."""
    scores = query @ key.transpose(-2, -1) * (scale or 1 / math.sqrt(query.shape[-1]))
    if is_causal:
        rows, columns = scores.shape[-2:]
        future = torch.ones(rows, columns, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(future, -math.inf)
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        else:
            scores = scores + attn_mask
    return scores.softmax(-1)
