"""A failed validation as short lines: unknown fields with the closest known name first, then the rest."""

import types
import typing
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pytest_mecheval.bundle.escaping import escaped

CLOSE_ENOUGH = 0.6
"""Similarity (difflib ratio) from which a name is offered as what was meant."""
MAX_SHOWN_NAMES = 12

_EXPECTED = {
    "string_type": "must be text (put it in quotes)",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a mapping (key: value)",
    "mapping_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
}
_CHOICES = ("literal_error", "enum")


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, or nothing.

    >>> closest("componets", ["components", "metric"])
    'components'
    """
    names = sorted(known)
    match = get_close_matches(name[:100], names, n=1, cutoff=CLOSE_ENOUGH)
    return match[0] if match else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """`(closest: x)`, else the names there are.

    >>> suggestion("zzz", ["b", "a"])
    '(known: a, b)'
    """
    names = sorted(known)
    if near := closest(name, names):
        return f"(closest: {escaped(near)})"
    shown = ", ".join(escaped(known_name) for known_name in names[:MAX_SHOWN_NAMES])
    more = ", …" if len(names) > MAX_SHOWN_NAMES else ""
    return f"(known: {shown}{more})" if names else "(none is known here)"


def validation_problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line per problem, without place; unknown fields first.

    A missing field is not reported when an unknown field beside it is its misspelling.

    Args:
        error: what `model.model_validate` raised.
        model: the model that was validated.
    """
    details = error.errors(include_url=False, include_context=True)
    unknown: list[str] = []
    meant: set[tuple[Any, ...]] = set()
    for detail in details:
        if detail["type"] != "extra_forbidden":
            continue
        *prefix, name = detail["loc"]
        known = _fields_at(model, prefix)
        hint = f" {suggestion(str(name), known)}" if known else ""
        unknown.append(f"unknown field {_quoted(detail['loc'])}{hint}")
        meant.add((*prefix, closest(str(name), known)))
    others = [
        _line(detail)
        for detail in details
        if detail["type"] != "extra_forbidden"
        and not (detail["type"] == "missing" and tuple(detail["loc"]) in meant)
        and not (detail["type"] == "too_short" and _holds_another(detail, details))
    ]
    return unknown + others


def _holds_another(detail: Any, details: Iterable[Any]) -> bool:
    """Whether a problem lies inside this one: a list whose every entry is wrong is not too short as well."""
    place = detail["loc"]
    return any(
        len(each["loc"]) > len(place) and each["loc"][: len(place)] == place for each in details
    )


def location(path: Sequence[int | str]) -> str:
    """A path into a document as people write it.

    >>> location(("quote", "lines", 0))
    'quote.lines[0]'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{escaped(part)}" if text else escaped(part)
    return text


def _line(detail: Any) -> str:
    if detail["type"] == "missing":
        return f"missing field {_quoted(detail['loc'])}"
    if detail["type"] in _EXPECTED:
        what = f"{_EXPECTED[detail['type']]}, got {_got(detail['input'])}"
    elif detail["type"] in _CHOICES:
        what = f"must be {detail['ctx']['expected']}, got {_got(detail['input'])}"
    elif detail["type"] in ("value_error", "assertion_error"):
        what = str(detail["ctx"]["error"])
    else:
        message = str(detail["msg"])
        what = f"{message[:1].lower()}{message[1:]}, got {_got(detail['input'])}"
    what = escaped(what, 400)
    return f"field {_quoted(detail['loc'])}: {what}" if detail["loc"] else what


def _quoted(path: Sequence[int | str]) -> str:
    return f"'{location(path)}'"


def _got(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return escaped(repr(value), 60)


def _fields_at(model: type[BaseModel], path: Iterable[int | str]) -> tuple[str, ...]:
    """Names of the fields at a place inside a model; empty when the types do not tell."""
    annotation: Any = model
    for part in path:
        annotation = _inner(annotation, part)
        if annotation is None:
            return ()
    found = _model_in(annotation)
    return tuple(found.model_fields) if found else ()


def _inner(annotation: Any, part: int | str) -> Any:
    """The type one step further down."""
    if found := _model_in(annotation):
        field = found.model_fields.get(str(part))
        return field.annotation if field else None
    for option in _options(annotation):
        arguments = get_args(option)
        if get_origin(option) is dict and len(arguments) > 1:
            return arguments[1]
        if get_origin(option) in (tuple, list, set, frozenset) and arguments:
            return arguments[0]
    return None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The only model among a type's alternatives."""
    models = [
        option
        for option in _options(annotation)
        if isinstance(option, type) and issubclass(option, BaseModel)
    ]
    return models[0] if len(models) == 1 else None


def _options(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union, without wrappers and None."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(
            option
            for argument in get_args(annotation)
            if argument is not types.NoneType
            for option in _options(argument)
        )
    return (annotation,) if annotation is not typing.Any else ()
