"""A model's configuration and tensors as files hold them, in one naming, checked before anything is built.

Two spellings of tensor names are read: classic HookedTransformer (`blocks.0.attn.W_Q`) and
TransformerBridge (`blocks.0.attn.q.weight`). Inside the harness only the second one exists.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.vocabulary import ModelShape

REQUIRED = ("n_layers", "d_model", "n_ctx", "d_head", "n_heads", "d_vocab")
OPTIONAL: Mapping[str, Any] = {
    "d_mlp": None,
    "attn_only": False,
    "act_fn": "relu",
    "normalization_type": "LN",
    "eps": 1e-5,
    "positional_embedding_type": "standard",
    "attn_scale": -1.0,
    "attention_dir": "causal",
    "final_rms": False,
    "gated_mlp": False,
    "n_key_value_heads": None,
    "rotary_dim": None,
    "rotary_base": 10000,
    "rotary_adjacent_pairs": False,
    "d_vocab_out": -1,
}
"""Settings that reach the library; a file that leaves one out gets transformer-lens's own default."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "use_attn_scale": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "parallel_attn_mlp": (False,),
    "use_local_attn": (False,),
    "post_embedding_ln": (False,),
    "use_normalization_before_and_after": (False,),
    "use_qk_norm": (False,),
    "attn_scores_soft_cap": (-1, -1.0, None),
    "output_logits_soft_cap": (-1, -1.0, None),
    "num_experts": (None,),
    "window_size": (None,),
    "shortformer_pos": (False,),
    "use_NTK_by_parts_rope": (False,),
    "rope_scaling": (None,),
}
"""Settings that change the computation in one transformer-lens version and not in another."""

_BUFFERS = re.compile(r"\.(mask|IGNORE|causal_mask|rotary_sin|rotary_cos|cos_cached|sin_cached)$")
_RAW_NAMES = (
    ("_original_component.", ""),
    ("tok_embed.", "embed."),
    ("layers.", "blocks."),
    ("ln_out.", "ln_final."),
    ("fc_in.", "in."),
    ("fc_out.", "out."),
)
_CLASSIC = {
    "W_Q": "q.weight",
    "W_K": "k.weight",
    "W_V": "v.weight",
    "_W_K": "k.weight",
    "_W_V": "v.weight",
    "W_O": "o.weight",
    "b_Q": "q.bias",
    "b_K": "k.bias",
    "b_V": "v.bias",
    "_b_K": "k.bias",
    "_b_V": "v.bias",
    "b_O": "o.bias",
    "W_in": "in.weight",
    "b_in": "in.bias",
    "W_out": "out.weight",
    "b_out": "out.bias",
    "W_gate": "gate.weight",
    "b_gate": "gate.bias",
    "W_U": "weight",
    "b_U": "bias",
    "W_E": "weight",
    "W_pos": "weight",
    "w": "weight",
    "b": "bias",
}
_TRANSPOSED = ("W_in", "W_out", "W_gate", "W_U")


@dataclass(frozen=True)
class Checkpoint:
    """One model as data: settings and tensors, nothing built yet."""

    settings: Mapping[str, Any]
    """`REQUIRED` and `OPTIONAL` keys, all present."""
    tensors: Mapping[str, Tensor] = field(repr=False)
    """Bridge names, `(out, in)` orientation, float32; memory-mapped where the file is float32."""

    @property
    def shape(self) -> ModelShape:
        """How big the model is."""
        s = self.settings
        d_mlp = 0 if s["attn_only"] else s["d_mlp"]
        return ModelShape(
            s["n_layers"], s["n_heads"], s["d_model"], s["d_vocab"], s["n_ctx"], d_mlp
        )


def read_checkpoint(config: Path, weights: Path) -> Checkpoint:
    """Configuration and tensors of a `transformer_lens` model.

    Raises:
        SubjectError: a file cannot be read, a tensor is missing, unknown or of another shape.
    """
    settings = read_settings(config)
    tensors = _read_tensors(weights)
    named = _bridge_names(tensors, settings, weights.name)
    _check_shapes(named, settings, weights.name)
    return Checkpoint(settings, named)


