"""Calls a function of the bundle once and turns what it returns into plain tensors."""

import array
from collections.abc import Mapping
from typing import Any

from .frames import Listed, Unanswerable
from .importing import entry_point

WHOLE = "the function returned"
KINDS = {"f": ("F64", "d"), "i": ("I64", "q"), "b": ("BOOL", "b")}


def call(task: dict[str, Any]) -> Listed:
    """The named arrays a function returns for the given keyword arguments.

    Args:
        task: `root`, `entry`, `arguments`.

    Raises:
        Unanswerable: it returns anything but arrays, tensors, numbers or lists of them by name.
    """
    found = entry_point(task["root"], task["entry"])(**task["arguments"])
    if hasattr(found, "_asdict"):
        found = found._asdict()
    if not isinstance(found, Mapping):
        raise Unanswerable(f"{WHOLE} {type(found).__name__}, not named arrays (a dict)")
    listed: Listed = []
    for name, value in found.items():
        if not isinstance(name, str):
            raise Unanswerable(f"{WHOLE} a key that is no text: {name!r}")
        if isinstance(value, Mapping):
            listed += [plain(f"{name}.{inner}", one) for inner, one in value.items()]
        else:
            listed.append(plain(name, value))
    return listed


def plain(name: str, value: Any) -> tuple[str, str, tuple[int, ...], bytes]:
    """One array as type, shape and bytes.

    Raises:
        Unanswerable: it is no array of numbers.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return _from_numpy(name, value)
    return _from_lists(name, value)


def _from_numpy(name: str, value: Any) -> tuple[str, str, tuple[int, ...], bytes]:
    exact = {"float32": ("F32", "<f4"), "bool": ("BOOL", "?"), "uint8": ("U8", "u1")}
    kind = value.dtype.kind
    if str(value.dtype) in exact:
        dtype, numpy_name = exact[str(value.dtype)]
    elif kind in "iu":
        dtype, numpy_name = "I64", "<i8"
    elif kind == "f":
        dtype, numpy_name = "F64", "<f8"
    else:
        raise Unanswerable(f"{name}: type {value.dtype} is not a number")
    # An explicit order: arrays may be stored column by column.
    content = value.astype(numpy_name).tobytes(order="C")
    return name, dtype, tuple(int(size) for size in value.shape), content


def _from_lists(name: str, value: Any) -> tuple[str, str, tuple[int, ...], bytes]:
    shape: list[int] = []
    level = value
    while isinstance(level, list | tuple):
        shape.append(len(level))
        level = level[0] if level else 0
    flat: list[Any] = []
    _flatten(name, value, shape, flat)
    types = {type(one) for one in flat}
    kind = "b" if types == {bool} else "i" if types <= {int} else "f"
    if not types <= ({bool} if kind == "b" else {int, float}):
        wrong = sorted(one.__name__ for one in types - {int, float})
        raise Unanswerable(f"{name}: holds {', '.join(wrong)}, not numbers")
    dtype, code = KINDS[kind]
    return name, dtype, tuple(shape), array.array(code, flat).tobytes()


def _flatten(name: str, value: Any, shape: list[int], flat: list[Any]) -> None:
    if not shape:
        flat.append(value)
        return
    if not isinstance(value, list | tuple) or len(value) != shape[0]:
        raise Unanswerable(f"{name}: lists of unequal length")
    for one in value:
        _flatten(name, one, shape[1:], flat)
