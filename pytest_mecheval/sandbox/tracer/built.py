"""Sham weights for models that the bundle's code builds itself.

Nothing is loaded, so the parameters are changed in place, before the first forward that could measure.
"""

import weakref
from typing import Any

import torch

from .fingerprints import combined, content_hash
from .loads import Loads, groups_in
from .state import Recorder
from .weights import Models, heads_of, named_parameters

SOURCE = "<built by code>"
UNDONE = "the weights were trained or written again afterwards"


class Built:
    """Shams models that no load brought.

    A forward in training mode with gradients on is training: weights shuffled before it would be learned
    again. The first other forward measures. If most parameters change after that, the sham is gone and
    the ledger says so.
    """

    def __init__(self, recorder: Recorder, models: Models, loads: Loads) -> None:
        self._recorder = recorder
        self._models = models
        self._loads = loads
        self._done: weakref.WeakSet[Any] = weakref.WeakSet()
        self._contents: set[str] = set()
        """Of what was handed out: a copy of a changed model is not changed again."""
        self._changed = False
        self._steps = 0
        self._rewritten = 0

    def before(self, module: Any) -> None:
        """Change a model's weights if this is its first forward that measures."""
        try:
            self._consider(module)
        except Exception as error:  # noqa: BLE001 - the run must go on, and the forward be recorded
            self._recorder.fault("a model built by code", error)

    def _consider(self, module: Any) -> None:
        if module in self._done or (self._loads.applied and not self._changed):
            return  # its weights, or others of this run, were answered with a sham when they were loaded
        if module.training and torch.is_grad_enabled():
            return
        if next(module.parameters(), None) is None:
            return
        known = self._recorder.names.get(module)
        if known is None or known[1] == "":
            self._sham(module)

    def _sham(self, module: Any) -> None:
        self._done.add(module)
        if _content(module) in self._contents:
            return
        config = getattr(module, "cfg", None) or getattr(module, "config", None)
        if not self._loads.sham_module(module, heads_of(module), groups_in(config), SOURCE):
            return
        self._contents.add(_content(module))
        self._models.refresh(module)
        if not self._changed:
            self._changed = True
            self._steps = self._models.optimizer_steps
            self._rewritten = self._models.rewritten

    def finish(self) -> None:
        """A sham that did not last is taken back."""
        if not self._changed:
            return
        stepped = self._models.optimizer_steps > self._steps
        if stepped or self._models.rewritten > self._rewritten:
            self._loads.take_back(SOURCE, UNDONE)


def _content(module: Any) -> str:
    return combined((name, content_hash(one)) for name, one in named_parameters(module))