def read_settings(config: Path) -> dict[str, Any]:
    """The settings of a transformer-lens `config.json`, defaults filled in.

    Raises:
        SubjectError: not JSON, a required key missing, or a setting we cannot reproduce faithfully.
    """
    try:
        body = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SubjectError(f"{config.name}: cannot be read as JSON: {error}") from None
    if not isinstance(body, dict):
        raise SubjectError(f"{config.name}: must hold one JSON object")
    missing = [key for key in REQUIRED if not isinstance(body.get(key), int)]
    if missing:
        raise SubjectError(f"{config.name}: whole numbers needed for {', '.join(missing)}")
    if wrong := [key for key in REQUIRED if body[key] < 1]:
        raise SubjectError(f"{config.name}: must be at least 1: {', '.join(wrong)}")
    for key, allowed in NEUTRAL.items():
        if body.get(key, allowed[0]) not in allowed:
            raise SubjectError(
                f"{config.name}: {key} = {body[key]!r} is not supported (allowed: {allowed[0]!r})"
            )
    if body.get("positional_embedding_type") == "rotary" and "rotary_adjacent_pairs" not in body:
        raise SubjectError(
            f"{config.name}: a rotary model must state rotary_adjacent_pairs, "
            "because transformer-lens versions pair dimensions differently"
        )
    settings = {key: body[key] for key in REQUIRED}
    settings |= {key: body.get(key, default) for key, default in OPTIONAL.items()}
    settings["attn_only"] = bool(settings["attn_only"])
    if settings["d_mlp"] is None:
        settings["d_mlp"] = 4 * settings["d_model"]
    if settings["d_vocab_out"] in (None, -1):
        settings["d_vocab_out"] = settings["d_vocab"]
    return settings


def _read_tensors(weights: Path) -> dict[str, Tensor]:
    try:
        return load_file(weights)
    except (OSError, SafetensorError, ValueError) as error:
        raise SubjectError(f"{weights.name}: cannot be read as safetensors: {error}") from None


def _bridge_names(
    tensors: Mapping[str, Tensor], settings: Mapping[str, Any], file: str
) -> dict[str, Tensor]:
    """Tensors under bridge names in `(out, in)` orientation and float32."""
    named: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if _BUFFERS.search(key):
            continue
        if not tensor.is_floating_point():
            raise SubjectError(f"{file}: {key} holds {tensor.dtype}, need floating-point numbers")
        stem, _, last = key.rpartition(".")
        if last in _CLASSIC:
            name, tensor = f"{stem}.{_CLASSIC[last]}", _reoriented(last, tensor)
        else:
            name = key
            for old, new in _RAW_NAMES:
                name = name.replace(old, new)
            name = re.sub(r"^pos\.", "pos_embed.", re.sub(r"^head\.", "unembed.", name))
        named[name] = tensor.to(torch.float32)
    if settings["gated_mlp"]:
        _drop_gated_biases(named, file)
    for name, shape in expected_shapes(settings).items():
        if name.endswith(".bias"):
            named.setdefault(name, torch.zeros(shape))
    return named


def _drop_gated_biases(named: dict[str, Tensor], file: str) -> None:
    """Classic gated MLPs carry biases, bridges have none: only zeros mean the same in both."""
    for name in [name for name in named if re.search(r"\.mlp\.(in|out|gate)\.bias$", name)]:
        if bool(named.pop(name).any()):
            raise SubjectError(
                f"{file}: {name} is not zero; biases of a gated MLP are not supported"
            )


def _reoriented(last: str, tensor: Tensor) -> Tensor:
    """A classic tensor as the weight of an `nn.Linear`: `(out, in)`; a view where it can be one."""
    if last in _TRANSPOSED and tensor.ndim == 2:
        return tensor.T
    if tensor.ndim == 3 and last == "W_O":
        return tensor.reshape(-1, tensor.shape[-1]).T
    if tensor.ndim == 3:
        return tensor.permute(0, 2, 1).reshape(-1, tensor.shape[1])
    return tensor.reshape(-1) if last in ("b_Q", "b_K", "b_V", "_b_K", "_b_V") else tensor


