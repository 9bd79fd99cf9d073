"""Seeds: which generator was seeded with what from where; optionally every seed shifted by a constant."""

import random
import time
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .state import Recorder

MAX_PER_PLACE = 50
"""Rows for one seeding statement; a loop over a thousand seeds says the same each time."""

REDUCTIONS = (2**64, 2**63, 2**32, 2**31, 2**31 - 1)
"""What programs reduce a number from the system by, to make a seed of it."""
MAX_VALUE = 2**53
"""A larger seed is noted without its value: JSON readers need not agree on it."""
TICKS = (1, 10**3, 10**6, 10**9)
"""Clock readings per second: seconds, milliseconds, microseconds, nanoseconds."""


class Seeds:
    """Wraps the seeding functions.

    Args:
        shift: added to every integer seed: the same code with other random numbers.
    """

    def __init__(self, recorder: Recorder, shift: int) -> None:
        self._recorder = recorder
        self._shift = shift
        self._rows: Counter[str] = Counter()
        self._nested = False
        self._started = time.time()
        self._drawn: set[int] = set()

    def install(self) -> None:
        """Watch the standard library's generator."""
        # `random.seed` is a bound method of a hidden instance; the module attribute is what people call.
        random.seed = self._wrapped(random.seed, "random")

    def numpy_loaded(self, module: ModuleType) -> None:
        """Watch numpy's global and new-style generators."""
        place = module.random
        place.seed = self._wrapped(place.seed, "numpy")
        place.default_rng = self._wrapped(place.default_rng, "numpy.default_rng")

    def torch_loaded(self, module: ModuleType) -> None:
        """Watch torch's global generators."""
        module.manual_seed = self._wrapped(module.manual_seed, "torch")  # type: ignore[attr-defined]
        module.seed = self._wrapped(module.seed, "torch")  # type: ignore[attr-defined]
        module.Generator = self._generator(module.Generator)  # type: ignore[attr-defined]

    def _generator(self, original: Any) -> Any:
        """A generator class whose `manual_seed` is watched; objects of the original pass for it."""

        class Known(type(original)):  # type: ignore[misc]
            def __instancecheck__(cls, one: Any) -> bool:
                return isinstance(one, original)

        class Generator(original, metaclass=Known):  # type: ignore[misc]
            pass

        watched = self._wrapped(original.manual_seed, "torch.Generator", at=1)
        Generator.manual_seed = lambda *args, **kwargs: watched(*args, **kwargs)
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(Generator, name, getattr(original, name))
        return Generator

    def _wrapped(
        self, original: Callable[..., Any], generator: str, at: int = 0
    ) -> Callable[..., Any]:
        """The function with its integer seed, argument number `at`, noted and shifted."""

        def seed(*args: Any, **kwargs: Any) -> Any:
            if self._nested:
                return original(*args, **kwargs)
            given = args[at] if len(args) > at else next(iter(kwargs.values()), None)
            value: Any = given
            integer = isinstance(given, int) and not isinstance(given, bool)
            if isinstance(given, int) and integer and self._shift:
                value = abs(given + self._shift)
                if len(args) > at:
                    args = (*args[:at], value, *args[at + 1 :])
                else:
                    kwargs = {**kwargs, next(iter(kwargs)): value}
            chosen = given is not None and not (integer and self._by_chance(given))
            self._record(generator, given if integer else None, chosen)
            self._nested = True
            try:
                returned = original(*args, **kwargs)
            finally:
                self._nested = False
            if given is None and isinstance(returned, int):
                self._drawn.update(returned % size for size in REDUCTIONS)
            return returned

        seed.__name__ = getattr(original, "__name__", "seed")
        seed.__doc__ = original.__doc__
        seed.__wrapped__ = original  # type: ignore[attr-defined]
        return seed

    def _by_chance(self, value: int) -> bool:
        """Whether a seed is what the system drew before, or the time of this run."""
        now = time.time()
        first, last = int(self._started), int(now) + 1
        return value in self._drawn or any(
            first * ticks <= value <= last * ticks for ticks in TICKS
        )

    def _record(self, generator: str, value: int | None, given: bool) -> None:
        calls = self._recorder.places.stack()
        if not calls:
            return  # a library seeding itself says nothing about the bundle
        key = f"{generator} {calls[0]}"
        self._rows[key] += 1
        if self._rows[key] > MAX_PER_PLACE:
            self._recorder.ledger.dropped["seed"] += 1
            return
        self._recorder.ledger.add(
            "seed",
            generator=generator,
            value=value if value is not None and abs(value) <= MAX_VALUE else None,
            given=given,
            shift=self._shift,
            calls=calls,
        )
