"""The one shape every answer has, as JSON Schema for the model and as a checked type for us."""

import enum
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pytest_mecheval.bundle.problems import validation_problems
from pytest_mecheval.errors import UsageError

MAX_CLAIMS = 20
"""Claims in one sentence; a table row with ten numbers is the densest thing seen."""
MAX_WORDS = 4_000
"""Characters of a reason or an explanation."""
MAX_JSON = 20_000
"""Characters of a spec or a subject written as JSON text."""


class Outcome(enum.StrEnum):
    """What a passage turned out to be."""

    CLAIMS = "claims"
    """One or more findings, each with a kind."""
    PLAN_STEP = "plan_step"
    """A step of the plan; its claims all have kind `plan_step`."""
    NOT_TESTABLE = "not_testable"
    """A finding or step that no kind can test; `reason` says why."""
    NO_CLAIM = "no_claim"
    """States neither a finding nor a step."""
    SUBJECT = "subject"
    """The answer to the question about model and tasks; `subject_json` holds it."""


def _plain_word(value: Any) -> Any:
    """A choice as we write it: models do not keep its capitals, nor always its underscore."""
    if not isinstance(value, str):
        return value
    return "_".join(value.strip().lower().replace("-", " ").replace("_", " ").split())


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ProposedClaim(_Strict):
    """One claim as proposed: nothing in it is believed yet."""

    id: Annotated[str, Field(max_length=200)]
    """Suggested id, a few words."""
    kind: Annotated[str, Field(max_length=100), BeforeValidator(_plain_word)]
    """Name of a kind."""
    quote: Annotated[str, Field(max_length=10_000)]
    """The words of the passage that make the claim."""
    spec_json: Annotated[str, Field(max_length=MAX_JSON)]
    """The kind's spec, as JSON text."""
    operationalised: Annotated[
        tuple[Annotated[str, Field(max_length=100)], ...], Field(max_length=50)
    ]
    """Fields of the spec that the passage does not say."""
    headline: Annotated[bool, Field(strict=True)]
    """The bundle presents it as a main result."""


class Answer(_Strict):
    """What one ask must be answered with; every field is required, those that do not apply are empty."""

    outcome: Annotated[Outcome, BeforeValidator(_plain_word)]
    """What the passage is."""
    claims: Annotated[tuple[ProposedClaim, ...], Field(max_length=MAX_CLAIMS)]
    """For `claims` and `plan_step`."""
    reason: Annotated[str, Field(max_length=MAX_WORDS)]
    """For `not_testable`: what is missing to test it. With claims: which part of the passage none tests, and why."""
    explanation: Annotated[str, Field(max_length=MAX_WORDS)]
    """One or two sentences for the reviewer."""
    subject_json: Annotated[str, Field(max_length=MAX_JSON)]
    """For `subject`: the section, as JSON text."""


class BadAnswer(UsageError):
    """An answer does not have the shape; says what is wrong in one line."""


def answer_from(body: Mapping[str, Any]) -> Answer:
    """The answer in a reply's body, checked: fields, types, lengths, and that its parts fit its outcome.

    Kinds, specs and quotes are not checked here.

    Raises:
        BadAnswer: with every problem, separated by semicolons.
    """
    try:
        answer = Answer.model_validate(dict(body))
    except ValidationError as error:
        raise BadAnswer("; ".join(validation_problems(error, Answer))) from None
    has_claims = answer.outcome in (Outcome.CLAIMS, Outcome.PLAN_STEP)
    if has_claims != bool(answer.claims):
        must = "needs at least one entry" if has_claims else "takes no entries"
        raise BadAnswer(f"field 'claims': outcome {answer.outcome} {must}")
    if answer.outcome is Outcome.NOT_TESTABLE and not answer.reason.strip():
        raise BadAnswer("field 'reason': outcome not_testable needs a reason")
    if answer.outcome is Outcome.SUBJECT and not answer.subject_json.strip():
        raise BadAnswer("field 'subject_json': outcome subject needs it")
    return answer


def answer_schema(kinds: Iterable[str]) -> dict[str, Any]:
    """JSON Schema of an answer, written by hand so that no library's release changes recorded keys.

    Specs are JSON texts in it: one schema for all kinds keeps the prompt cache and stays small.

    Args:
        kinds: names a claim's `kind` may have.
    """
    text = {"type": "string"}
    claim = {
        "id": text | {"description": "lower-case words joined by '-', such as copy-head-necessary"},
        "kind": text | {"enum": sorted(kinds)},
        "quote": text | {"description": "words of the passage, copied exactly"},
        "spec_json": text | {"description": "the kind's spec as JSON text"},
        "operationalised": {
            "type": "array",
            "items": text,
            "description": "fields of the spec that the passage does not say",
        },
        "headline": {"type": "boolean"},
    }
    answer = {
        "outcome": text | {"enum": [outcome.value for outcome in Outcome]},
        "claims": {"type": "array", "items": _object(claim)},
        "reason": text | {"description": "what cannot be tested and why, else empty"},
        "explanation": text | {"description": "one or two sentences for the reviewer"},
        "subject_json": text | {"description": "for subject: the section as JSON text, else empty"},
    }
    return _object(answer)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
