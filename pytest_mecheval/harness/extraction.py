"""A kernel from a model that the library loaded itself (hub models): weights by their classic names.

Nothing here needs to be right for every architecture: what cannot be read gives no kernel, and what is
read wrongly differs from the library's model, which the self-test notices.
"""

import math
from typing import Any

import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor

from pytest_mecheval.harness.adapter import LibraryModel
from pytest_mecheval.harness.kernel import ACTIVATIONS, Kernel, Layer, Norm, why_not

_DECISIVE = (
    "positional_embedding_type",
    "attention_dir",
    "gated_mlp",
    "final_rms",
    "n_heads",
    "n_key_value_heads",
    "normalization_type",
    "attn_only",
    "act_fn",
)
"""Settings that `why_not` looks at."""


def kernel_of(library: LibraryModel) -> tuple[Kernel | None, str]:
    """The kernel of a loaded model, or None and why there is none."""
    config = library.module.cfg
    settings = {key: getattr(config, key) for key in _DECISIVE if hasattr(config, key)}
    if reason := why_not(settings):
        return None, reason
    try:
        return _read(library, config), ""
    except (AttributeError, KeyError, TypeError, RuntimeError, ValueError) as error:
        return None, f"its weights have no classic names ({type(error).__name__}: {error})"


def _read(library: LibraryModel, config: Any) -> Kernel:
    module = library.module
    final, unembed, bias = library.readout()

    def norm(owner: Any) -> Norm:
        weight = getattr(owner, "w", None) if final.weight is not None else None
        return Norm(
            final.kind, weight, getattr(owner, "b", None) if weight is not None else None, final.eps
        )

    def merged(weight: Tensor) -> Tensor:
        """(heads, d_model, d_head) -> (d_model, heads * d_head)."""
        return weight.permute(1, 0, 2).flatten(1).contiguous()

    layers = []
    for block in module.blocks:
        a = block.attn
        attention = (
            merged(a.W_Q), a.b_Q.flatten(), merged(a.W_K), a.b_K.flatten(),
            merged(a.W_V), a.b_V.flatten(), a.W_O.flatten(0, 1), a.b_O,
        )  # fmt: skip
        if library.shape.d_mlp:
            mlp = block.mlp
            parts = (norm(block.ln2), mlp.W_in, mlp.b_in, mlp.W_out, mlp.b_out)
            layers.append(Layer(norm(block.ln1), *attention, *parts))
        else:
            layers.append(Layer(norm(block.ln1), *attention))
    scale = float(getattr(config, "attn_scale", -1.0) or -1.0)
    return Kernel(
        n_heads=config.n_heads,
        d_head=config.d_head,
        scale=scale if scale > 0 else math.sqrt(config.d_head),
        embed=module.W_E,
        positions=module.W_pos,
        layers=tuple(layers),
        final=final,
        unembed=unembed,
        unembed_bias=bias,
        activation=ACTIVATIONS.get(config.act_fn, F.relu),
    )
