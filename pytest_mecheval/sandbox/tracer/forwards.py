"""Root calls of models: what went in, what came out, from where, and how long it took."""

import ctypes
import hashlib
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .fingerprints import buffer, canonical, row_hashes, sample, state_hash, tensors_in
from .hooks import Hooks, _dressed
from .state import Forward, Recorder
from .weights import Models

MAX_ROWS_HASHED = 2048
MAX_BATCHES = 4096
"""Distinct input batches written with their rows; later ones are counted."""
OUTPUT_SAMPLE = 1024
MT19937_BYTES = 625 * 4
"""624 words of state and the position."""
INPUT_NAMES = ("input_ids", "inputs_embeds", "tokens", "input", "x", "idx")


class Forwards:
    """Watches `Module.__call__` and the `forward` of classes that call it directly.

    Args:
        before: told about every root call's module before anything is recorded about it.
    """

    def __init__(
        self,
        recorder: Recorder,
        models: Models,
        hooks: Hooks,
        before: Callable[[Any], None] | None = None,
    ) -> None:
        self._recorder = recorder
        self._models = models
        self._hooks = hooks
        self._before = before
        self._batches: dict[str, int] = {}
        self.cpu = 0.0
        """CPU seconds inside observed forwards."""

    def install(self) -> None:
        """Replace `Module.__call__`."""
        original = torch.nn.Module.__call__
        threads = self._recorder.threads

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if threads.stack:
                return original(module, *args, **kwargs)
            return self._run(module, original, args, kwargs)

        torch.nn.Module.__call__ = _dressed(call, original)  # type: ignore[method-assign]

    def watch_forward(self, owner: Any) -> None:
        """Watch `owner.forward` too: `run_with_hooks` calls it without `__call__`."""
        original = owner.__dict__.get("forward")
        if original is None:
            return
        threads = self._recorder.threads

        def forward(module: Any, *args: Any, **kwargs: Any) -> Any:
            if threads.stack:
                return original(module, *args, **kwargs)
            return self._run(module, original, args, kwargs)

        owner.forward = _dressed(forward, original)

    def _run(
        self,
        module: Any,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        recorder = self._recorder
        if not recorder.ledger.enabled:
            return original(module, *args, **kwargs)
        try:
            if self._before is not None:
                self._before(module)
            model = self._models.of(module)
        except Exception as error:  # noqa: BLE001 - observing must not break the run
            recorder.fault("before a forward", error)
            model = None
        if model is None:  # a loss function, an activation: nothing is learned in it
            recorder.totals["parameterless_calls"] += 1
            return original(module, *args, **kwargs)
        forward = Forward(recorder.forwards, model.id, module, model.heads)
        recorder.forwards += 1
        fields: dict[str, Any] = {"id": forward.id, "model": model.id}
        try:
            self._models.check(model, forward.id, self._hooks)
            fields |= self._described(module, args, kwargs)
        except Exception as error:  # noqa: BLE001 - observing must not break the run
            recorder.fault("before a forward", error)
        stack = recorder.threads.stack
        stack.append(forward)
        wall, cpu = time.perf_counter(), time.process_time()
        output: Any = None
        try:
            output = original(module, *args, **kwargs)
        except BaseException as error:
            fields["error"] = type(error).__name__[:80]
            raise
        finally:
            used = time.process_time() - cpu
            fields["wall"] = round(time.perf_counter() - wall, 6)
            fields["cpu"] = round(used, 6)
            self.cpu += used
            stack.pop()
            recorder.last_forward = forward.id
            try:
                self._finish(forward, fields, output)
            except Exception as error:  # noqa: BLE001 - observing must not break the run
                recorder.fault("after a forward", error)
        return output

    def _described(
        self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "part": self._recorder.site(module),
            "calls": self._recorder.places.stack(),
            "grad": torch.is_grad_enabled(),
            "train": bool(getattr(module, "training", False)),
            "rng": generators(),
        }
        fields |= self._inputs(args, kwargs)
        return fields

    def _inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        value = args[0] if args else next((kwargs[n] for n in INPUT_NAMES if n in kwargs), None)
        if value is None and kwargs:
            value = next(iter(kwargs.values()))
        if isinstance(value, str):
            value = [value]
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value):
            rows = [
                hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()
                for text in value[:MAX_ROWS_HASHED]
            ]
            return self._batch(" ".join(rows), rows, len(value), "text", [len(value)])
        tensor = value if isinstance(value, Tensor) else next(iter(_any_tensors(value)), None)
        if tensor is None:
            return {"inputs": -1, "batch": 0}
        tensor = tensor.detach()
        if tensor.dim() == 0:
            tensor = tensor[None]
        content = canonical(tensor)
        digest = hashlib.blake2b(str(tuple(tensor.shape)).encode(), digest_size=16)
        digest.update(buffer(content))
        key = digest.hexdigest()
        kind = str(tensor.dtype).removeprefix("torch.")
        known = key in self._batches
        # Token ids of one sequence without a batch axis are one row, not as many as there are tokens.
        table = content[None] if content.dim() == 1 and not content.is_floating_point() else content
        rows = [] if known else row_hashes(table, MAX_ROWS_HASHED)
        return self._batch(key, rows, table.shape[0], kind, list(tensor.shape))

    def _batch(
        self, key: str, rows: list[str], count: int, kind: str, shape: list[int]
    ) -> dict[str, Any]:
        number = self._batches.get(key)
        if number is None:
            if len(self._batches) >= MAX_BATCHES:
                self._recorder.ledger.dropped["inputs"] += 1
                return {"inputs": -1, "batch": count}
            number = self._batches[key] = len(self._batches)
            self._recorder.ledger.add(
                "inputs", id=number, dtype=kind, shape=shape, count=count, rows=rows
            )
        return {"inputs": number, "batch": count}

    def _finish(self, forward: Forward, fields: dict[str, Any], output: Any) -> None:
        if output is not None:
            fields["out"] = fingerprint(output)
        fields["reads"] = forward.reads
        fields["edits"] = forward.edits
        self._recorder.ledger.add("forward", **fields)


