"""The library's own model behind one small interface: run with hooks, read activations, stub blocks.

This is the reference path. It knows transformer-lens only by the old hook names, which both
`HookedTransformer` (2.x, 3.x) and `TransformerBridge` (4.x) answer to.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pytest_mecheval.errors import HarnessError
from pytest_mecheval.harness.kernel import Norm
from pytest_mecheval.vocabulary import ModelShape

HookFunction = Callable[[Tensor], Tensor | None]
"""Gets the activation, returns what replaces it, or None to leave it."""
Hooks = Sequence[tuple[str, HookFunction]]


class Activations:
    """Hook names by meaning."""

    @staticmethod
    def z(layer: int) -> str:
        """Head outputs before W_O, shape (n, length, heads, d_head)."""
        return f"blocks.{layer}.attn.hook_z"

    @staticmethod
    def letter(layer: int, letter: str) -> str:
        """Queries, keys or values, shape (n, length, heads, d_head)."""
        return f"blocks.{layer}.attn.hook_{letter}"

    @staticmethod
    def pattern(layer: int) -> str:
        """Attention weights, shape (n, heads, length, length)."""
        return f"blocks.{layer}.attn.hook_pattern"

    @staticmethod
    def attn_out(layer: int) -> str:
        """What attention adds to the residual stream, shape (n, length, d_model)."""
        return f"blocks.{layer}.hook_attn_out"

    @staticmethod
    def mlp_out(layer: int) -> str:
        """What the MLP adds to the residual stream, shape (n, length, d_model)."""
        return f"blocks.{layer}.hook_mlp_out"

    @staticmethod
    def resid_pre(layer: int) -> str:
        """Residual stream entering a block, shape (n, length, d_model)."""
        return f"blocks.{layer}.hook_resid_pre"

    @staticmethod
    def resid_post(layer: int) -> str:
        """Residual stream leaving a block, shape (n, length, d_model)."""
        return f"blocks.{layer}.hook_resid_post"


class LibraryModel:
    """A transformer-lens model, whichever class the installed version has."""

    def __init__(self, module: Any, shape: ModelShape, version: str) -> None:
        """Wrap a loaded model.

        Args:
            module: HookedTransformer or TransformerBridge, in evaluation mode.
            shape: read from the configuration.
            version: of transformer-lens.
        """
        self.module = module
        self.shape = shape
        self.version = version
        self.label = f"transformer-lens {version} {type(module).__name__}"
        self.forwards = 0
        """Forward passes so far, for cost accounting in tests and benchmarks."""

    @property
    def device(self) -> torch.device:
        first = next(iter(self.module.parameters()))
        return torch.device(first.device)

    def run(self, tokens: Tensor, hooks: Hooks = ()) -> Tensor:
        """All logits of a forward pass under hooks, shape (n, length, d_vocab).

        Raises:
            HarnessError: the library does not know a hook name.
        """
        wrapped = [(name, _library_hook(function)) for name, function in hooks]
        self.forwards += 1
        try:
            logits: Tensor = self.module.run_with_hooks(
                tokens, return_type="logits", fwd_hooks=wrapped
            )
        except (KeyError, AttributeError, AssertionError) as error:
            known = [name for name, _ in hooks]
            raise HarnessError(f"{self.label}: hooks {known} cannot be attached: {error}") from None
        return logits

    def read(self, tokens: Tensor, names: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
        """Named activations of an unedited run, and its logits."""
        found: dict[str, Tensor] = {}

        def reader(name: str) -> HookFunction:
            def keep(value: Tensor) -> None:
                found[name] = value.detach().clone()

            return keep

        logits = self.run(tokens, [(name, reader(name)) for name in names])
        if missing := [name for name in names if name not in found]:
            raise HarnessError(f"{self.label}: hook {missing[0]} never fired")
        return found, logits

    def output_matrix(self, layer: int) -> Tensor:
        """W_O of a layer, shape (heads, d_head, d_model)."""
        matrix: Tensor = self.module.blocks[layer].attn.W_O
        return matrix

    def output_bias(self, layer: int) -> Tensor:
        """b_O of a layer, shape (d_model,)."""
        bias: Tensor | None = self.module.blocks[layer].attn.b_O
        return torch.zeros(self.shape.d_model, device=self.device) if bias is None else bias

    def readout(self) -> tuple[Norm, Tensor, Tensor]:
        """Final norm, unembedding (d_vocab, d_model) and its bias (d_vocab,)."""
        config, final = self.module.cfg, self.module.ln_final
        kind = (config.normalization_type or "").upper().removesuffix("PRE")
        if getattr(config, "uses_rms_norm", False) or getattr(config, "final_rms", False):
            kind = "RMS"
        weight = _parameter(final, "w", "weight") if kind else None
        bias = _parameter(final, "b", "bias") if kind == "LN" else None
        rows: Tensor = self.module.W_U.T
        constant = self.module.b_U
        if constant is None:
            constant = torch.zeros(rows.shape[0], device=rows.device)
        return Norm(kind, weight, bias, float(config.eps)), rows, constant

    @contextmanager
    def stubbed(self, entry: Mapping[int, Tensor], first: int) -> Iterator[None]:
        """Within this context blocks below `first` do not run; block `first` gets `entry[first]`.

        Exact, because the library's own code still runs everything from block `first` on.

        Args:
            entry: residual stream entering a block, by layer, for the prompts that will run.
            first: the first block that really runs; 0 stubs nothing.
        """
        blocks = [self.module.blocks[index] for index in range(first)]
        bridged = type(self.module).__name__ == "TransformerBridge"

        def stub(value: Tensor | None) -> Callable[..., Any]:
            def forward(*args: Any, **kwargs: Any) -> Any:
                given = args[0] if args else kwargs["hidden_states"]
                out = given if value is None else value
                return (out,) if bridged and self._tuple_blocks() else out

            return forward

        try:
            for index, block in enumerate(blocks):
                value = entry[first] if index == first - 1 else None
                object.__setattr__(block, "forward", stub(value))
            yield
        finally:
            for block in blocks:
                block.__dict__.pop("forward", None)

    def _tuple_blocks(self) -> bool:
        """Whether the wrapped model's own loop expects a tuple from each block."""
        return type(self.module.original_model).__name__ == "NativeModel" or self._returns_tuple

    _returns_tuple: bool = False

    def learn_block_output(self, tokens: Tensor) -> None:
        """Note what kind of value the blocks return inside a real forward pass."""
        block: nn.Module = self.module.blocks[0]
        seen: list[bool] = []
        handle = block.register_forward_hook(lambda *got: seen.append(isinstance(got[2], tuple)))
        try:
            self.run(tokens)
        finally:
            handle.remove()
        self._returns_tuple = bool(seen and seen[0])


def _parameter(module: nn.Module, *names: str) -> Tensor | None:
    """The first of several spellings of a parameter that a module has."""
    for name in names:
        found = getattr(module, name, None)
        if isinstance(found, Tensor):
            return found
    return None


def _library_hook(function: HookFunction) -> Callable[..., Tensor | None]:
    def hook(value: Tensor, hook: Any = None) -> Tensor | None:  # noqa: ARG001 - the library's signature
        return function(value)

    return hook
