"""The base of every kind's Spec: strict, frozen, documented; plus field types several kinds share."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pytest_mecheval.errors import UsageError
from pytest_mecheval.vocabulary import Component


class Spec(BaseModel):
    """What one kind of claim must say before it can be checked; unknown fields are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, str_strip_whitespace=True
    )


def _canonical(name: str) -> str:
    try:
        return str(Component.parse(name))
    except UsageError as error:
        raise ValueError(str(error)) from None


ComponentName = Annotated[str, AfterValidator(_canonical)]
"""A component in any accepted spelling, normalised to `a1.h6`, `m0`, `input`, `r1`."""


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("names a component twice")
    return names


ComponentNames = Annotated[
    tuple[ComponentName, ...], Field(min_length=1), AfterValidator(_distinct)
]
"""One or more different components."""
