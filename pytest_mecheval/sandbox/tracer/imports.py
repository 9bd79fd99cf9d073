"""Calls us back right after a module was imported, so that nothing is imported for the bundle's sake."""

import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Callback = Callable[[ModuleType], None]
Failed = Callable[[str, BaseException], None]


class _Loader:
    """The module's own loader, plus a call after `exec_module`."""

    def __init__(self, loader: Any, callback: Callback, failed: Failed) -> None:
        self._loader = loader
        self._callback = callback
        self._failed = failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        try:
            self._callback(module)
        except Exception as error:  # noqa: BLE001 - the bundle's import must succeed all the same
            self._failed(f"after importing {module.__name__}", error)


class AfterImport:
    """A finder that only watches: the other finders find, we are told when they are done.

    Args:
        failed: told when a callback raised.
    """

    def __init__(self, failed: Failed) -> None:
        self._failed = failed
        self._callbacks: dict[str, Callback] = {}

    def on(self, name: str, callback: Callback) -> None:
        """Call `callback(module)` once `name` is imported; at once when it already is."""
        if name in sys.modules:
            callback(sys.modules[name])
        else:
            self._callbacks[name] = callback

    def install(self) -> None:
        """Start watching."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Part of the import protocol."""
        callback = self._callbacks.pop(name, None)
        if callback is None:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, callback, self._failed)  # type: ignore[assignment]
                return spec
        self._callbacks[name] = callback
        return None
