"""Values in JSON types only: what documents are made of, and numbers that strict JSON cannot say."""

import enum
import math
from collections.abc import Mapping
from typing import Any


def plain_json(value: Any) -> Any:
    """The value in JSON types only: lists for tuples and sets, text for what JSON cannot say.

    >>> Color = enum.StrEnum("Color", "RED")
    >>> plain_json({"a": (1, float("nan")), "b": Color.RED})
    {'a': [1, 'NaN'], 'b': 'red'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return plain_json(value.value)
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return encode_float(value)
    if isinstance(value, set | frozenset):
        return sorted((plain_json(item) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if hasattr(value, "tolist"):
        return plain_json(value.tolist())
    return str(value)


def encode_float(value: float) -> float | str:
    """The number, or `NaN`, `Infinity`, `-Infinity` as text, which strict JSON readers accept.

    >>> encode_float(1.5), encode_float(float("-inf"))
    (1.5, '-Infinity')
    """
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
