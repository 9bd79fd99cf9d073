"""The base of every kind's Spec: strict, frozen, documented; plus field types several kinds share."""

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pytest_mecheval.errors import UsageError
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.vocabulary import AblationValue, Component, Metric

LARGEST_THRESHOLD = 1e6
"""Nats: far beyond what any model's logits reach, and small enough to compute with."""


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


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("names a component twice")
    return names


ComponentNames = Annotated[tuple[ComponentName, ...], Field(min_length=1), AfterValidator(distinct)]
"""One or more different components."""


class MeasuredSpec(Spec):
    """What every claim that we measure must name: on which prompts."""

    task: str
    """A task of the claim file's `subject.tasks`."""
    stratum: str = "fresh"
    """Which stratum of the task; `fresh` is the stated distribution."""


class InterventionSpec(MeasuredSpec):
    """A claim about writing into components; the choices that change the answer have no default."""

    components: ComponentNames
    """Components written together, such as `a9.h6`."""
    value: AblationValue
    """What replaces the activation: zero, mean or resample."""
    positions: str
    """`all`, or one named position of the task."""
    metric: Metric
    """Read at the answer position, one value per prompt."""


def receiver_name(name: str) -> str:
    """A head input such as `a1.h1.k`, normalised.

    Raises:
        ValueError: not a head followed by `.q`, `.k` or `.v`.
    """
    head, _, side = name.strip().rpartition(".")
    canonical = _canonical(head) if head else ""
    if side not in {"q", "k", "v"} or ".h" not in canonical:
        raise ValueError(f"{name!r} is no head input (allowed: a1.h1.q, a1.h1.k, a1.h1.v)")
    return f"{canonical}.{side}"


def stated_number(text: str) -> str:
    """The text unchanged, if it is one decimal number as prose writes it.

    Raises:
        ValueError: it is not, or too large, or too fine, for a measured number.
    """
    number = Stated(text)
    if not (math.isfinite(number.value) and 0 < number.half_unit < math.inf):
        raise ValueError(f"{text!r} is too large, or too fine, for a measured number")
    return text
