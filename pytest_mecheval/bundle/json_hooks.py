"""What `json.loads` lets through and a judge must not: two values for one key, and NaN."""

from typing import Any, NoReturn

from pytest_mecheval.bundle.escaping import escaped

SHOWN_KEY = 60


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key is given twice: readers would disagree about which value counts.

    For `object_pairs_hook`.

    Raises:
        ValueError: names the key.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key '{escaped(twice, SHOWN_KEY)}' is given twice")
    return found


def no_constant(name: str) -> NoReturn:
    """Refuses `NaN` and the infinities, which are no JSON; for `parse_constant`.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is not a number")