def fingerprint(output: Any) -> dict[str, Any]:
    """Shape, sum and the hash of sampled values of a model's output: its logits, or its first tensor."""
    logits = getattr(output, "logits", None)
    found = [logits] if isinstance(logits, Tensor) else tensors_in(output, 1)
    if not found:
        return {"type": type(output).__name__[:60]}
    tensor = found[0].detach()
    total = float(tensor.float().sum())
    digest = hashlib.blake2b(buffer(sample(tensor, OUTPUT_SAMPLE)), digest_size=8).hexdigest()
    return {"shape": list(tensor.shape), "sum": float.hex(total), "sample": digest}


def generators() -> str:
    """The states of torch's and, when it is loaded, numpy's global generator, eight hex digits each."""
    text = state_hash(torch.default_generator.get_state())
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        text += f"{numpy_state(numpy):08x}"
    return text


def numpy_state(numpy: Any) -> int:
    """Hash of numpy's global generator, read in place: `get_state` copies for 40 microseconds."""
    source = numpy.random.mtrand._rand._bit_generator
    if type(source).__name__ == "MT19937":
        address = source.ctypes.state_address
        return zlib.crc32((ctypes.c_char * MT19937_BYTES).from_address(address))
    return zlib.crc32(repr(source.state).encode())


def _any_tensors(value: Any) -> list[Tensor]:
    if isinstance(value, dict):
        named = [value[name] for name in INPUT_NAMES if name in value]
        value = [*named, *value.values()]
    elif hasattr(value, "data") and isinstance(getattr(value, "data", None), dict):
        return _any_tensors(value.data)  # a tokenizer's BatchEncoding
    if isinstance(value, (list, tuple)):
        return [entry for entry in value[:8] if isinstance(entry, Tensor)]
    return []
