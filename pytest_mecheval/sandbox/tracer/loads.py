"""Model loads: from which file or name, with what content; and the sham weights handed out instead."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .fingerprints import combined, content_hash
from .hooks import _dressed
from .shams import Applied, permute_heads, shuffle
from .state import Recorder
from .weights import Models, heads_in, heads_of, named_parameters

MAX_CONFIG_BYTES = 2**20
MAX_TENSORS_LISTED = 400
CONFIG_NAME = "config.json"
GROUP_NAMES = ("num_key_value_heads", "n_key_value_heads", "num_kv_heads")


class Loads:
    """Wraps the functions that bring weights into the process.

    Args:
        sham: `none`, `headperm` or `shuffle`.
        seed: of the sham.
    """

    def __init__(self, recorder: Recorder, models: Models, sham: str, seed: int) -> None:
        self._recorder = recorder
        self._models = models
        self._sham = sham
        self._seed = seed
        self._nested = 0
        self._heads = 0
        self._groups = 0
        self._pending: set[int] = set()
        self.loads = 0
        self.applied = 0

    # -- what is wrapped -------------------------------------------------------------------------

    def torch_loaded(self) -> None:
        """Watch `torch.load` and `Module.load_state_dict`."""
        torch.load = self._file_load(torch.load, "torch.load")
        original = torch.nn.Module.load_state_dict
        recorder, models = self._recorder, self._models

        def load_state_dict(module: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
            if self._nested == 0:
                models.causes.append(f"load_state_dict {recorder.places.here()}")
                recorder.totals["load_state_dict"] += 1
                state = self._late_sham(module, state)
            return original(module, state, *args, **kwargs)

        torch.nn.Module.load_state_dict = _dressed(load_state_dict, original)  # type: ignore[method-assign]

    def safetensors_loaded(self, module: ModuleType) -> None:
        """Watch `safe_open`, before anything can import it by name."""
        original = module.safe_open
        loads = self

        class Opened:
            """`safe_open` with its tensors counted; everything else is the real object's."""

            def __init__(self, filename: Any, *args: Any, **kwargs: Any) -> None:
                self._real = original(filename, *args, **kwargs)
                self._path = os.fspath(filename)
                self._read: dict[str, Tensor] = {}
                self._whole: dict[str, Tensor] | None = None

            def __enter__(self) -> "Opened":
                self._real.__enter__()
                return self

            def __exit__(self, *problem: Any) -> Any:
                loads._opened(self._path, self._read)
                return self._real.__exit__(*problem)

            def __getattr__(self, name: str) -> Any:
                return getattr(self._real, name)

            def get_tensor(self, name: str) -> Any:
                if loads._nested:
                    return self._real.get_tensor(name)
                if self._whole is None:
                    self._whole = loads._shammed_file(self._real, self._path)
                found = self._whole.get(name)
                value = self._real.get_tensor(name) if found is None else found
                if isinstance(value, Tensor):
                    self._read[name] = value
                return value

        module.safe_open = Opened  # type: ignore[attr-defined]

    def safetensors_torch_loaded(self, module: ModuleType) -> None:
        """Watch `load_file` and `load_model`."""
        module.load_file = self._file_load(module.load_file, "safetensors.load_file")  # type: ignore[attr-defined]
        module.load_model = self._model_load(module.load_model, "safetensors.load_model", 0, 1)  # type: ignore[attr-defined]

    def transformers_loaded(self, module: ModuleType) -> None:
        """Watch `PreTrainedModel.from_pretrained`; every Auto class ends there."""
        owner = module.PreTrainedModel
        original = owner.from_pretrained.__func__
        owner.from_pretrained = classmethod(self._model_load(original, "from_pretrained", None, 1))

    def watch_builder(self, owner: Any, name: str) -> None:
        """Watch a static or class method of a model class that builds or downloads a model."""
        found = owner.__dict__.get(name)
        if isinstance(found, staticmethod):
            setattr(owner, name, staticmethod(self._model_load(found.__func__, name, None, 0)))
        elif isinstance(found, classmethod):
            setattr(owner, name, classmethod(self._model_load(found.__func__, name, None, 1)))

    # -- wrappers --------------------------------------------------------------------------------

    def _file_load(self, original: Callable[..., Any], how: str) -> Callable[..., Any]:
        def load(*args: Any, **kwargs: Any) -> Any:
            if self._nested:
                return original(*args, **kwargs)
            self._nested += 1
            try:
                value = original(*args, **kwargs)
            finally:
                self._nested -= 1
            name = args[0] if args else kwargs.get("filename", kwargs.get("f"))
            try:
                return self._loaded(how, _path(name), value)
            except Exception as error:  # noqa: BLE001 - observing must not break the run
                self._recorder.fault(how, error)
                return value

        return _dressed(load, original)

    def _model_load(
        self, original: Callable[..., Any], how: str, model_at: int | None, source_at: int
    ) -> Callable[..., Any]:
        def load(*args: Any, **kwargs: Any) -> Any:
            if self._nested:
                return original(*args, **kwargs)
            self._nested += 1
            try:
                value = original(*args, **kwargs)
            finally:
                self._nested -= 1
            source = args[source_at] if len(args) > source_at else next(iter(kwargs.values()), "")
            model = value if model_at is None else args[model_at]
            try:
                self._built(how, source, model)
            except Exception as error:  # noqa: BLE001 - observing must not break the run
                self._recorder.fault(how, error)
            return value

        return _dressed(load, original)

    # -- what happens then -----------------------------------------------------------------------

    def _loaded(self, how: str, path: str, value: Any) -> Any:
        """Record a loaded file; the value, or the sham in its place."""
        if isinstance(value, torch.nn.Module):
            self._built(how, path, value)
            return value
        tensors = value if isinstance(value, Mapping) else {}
        inner = next((k for k in ("state_dict", "model", "model_state_dict") if k in tensors), None)
        nested = inner is not None and isinstance(tensors[inner], Mapping)
        table = tensors[inner] if nested else tensors
        weights = {k: v for k, v in table.items() if isinstance(v, Tensor)}
        if not weights:
            return value
        self._record(how, path, weights)
        changed = self._shammed(weights, path)
        if changed is None:
            return value
        merged = type(table)(table) if isinstance(table, dict) else dict(table)
        merged.update(changed)
        return {**tensors, inner: merged} if nested else merged

    def _record(self, how: str, path: str, weights: Mapping[str, Tensor]) -> None:
        self.loads += 1
        hashes = [(name, content_hash(tensor)) for name, tensor in weights.items()]
        self._recorder.ledger.add(
            "load",
            how=how,
            source=self._shown(path)[:300],
            content=combined(hashes),
            tensors=[
                [name[:120], "x".join(map(str, weights[name].shape)), digest]
                for name, digest in hashes[:MAX_TENSORS_LISTED]
            ],
            count=len(hashes),
            calls=self._recorder.places.stack(),
        )

    def _opened(self, path: str, read: dict[str, Tensor]) -> None:
        """Record what was read through `safe_open`."""
        if read and not self._nested:
            try:
                self._record("safetensors.safe_open", self._shown(path), read)
            except Exception as error:  # noqa: BLE001 - observing must not break the run
                self._recorder.fault("safe_open", error)

    def _shown(self, path: str) -> str:
        return self._recorder.places.shown(path) or path if os.path.exists(path) else path  # noqa: PTH110

    def _shammed_file(self, opened: Any, path: str) -> dict[str, Tensor]:
        """The sham of a whole safetensors file; empty without a sham. Heads need all their tensors."""
        if self._sham == "none":
            return {}
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        changed = self._shammed(tensors, path)
        return changed or {}

    def _shammed(self, weights: Mapping[str, Tensor], path: str) -> dict[str, Tensor] | None:
        if self._sham == "none":
            return None
        if self._sham == "shuffle":
            changed, report = shuffle(weights, self._seed)
        else:
            heads, groups = self._known_heads(path)
            changed, report = permute_heads(weights, heads, groups, self._seed)
            if report.reason and heads == 0:
                # The module these are loaded into may say how many heads it has.
                self._pending.update(id(tensor) for tensor in weights.values())
        self._report(report, path)
        return None if report.reason else changed

    def _report(self, report: Applied, source: str) -> None:
        self.applied += not report.reason
        self._recorder.ledger.add(
            "sham",
            kind=report.kind,
            source=self._shown(source)[:300],
            applied=not report.reason,
            reason=report.reason,
            layout=report.layout,
            heads=report.heads,
            groups=report.groups,
            tensors=report.tensors,
            permutations=report.permutations,
            calls=self._recorder.places.stack(),
        )

    def take_back(self, source: str, reason: str) -> None:
        """Record that shams of this source did not last."""
        self.applied = 0
        self._report(Applied("undone", reason=reason), source)

    def _known_heads(self, path: str) -> tuple[int, int]:
        """Heads and key-value groups: from the configuration beside the file, else the last model built."""
        try:
            place = Path(path).parent / CONFIG_NAME
            if place.stat().st_size <= MAX_CONFIG_BYTES:
                config = json.loads(place.read_text(encoding="utf-8"))
                heads = heads_in(config) if isinstance(config, dict) else 0
                if heads:
                    return heads, groups_in(config)
        except (OSError, ValueError):
            pass
        return self._heads, self._groups

    def _built(self, how: str, source: Any, model: Any) -> None:
        """Record a model that came ready-made, sham it in place if it brought trained weights."""
        if not isinstance(model, torch.nn.Module):
            return
        heads = heads_of(model)
        config = getattr(model, "cfg", None) or getattr(model, "config", None)
        self._heads = heads or self._heads
        self._groups = groups_in(config) if heads else self._groups
        fresh = how == "boot_native"  # random weights: nothing was loaded yet
        self._recorder.ledger.add(
            "build" if fresh else "load",
            how=how,
            source=self._shown(_path(source))[:300],
            of=type(model).__name__[:80],
            heads=heads,
            **({} if fresh else self._content(model)),
            calls=self._recorder.places.stack(),
        )
        if fresh:
            return
        self.loads += 1
        if self._sham != "none":
            self.sham_module(model, heads, groups_in(config), _path(source))

    def _content(self, model: Any) -> dict[str, Any]:
        hashes = [(name, content_hash(p)) for name, p in named_parameters(model)]
        return {"content": combined(hashes), "count": len(hashes)}

    def sham_module(self, model: Any, heads: int, groups: int, source: str) -> bool:
        """Change a model's weights in place, recorded; True when something was changed."""
        state = {k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)}
        if self._sham == "shuffle":
            changed, report = shuffle(state, self._seed)
        else:
            changed, report = permute_heads(state, heads, groups, self._seed)
        if not report.reason:
            seen: set[int] = set()
            with torch.no_grad():
                for name, tensor in state.items():
                    if changed[name] is not tensor and tensor.data_ptr() not in seen:
                        seen.add(tensor.data_ptr())  # tied weights are changed once
                        tensor.copy_(changed[name])
        self._report(report, source)
        return not report.reason

    def _late_sham(self, module: Any, state: Any) -> Any:
        """Permute heads of weights whose head count was unknown when they were read."""
        if self._sham != "headperm" or not self._pending or not isinstance(state, Mapping):
            return state
        tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
        heads = heads_of(module)
        if not heads or self.applied:
            return state
        config = getattr(module, "cfg", None) or getattr(module, "config", None)
        changed, report = permute_heads(tensors, heads, groups_in(config), self._seed)
        self._report(report, "load_state_dict")
        self._pending.clear()
        return {**state, **changed}


def groups_in(config: Any) -> int:
    """Key-value heads a configuration states, 0 when it states none."""
    for name in GROUP_NAMES:
        found = config.get(name) if isinstance(config, dict) else getattr(config, name, None)
        if isinstance(found, int) and not isinstance(found, bool) and found > 0:
            return found
    return 0


def _path(name: Any) -> str:
    if isinstance(name, (str, os.PathLike)):
        return str(os.fspath(name))
    return f"<{type(name).__name__}>"
