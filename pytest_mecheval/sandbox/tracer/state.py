"""What all parts of the tracer share: the ledger, the places, the forward that is running, the names."""

import threading
import weakref
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .places import Places
from .rows import Ledger

MAX_FAULTS = 20
"""Distinct own faults written down; a tracer that fails must say so and leave the run alone."""


@dataclass
class Forward:
    """One call of a model while it runs."""

    id: int
    model: int
    module: Any
    heads: int
    """Attention heads per layer, 0 when unknown."""
    reads: list[int] = field(default_factory=list)
    """Hook ids that looked and changed nothing."""
    edits: int = 0


class _Threads(threading.local):
    def __init__(self) -> None:
        self.stack: list[Forward] = []
        self.nested = False


class Recorder:
    """Shared by every part; knows no torch."""

    def __init__(self, ledger: Ledger, places: Places) -> None:
        self.ledger = ledger
        self.places = places
        self.threads = _Threads()
        self.forwards = 0
        self.last_forward = -1
        self.totals: Counter[str] = Counter()
        self.names: weakref.WeakKeyDictionary[Any, tuple[int, str]] = weakref.WeakKeyDictionary()
        self._faults: Counter[str] = Counter()

    def current(self) -> Forward | None:
        """The forward running in this thread."""
        stack = self.threads.stack
        return stack[-1] if stack else None

    def fault(self, where: str, error: BaseException) -> None:
        """Note a fault of our own: what could not be observed must not look unobserved by choice."""
        text = f"{where}: {type(error).__name__}: {str(error)[:160]}"
        self._faults[text] += 1
        if self._faults[text] == 1 and len(self._faults) <= MAX_FAULTS:
            self.ledger.add("fault", where=where, error=text, site=self.places.stack())

    def site(self, module: Any) -> str:
        """Name of a module inside its model: its hook name, or its dotted path, "" when unknown."""
        name = getattr(module, "name", None)
        if isinstance(name, str) and name and hasattr(module, "add_hook"):
            return name  # a transformer_lens HookPoint carries its canonical name
        try:
            found = self.names.get(module)
        except TypeError:  # a module class that defines __eq__ without __hash__
            return ""
        return found[1] if found else ""
