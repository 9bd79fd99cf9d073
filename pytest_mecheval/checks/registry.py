"""Finds the kinds: every module in `checks.kinds` exports one `CHECK`; there is no list to edit."""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from pytest_mecheval.checks import kinds
from pytest_mecheval.checks.check import AnyCheck, Check
from pytest_mecheval.errors import CheckError


@functools.cache
def checks() -> Mapping[str, AnyCheck]:
    """All kinds by name, alphabetical.

    Raises:
        CheckError: a module has no CHECK, or one whose kind is not the file name.
    """
    found: dict[str, AnyCheck] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(kinds.__path__)):
        module = importlib.import_module(f"{kinds.__name__}.{name}")
        check = getattr(module, "CHECK", None)
        if not isinstance(check, Check):
            raise CheckError(f"{name}: the module must end with CHECK = Check(...)")
        if check.kind != name:
            raise CheckError(f"{name}: CHECK.kind is {check.kind!r}, it must equal the file name")
        found[name] = check
    return found
