"""Connects the parts that need torch, at the moment the bundle has imported it."""

import argparse
import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from .activations import Activations
from .audit import Audit
from .built import Built
from .forwards import Forwards
from .hooks import Hooks, _dressed
from .imports import AfterImport
from .loads import Loads
from .poison import Poison
from .state import Recorder
from .weights import Models

MAX_TOTALS_PER_ROW = 1500
BRIDGES = (
    "transformer_lens.model_bridge.transformer_bridge",
    "transformer_lens.model_bridge.bridge",
)
"""Where the bridge class lives since 4.0, and in 3.x."""
BRIDGE_SOURCES = {
    "transformer_lens.model_bridge.sources.native": ("boot_native",),
    "transformer_lens.model_bridge.sources.transformers": ("boot_transformers",),
    "transformer_lens.model_bridge.sources.tl_legacy": ("boot_tl_legacy",),
}
"""Modules that attach a builder to the bridge class when they are imported."""
HOOKED = "transformer_lens.HookedTransformer"
INTERLEAVER = "nnsight.intervention.interleaver"


class TorchPart:
    """Everything that looks at tensors."""

    def __init__(
        self,
        recorder: Recorder,
        imports: AfterImport,
        options: argparse.Namespace,
        audit: Audit,
    ) -> None:
        self._recorder = recorder
        self._imports = imports
        self._audit = audit
        self.activations = Activations()
        poison = (
            Poison(recorder, options.poison, options.poison_site, options.sham_seed)
            if options.poison != "none"
            else None
        )
        self.hooks = Hooks(recorder, self.activations, poison)
        self.models = Models(recorder)
        self.loads = Loads(recorder, self.models, options.sham, options.sham_seed)
        self.built = Built(recorder, self.models, self.loads) if options.sham != "none" else None
        self.forwards = Forwards(
            recorder, self.models, self.hooks, self.built.before if self.built else None
        )

    def attach(self, module: ModuleType) -> None:
        """Wrap torch now and the libraries above it when they are imported."""
        self._recorder.ledger.add("torch", version=str(module.__version__))
        self.hooks.install()
        self.forwards.install()
        self.loads.torch_loaded()
        self._watch_setattr()
        self._watch_saving()
        self._watch_optimizers()
        on = self._imports.on
        on("safetensors.torch", self._safetensors_torch)
        on("transformers.modeling_utils", self.loads.transformers_loaded)
        for name in BRIDGES:
            on(name, lambda found: self.forwards.watch_forward(found.TransformerBridge))
        for name, builders in BRIDGE_SOURCES.items():
            on(name, self._bridge_source(builders))
        on(HOOKED, self._hooked_transformer)
        on(INTERLEAVER, self._nnsight)

    def _bridge_source(self, builders: tuple[str, ...]) -> Callable[[ModuleType], None]:
        def loaded(_: ModuleType) -> None:
            for place in BRIDGES:
                bridge = getattr(sys.modules.get(place), "TransformerBridge", None)
                for name in builders if bridge is not None else ():
                    self.loads.watch_builder(bridge, name)

        return loaded

    def _hooked_transformer(self, module: ModuleType) -> None:
        owner = module.HookedTransformer
        self.forwards.watch_forward(owner)
        self.loads.watch_builder(owner, "from_pretrained")

    def _safetensors_torch(self, module: ModuleType) -> None:
        self.loads.safetensors_torch_loaded(module)
        module.save_file = self._saving(module.save_file, 1)  # type: ignore[attr-defined]

    def _nnsight(self, module: ModuleType) -> None:
        """Nnsight edits values in its own interleaver instead of torch hooks."""
        owner = module.Interleaver
        original = owner.handle
        hooks = self.hooks

        def handle(interleaver: Any, provider: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
            def run(*_: Any) -> Any:
                return original(interleaver, provider, value, *args, **kwargs)

            observer = hooks.wrap(None, run, "output")
            return observer(None, (), value)

        owner.handle = _dressed(handle, original)

    def _watch_setattr(self) -> None:
        original = torch.nn.Module.__setattr__
        models, places = self.models, self._recorder.places

        def setattribute(module: Any, name: str, value: Any) -> None:
            # Parts are replaced and weights assigned here; the next forward compares what changed.
            if name == "forward" or (
                type(value) is torch.nn.Parameter and name in module._parameters
            ):
                models.causes.append(f"{name} = ... {places.here()}")
                del models.causes[:-32]
            original(module, name, value)

        torch.nn.Module.__setattr__ = _dressed(setattribute, original)  # type: ignore[method-assign]

    def _watch_saving(self) -> None:
        torch.save = self._saving(torch.save, 1)

    def _saving(self, original: Callable[..., Any], at: int) -> Callable[..., Any]:
        def save(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            name = args[at] if len(args) > at else kwargs.get("f", kwargs.get("filename"))
            try:
                self._audit.saved(name)
            except Exception as error:  # noqa: BLE001 - observing must not break the run
                self._recorder.fault("saving", error)
            return result

        return _dressed(save, original)

    def _watch_optimizers(self) -> None:
        place = importlib.import_module("torch.optim.optimizer")
        register = getattr(place, "register_optimizer_step_post_hook", None)  # since torch 2.0

        def stepped(*_: Any) -> None:
            self.models.optimizer_steps += 1

        if register is not None:
            register(stepped)

    def finish(self) -> None:
        """Closing rows about hooks, models and the sham."""
        if self.built is not None:
            self.built.finish()
        totals = self.hooks.totals()
        for start in range(0, len(totals), MAX_TOTALS_PER_ROW):
            self._recorder.ledger.add("totals", hooks=totals[start : start + MAX_TOTALS_PER_ROW])
        self.models.finish()
        if self.activations.forgotten:
            self._recorder.totals["activations_forgotten"] = self.activations.forgotten
        self._recorder.totals["optimizer_steps"] = self.models.optimizer_steps
        self._recorder.totals["loads"] = self.loads.loads
        self._recorder.totals["shams_applied"] = self.loads.applied