def expected_shapes(settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every tensor the settings ask for, bridge names, with its shape."""
    s = settings
    width, q_width = s["d_model"], s["n_heads"] * s["d_head"]
    kv_width = (s["n_key_value_heads"] or s["n_heads"]) * s["d_head"]
    norm = (s["normalization_type"] or "").upper()
    shapes: dict[str, tuple[int, ...]] = {"embed.weight": (s["d_vocab"], width)}
    if s["positional_embedding_type"] == "standard":
        shapes["pos_embed.weight"] = (s["n_ctx"], width)
    norms = ["ln_final"]
    for layer in range(s["n_layers"]):
        block = f"blocks.{layer}"
        norms += [f"{block}.ln1"] + ([] if s["attn_only"] else [f"{block}.ln2"])
        for letter, rows in (("q", q_width), ("k", kv_width), ("v", kv_width)):
            shapes[f"{block}.attn.{letter}.weight"] = (rows, width)
            shapes[f"{block}.attn.{letter}.bias"] = (rows,)
        shapes[f"{block}.attn.o.weight"] = (width, q_width)
        shapes[f"{block}.attn.o.bias"] = (width,)
        if not s["attn_only"]:
            shapes[f"{block}.mlp.in.weight"] = (s["d_mlp"], width)
            shapes[f"{block}.mlp.out.weight"] = (width, s["d_mlp"])
            if s["gated_mlp"]:
                shapes[f"{block}.mlp.gate.weight"] = (s["d_mlp"], width)
            else:
                shapes[f"{block}.mlp.in.bias"] = (s["d_mlp"],)
                shapes[f"{block}.mlp.out.bias"] = (width,)
    for name in norms:
        if norm in ("LN", "RMS"):
            shapes[f"{name}.weight"] = (width,)
        if norm == "LN":
            shapes[f"{name}.bias"] = (width,)
    shapes["unembed.weight"] = (s["d_vocab_out"], width)
    shapes["unembed.bias"] = (s["d_vocab_out"],)
    return shapes


def _check_shapes(named: Mapping[str, Tensor], settings: Mapping[str, Any], file: str) -> None:
    expected = expected_shapes(settings)
    if missing := sorted(expected.keys() - named.keys()):
        raise SubjectError(f"{file}: lacks {_some(missing)}, which the configuration asks for")
    if unknown := sorted(named.keys() - expected.keys()):
        raise SubjectError(f"{file}: holds {_some(unknown)}, which the configuration does not know")
    for name, shape in expected.items():
        if tuple(named[name].shape) != shape:
            raise SubjectError(
                f"{file}: {name} has shape {tuple(named[name].shape)}, the configuration says {shape}"
            )


def _some(names: list[str]) -> str:
    shown = 3
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest


def classic_state_dict(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The same tensors under classic HookedTransformer names and shapes, as views."""
    s = checkpoint.settings
    heads, kv_heads = s["n_heads"], s["n_key_value_heads"] or s["n_heads"]
    underscore = "_" if s["n_key_value_heads"] else ""
    classic: dict[str, Tensor] = {}
    for name, tensor in checkpoint.tensors.items():
        *path, letter, kind = name.split(".")
        stem, weight = ".".join(path), kind == "weight"
        if letter in ("q", "k", "v"):
            count = heads if letter == "q" else kv_heads
            prefix = "" if letter == "q" else underscore
            split = tensor.reshape(count, -1, s["d_model"]).transpose(1, 2) if weight else None
            key = f"{stem}.{prefix}{'W' if weight else 'b'}_{letter.upper()}"
            classic[key] = tensor.reshape(count, -1) if split is None else split
        elif letter == "o":
            key = f"{stem}.{'W' if weight else 'b'}_O"
            classic[key] = tensor.T.reshape(heads, -1, s["d_model"]) if weight else tensor
        elif letter in ("in", "out", "gate"):
            classic[f"{stem}.{'W' if weight else 'b'}_{letter}"] = tensor.T if weight else tensor
        elif letter == "unembed":
            classic[f"unembed.{'W' if weight else 'b'}_U"] = tensor.T if weight else tensor
        elif letter == "embed":
            classic["embed.W_E"] = tensor
        elif letter == "pos_embed":
            classic["pos_embed.W_pos"] = tensor
        else:
            classic[f"{stem}.{letter}.{'w' if weight else 'b'}".removeprefix(".")] = tensor
    return classic
