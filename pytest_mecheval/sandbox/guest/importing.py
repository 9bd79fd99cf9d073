"""Finds a function of the bundle: imports its file as the bundle's own scripts would."""

import difflib
import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from .frames import Unanswerable


def entry_point(root: str, entry: str) -> Any:
    """The function or class an entry names.

    Args:
        root: the bundle's folder.
        entry: `src/model.py:load`.

    Raises:
        Unanswerable: no such file or name.
    """
    path, _, name = entry.rpartition(":")
    full = os.path.join(root, *path.split("/"))  # noqa: PTH118
    if not os.path.isfile(full):  # noqa: PTH113
        raise Unanswerable(f"{path}: no such file")
    # Appended: a bundle's `random.py` must not stand in for the standard library's.
    sys.path += [root, os.path.dirname(full)]  # noqa: PTH120
    module = _imported(full, path)
    try:
        return getattr(module, name)
    except AttributeError:
        defined = [one for one in vars(module) if not one.startswith("_")]
        near = difflib.get_close_matches(name, defined, 3) or sorted(defined)[:5]
        hint = f" (it has: {', '.join(near)})" if near else ""
        raise Unanswerable(f"{path}: defines no {name}{hint}") from None


def _imported(full: str, path: str) -> ModuleType:
    """As `package.module` where that name leads to this very file, so that relative imports work."""
    dotted = path.removesuffix(".py").replace("/", ".")
    if all(part.isidentifier() for part in dotted.split(".")):
        try:
            found = importlib.util.find_spec(dotted)
        except (ImportError, ValueError):
            found = None
        if found is not None and found.origin and os.path.realpath(found.origin) == full:
            return importlib.import_module(dotted)
    stem = os.path.basename(full).removesuffix(".py")  # noqa: PTH119
    spec = importlib.util.spec_from_file_location(stem, full)
    if spec is None or spec.loader is None:
        raise Unanswerable(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(stem, module)
    spec.loader.exec_module(module)
    return module
