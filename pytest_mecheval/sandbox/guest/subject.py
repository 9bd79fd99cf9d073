"""The bundle's model behind one small interface: run it, read its components, write into them."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .frames import Unanswerable
from .importing import entry_point
from .patterns import Watcher
from .places import Place, Places

SEED = 0
Key = tuple[str, int]
"""(`head`, `mlp` or `resid`, layer)."""
Raw = Callable[[Tensor], Tensor]
"""From what goes into or comes out of a module to what takes its place."""
Trace = dict[Key, Tensor]
"""Heads (n, length, heads, d_head); MLP and residual stream (n, length, width)."""
Change = Callable[[Tensor, int], Tensor]
"""From a component's own activation, shaped as in a trace, to what replaces it. The number is -1, or the
one head that is valid where every head is a module of its own."""
ALL_HEADS = -1


def load(task: Mapping[str, Any]) -> nn.Module:
    """The bundle's module, ready to be measured.

    Raises:
        Unanswerable: the entry returns no module, or its weights do not fit.
    """
    torch.manual_seed(SEED)
    made = entry_point(task["root"], task["entry"])(**task["arguments"])
    parts = made if isinstance(made, tuple | list) else [made]
    model = next((part for part in parts if isinstance(part, nn.Module)), None)
    if model is None:
        raise Unanswerable(f"it returned {type(made).__name__}, not a torch.nn.Module")
    if task["weights"]:
        _fill(model, os.path.join(task["root"], task["weights"]), task["weights"])  # noqa: PTH118
    model.eval()
    return model.requires_grad_(False)


def _fill(model: nn.Module, path: str, shown: str) -> None:
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        state: Any = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise Unanswerable(
            f"{shown} does not fit the model: {' '.join(str(error).split())}"
        ) from None


class Subject:
    """One model with known places."""

    def __init__(self, model: nn.Module, places: Places) -> None:
        self.model = model
        self.places = places
        self.forwards = 0
        """Forward passes so far, all prompts of a call together."""

    def run(self, tokens: Tensor, hooks: Mapping[Key, Change]) -> Tensor:
        """Logits under changes, (n, length, outputs), or (n, outputs) of a model with one answer.

        Raises:
            Unanswerable: the model returns no logits, or a module is not called exactly once.
        """
        self.forwards += 1
        calls: dict[str, int] = {}
        with contextlib.ExitStack() as stack:
            for (kind, layer), change in hooks.items():
                for handle in self._attach(kind, layer, change, calls):
                    stack.callback(handle.remove)
            found = self.model(tokens)
        for path, count in calls.items():
            if count != 1:
                times = "is never called" if count == 0 else f"is called {count} times"
                raise Unanswerable(f"module {path} {times} in one forward pass")
        return _logits(found, tokens)

    def trace(
        self, tokens: Tensor, keys: set[Key], *, watch: bool = False
    ) -> tuple[Trace, Tensor, list[Tensor]]:
        """Activations of an unedited run, its logits, and attention weights when asked to watch."""
        kept: Trace = {}

        def keeper(key: Key) -> Change:
            def keep(own: Tensor, head: int) -> Tensor:
                if head != ALL_HEADS and key in kept:
                    kept[key][:, :, head] = own[:, :, head]
                else:
                    kept[key] = own.detach().clone()
                return own

            return keep

        hooks = {key: keeper(key) for key in sorted(keys)}
        if not watch:
            return kept, self.run(tokens, hooks), []
        if self.places["attention"] is not None:
            weights: Trace = {}
            for layer in range(self.places.layers):
                hooks["attention", layer] = _only_keep(weights, layer)
            logits = self.run(tokens, hooks)
            return kept, logits, [weights["attention", n].float() for n in range(len(weights))]
        watcher = Watcher(self.places.heads)
        with watcher:
            logits = self.run(tokens, hooks)
        one_per_layer = len(watcher.kept) == self.places.layers
        return kept, logits, watcher.kept if one_per_layer else []

    def turned(self, layer: int, rotation: Tensor, where: Tensor | None, change: Change) -> Any:
        """Heads whose effect on the output projection's result is turned before it is added."""
        module = self.places.module("head", layer)

        def hook(owner: Any, args: Any, out: Tensor) -> Tensor:
            given = args[0]
            new = self._from_heads(change(self._to_heads(given, layer), ALL_HEADS), given)
            # `forward` itself, so that no hook runs a second time.
            delta = (owner.forward(new) - owner.forward(given)) @ rotation
            moved: Tensor = out + (delta if where is None else delta * where)
            return moved

        return module.register_forward_hook(hook)

    def _attach(
        self, kind: str, layer: int, change: Change, calls: dict[str, int]
    ) -> Iterator[Any]:
        place = self.places[kind]
        if place is None:
            raise Unanswerable(f"sites.{kind} is not known")
        if kind == "head" and place.per_head:
            yield from self._attach_each(place, layer, change, calls)
            return
        path = place.path(layer)
        calls[path] = 0

        def changed(value: Tensor) -> Tensor:
            calls[path] += 1
            if kind == "head":
                return self._from_heads(change(self._to_heads(value, layer), ALL_HEADS), value)
            self._check_width(kind, path, value)
            return change(value, ALL_HEADS)

        yield _hooked(self.places.module(kind, layer), place.side, changed)

    def _attach_each(
        self, place: Place, layer: int, change: Change, calls: dict[str, int]
    ) -> Iterator[Any]:
        """Heads that are modules of their own, each changed when it runs."""
        heads = self.places.heads
        for head in range(heads):
            path = place.path(layer, head)
            calls[path] = 0

            def changed(value: Tensor, head: int = head, path: str = path) -> Tensor:
                calls[path] += 1
                # Changes look at one head at a time, so heads that have not run yet may be anything.
                whole = torch.stack([value] * heads, dim=2)
                return change(whole, head)[:, :, head]

            yield _hooked(self.places.module("head", layer, head), place.side, changed)

    def _check_width(self, kind: str, path: str, value: Tensor) -> None:
        width = self.places.width
        if kind != "attention" and width and value.shape[-1] != width:
            raise Unanswerable(
                f"sites.{kind}: {path} has activations {value.shape[-1]} wide, sites.width says {width}"
            )

    def _to_heads(self, value: Tensor, layer: int) -> Tensor:
        """(n, length, heads, d_head), whatever way the module lays heads out."""
        heads = self.places.heads
        path = self.places["head"]
        if value.ndim == 3 and value.shape[2] % heads == 0:
            cut: Tensor = value.reshape(*value.shape[:2], heads, -1)
            return cut
        if value.ndim == 4:
            first, second = value.shape[1] == heads, value.shape[2] == heads
            if first != second:
                return value.transpose(1, 2) if first else value
        raise Unanswerable(
            f"sites.head ({path}, layer {layer}): cannot be cut into {heads} heads, shape {tuple(value.shape)}"
        )

    def _from_heads(self, value: Tensor, like: Tensor) -> Tensor:
        if like.ndim == 3:
            return value.flatten(2)
        return value.transpose(1, 2) if like.shape[2] != value.shape[2] else value


