"""From files to a ready model: the library's own, and the kernel that shares its tensors."""

import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.harness.adapter import LibraryModel
from pytest_mecheval.harness.extraction import kernel_of
from pytest_mecheval.harness.kernel import Kernel, build_kernel, why_not
from pytest_mecheval.harness.weights import Checkpoint, classic_state_dict, read_checkpoint
from pytest_mecheval.vocabulary import ModelShape
from pytest_mecheval.wire import ModelRef

_BRIDGE_ONLY = 4
"""The transformer-lens major version that removed HookedTransformer."""
_OWN_BUFFERS = (".mask", ".IGNORE", ".rotary_sin", ".rotary_cos")
"""What HookedTransformer computes for itself."""


@dataclass
class Subject:
    """The model under study, loaded."""

    library: LibraryModel
    kernel: Kernel | None
    """None when the architecture is outside the kernel's family or failed the self-test."""
    fallback_reason: str = ""
    """Why there is no kernel; empty when there is one."""

    @property
    def shape(self) -> ModelShape:
        return self.library.shape

    @property
    def device(self) -> torch.device:
        return self.library.device


def load(model: ModelRef, device: str = "cpu") -> Subject:
    """The model a reference names.

    Raises:
        SubjectError: its files cannot be used.
    """
    if model.loader == "hub":
        return _from_hub(model, device)
    checkpoint = read_checkpoint(Path(model.config), Path(model.weights))
    return from_checkpoint(checkpoint, device)


def library_version() -> tuple[int, str]:
    """Major version and full version of the installed transformer-lens."""
    full = version("transformer-lens")
    return int(full.split(".")[0]), full


def from_checkpoint(checkpoint: Checkpoint, device: str = "cpu") -> Subject:
    """Both implementations of one checkpoint, sharing tensors where the layouts agree.

    Raises:
        SubjectError: the library refuses the configuration.
    """
    major, full = library_version()
    build = _bridge if major >= _BRIDGE_ONLY else _hooked
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = build(checkpoint, device)
    except (ValueError, TypeError, KeyError, NotImplementedError, AssertionError) as error:
        text = " ".join(str(error).split())
        raise SubjectError(f"transformer-lens {full} refuses this configuration: {text}") from None
    module.eval()
    module.requires_grad_(False)
    library = LibraryModel(module, checkpoint.shape, full)
    return Subject(library, build_kernel(checkpoint, device), why_not(checkpoint.settings))


def _bridge(checkpoint: Checkpoint, device: str) -> Any:
    """A TransformerBridge; built without storage first, so that file-backed tensors are used as they are."""
    from transformer_lens import TransformerBridge
    from transformer_lens.config import TransformerBridgeConfig

    settings = _constructor_settings(checkpoint)
    if settings["positional_embedding_type"] == "rotary" and not settings["rotary_adjacent_pairs"]:
        raise ValueError("its rotary embedding knows only rotary_adjacent_pairs = true")
    with torch.device("meta"):
        config = TransformerBridgeConfig(**settings, init_weights=False)
        bridge = TransformerBridge.boot_native(config)
    bridge.load_state_dict(dict(checkpoint.tensors), strict=True, assign=True)
    if not _causal_masks_restored(bridge):
        config = TransformerBridgeConfig(**settings, init_weights=False)
        bridge = TransformerBridge.boot_native(config)
        bridge.load_state_dict(dict(checkpoint.tensors), strict=True, assign=True)
    return bridge if device == "cpu" else bridge.to(device)


def _constructor_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Settings for a configuration class; None would override a default, except for the norm."""
    settings = {key: value for key, value in checkpoint.settings.items() if value is not None}
    return settings | {"normalization_type": checkpoint.settings["normalization_type"]}


def _causal_masks_restored(module: torch.nn.Module) -> bool:
    """Fill the causal masks the storage-free build left empty; False when anything else is empty."""
    for owner in module.modules():
        for name, buffer in list(owner.named_buffers(recurse=False)):
            if buffer.is_meta and name == "causal_mask":
                mask = torch.ones(buffer.shape, dtype=torch.bool).triu(1)
                owner.register_buffer(name, mask, persistent=False)
    tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
    return not any(tensor.is_meta for tensor in tensors)


def _hooked(checkpoint: Checkpoint, device: str) -> Any:
    """A classic HookedTransformer; its parameters are never initialised, so they cost no memory."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    settings = _constructor_settings(checkpoint)
    config = HookedTransformerConfig(**settings, init_weights=False, device=device, seed=None)
    model = HookedTransformer(config)
    state = {name: value.to(device) for name, value in classic_state_dict(checkpoint).items()}
    if settings["gated_mlp"]:
        # Parameters that no bridge has; uninitialised memory must not be computed with.
        for name, parameter in model.named_parameters():
            if name.endswith((".mlp.b_in", ".mlp.b_out")):
                state[name] = torch.zeros_like(parameter)
    result = model.load_state_dict(state, strict=False, assign=True)
    missing = [key for key in result.missing_keys if not key.endswith(_OWN_BUFFERS)]
    if missing or result.unexpected_keys:
        names = ", ".join([*missing, *result.unexpected_keys][:3])
        raise ValueError(f"tensor names differ: {names}")
    return model


def _from_hub(model: ModelRef, device: str) -> Subject:
    """A hub model (or a local Hugging Face directory) from the local cache.

    Nothing is downloaded, because the process starts with `HF_HUB_OFFLINE=1` (`__main__`); the hub's
    library reads that once, when it is imported.

    Raises:
        SubjectError: not in the local cache, or not an architecture the library knows.
    """
    major, full = library_version()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = _hub_module(model.name, major, device)
    except Exception as error:  # noqa: BLE001 - libraries raise anything for a model they cannot find
        text = " ".join(str(error).split())
        raise SubjectError(
            f"hub model {model.name!r}: not usable from the local cache: {text[:300]}"
        ) from None
    module.eval()
    module.requires_grad_(False)
    c = module.cfg
    d_mlp = 0 if getattr(c, "attn_only", False) else int(c.d_mlp or 0)
    shape = ModelShape(c.n_layers, c.n_heads, c.d_model, c.d_vocab, c.n_ctx, d_mlp)
    library = LibraryModel(module, shape, full)
    return Subject(library, *kernel_of(library))


def _hub_module(name: str, major: int, device: str) -> Any:
    if major >= _BRIDGE_ONLY:
        from transformer_lens import TransformerBridge

        return TransformerBridge.boot_transformers(name, device=device, dtype=torch.float32)
    from transformer_lens import HookedTransformer

    return HookedTransformer.from_pretrained_no_processing(name, device=device, dtype=torch.float32)
