"""Finds the task generators: every module in `tasks.generators` exports one `GENERATOR`."""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from pytest_mecheval.errors import MechevalError
from pytest_mecheval.tasks import generators
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.wire import Split

P = TypeVar("P")


@dataclass(frozen=True)
class Generator(Generic[P]):
    """One standard task: typed parameters in, fresh prompt pairs out."""

    name: str
    """Equal to the module's file name."""
    parameters: type[P]
    """A frozen dataclass; raises ValueError with a readable text when a value cannot work."""
    strata: tuple[str, ...]
    """`fresh` first, then what the task can vary: new_entities, new_lengths, new_templates, distractor."""
    positions: tuple[str, ...]
    """Named positions that every stratum provides."""
    draw: Callable[[P, str, Split, int, np.random.Generator], Examples]
    """(parameters, stratum, split, n, rng) -> n distinct pairs; the two splits never share a clean prompt."""
    population: Callable[[P], int] = lambda _parameters: 0
    """Number of all inputs when the evaluation split enumerates them, else 0."""
    missing: Callable[[P, str], str] = lambda _parameters, _stratum: ""
    """(parameters, stratum) -> why these parameters rule the stratum out, or ``."""
    doc: str = ""


AnyGenerator = Generator[Any]


class UnknownTask(MechevalError):
    """No generator of that name, or parameters it cannot use."""


@functools.cache
def task_generators() -> Mapping[str, AnyGenerator]:
    """All generators by name, alphabetical."""
    names = sorted(module.name for module in pkgutil.iter_modules(generators.__path__))
    found = (importlib.import_module(f"{generators.__name__}.{name}").GENERATOR for name in names)
    return {generator.name: generator for generator in found}