def _only_keep(kept: Trace, layer: int) -> Change:
    def keep(own: Tensor, _: int) -> Tensor:
        kept["attention", layer] = own.detach().clone()
        return own

    return keep


def _hooked(module: nn.Module, side: str, changed: Raw) -> Any:
    if side == "input":

        def before(_: nn.Module, args: Any, kwargs: Any) -> Any:
            if args:
                return (changed(args[0]), *args[1:]), kwargs
            name = next(name for name, value in kwargs.items() if isinstance(value, Tensor))
            return args, {**kwargs, name: changed(kwargs[name])}

        return module.register_forward_pre_hook(before, with_kwargs=True)

    def after(_: nn.Module, __: Any, out: Any) -> Any:
        if isinstance(out, tuple):
            return (changed(out[0]), *out[1:])
        return changed(out)

    return module.register_forward_hook(after)


def _logits(found: Any, tokens: Tensor) -> Tensor:
    if not isinstance(found, Tensor):
        if isinstance(found, Mapping) and "logits" in found:
            found = found["logits"]
        elif hasattr(found, "logits"):
            found = found.logits
        elif isinstance(found, tuple | list) and found:
            found = found[0]
    if not isinstance(found, Tensor):
        raise Unanswerable(f"the model returns {type(found).__name__}, not logits")
    n, length = tokens.shape
    if (
        found.shape[:1] != (n,)
        or found.ndim not in (2, 3)
        or (found.ndim == 3 and found.shape[1] != length)
    ):
        raise Unanswerable(
            f"the model returns shape {tuple(found.shape)} for {n} prompts of {length} tokens, "
            "not (prompts, tokens, outputs) or (prompts, outputs)"
        )
    return found.detach().float()
