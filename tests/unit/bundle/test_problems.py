from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_mecheval.bundle.problems import suggestion, validation_problems


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    line: int


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    components: tuple[str, ...]
    metric: Literal["loss", "kl"] = "loss"
    quotes: tuple[Inner, ...] = ()
    named: dict[str, Inner | None] = {}
    text: str = ""


def problems(value):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    return validation_problems(caught.value, Outer)


def test_a_misspelling_is_not_also_a_missing_field():
    assert problems({"componets": ["a1.h6"]}) == ["unknown field 'componets' (closest: components)"]


def test_unknown_fields_come_first_with_the_known_names_of_their_place():
    assert problems(
        {
            "components": 3,
            "quotes": [{"line": "x"}, {"lien": 4}],
            "named": {"k": {"line": 1, "zzzz": 2}},
        }
    ) == [
        "unknown field 'quotes[1].lien' (closest: line)",
        "unknown field 'named.k.zzzz' (known: line)",
        "field 'components': must be a list, got 3",
        "field 'quotes[0].line': must be a whole number, got 'x'",
    ]


def test_other_problems_say_what_is_allowed_and_what_came():
    assert problems({"metric": "acc", "text": 3, "quotes": {}}) == [
        "missing field 'components'",
        "field 'metric': must be 'loss' or 'kl', got 'acc'",
        "field 'quotes': must be a list, got a mapping",
        "field 'text': must be text (put it in quotes), got 3",
    ]
    assert problems(None) == ["must be a mapping (key: value), got nothing"]


def test_hostile_names_are_shown_harmlessly():
    found = problems({"components": [], "\x1b[2J\n": 1, "x" * 10_000: 2})
    assert all(line.isprintable() and len(line) < 500 for line in found)


def test_suggestion_without_names():
    assert suggestion("x", []) == "(none is known here)"
