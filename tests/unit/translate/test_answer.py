"""An answer is checked against its shape, and the two descriptions of that shape agree."""

import json

import jsonschema
import pytest
from pydantic import ValidationError

from pytest_mecheval.translate.answer import (
    Answer,
    BadAnswer,
    Outcome,
    ProposedClaim,
    answer_from,
    answer_schema,
)

KINDS = ("ablation", "plan_step")
CLAIM = {
    "id": "copy-head",
    "kind": "ablation",
    "quote": "Head 1.6 is necessary",
    "spec_json": '{"components": ["a1.h6"]}',
    "operationalised": ["value"],
    "headline": True,
}
BODY = {
    "outcome": "claims",
    "claims": [CLAIM],
    "reason": "",
    "explanation": "names one head",
    "subject_json": "",
}


def test_a_good_answer_is_read():
    answer = answer_from(BODY)
    assert answer.outcome is Outcome.CLAIMS
    assert answer.claims[0].operationalised == ("value",)


@pytest.mark.parametrize("written", ["CLAIMS", "Claims", " claims "])
def test_capitals_of_a_choice_do_not_matter(written):
    assert answer_from(BODY | {"outcome": written}).outcome is Outcome.CLAIMS


@pytest.mark.parametrize("written", ["Not_Testable", "NOT-TESTABLE", "not testable"])
def test_a_choice_of_two_words_is_read_however_they_are_joined(written):
    body = BODY | {"outcome": written, "claims": [], "reason": "no operational meaning"}
    assert answer_from(body).outcome is Outcome.NOT_TESTABLE


def test_capitals_of_a_kind_do_not_matter():
    body = BODY | {"claims": [CLAIM | {"kind": "Plan Step"}]}
    assert answer_from(body).claims[0].kind == "plan_step"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "SUPPORTED"}, "verdict"),
        ({"outcome": "passed"}, "outcome"),
        ({"claims": []}, "needs at least one entry"),
        ({"outcome": "no_claim"}, "takes no entries"),
        ({"outcome": "not_testable", "claims": []}, "needs a reason"),
        ({"outcome": "subject", "claims": []}, "subject_json"),
        ({"claims": [CLAIM | {"headline": "yes"}]}, "headline"),
        ({"claims": [CLAIM | {"tolerance": 1e6}]}, "tolerance"),
        ({"claims": [CLAIM] * 21}, "claims"),
        ({"explanation": "x" * 5000}, "explanation"),
    ],
)
def test_anything_else_is_refused_with_the_field(change, said):
    with pytest.raises(BadAnswer, match=said):
        answer_from(BODY | change)


@pytest.mark.parametrize("field", sorted(BODY))
def test_every_field_is_required_in_both_descriptions(field):
    body = {name: value for name, value in BODY.items() if name != field}
    with pytest.raises(BadAnswer, match=field):
        answer_from(body)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, answer_schema(KINDS))


def test_the_schema_and_the_type_name_the_same_fields():
    schema = answer_schema(KINDS)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(BODY, schema)
    assert schema["required"] == list(Answer.model_fields)
    assert schema["properties"]["claims"]["items"]["required"] == list(ProposedClaim.model_fields)
    assert schema["properties"]["outcome"]["enum"] == [outcome.value for outcome in Outcome]
    assert len(json.dumps(schema)) < 1500


def test_nothing_is_asked_for_that_a_model_would_refuse_to_show():
    assert "reasoning" not in json.dumps(answer_schema(KINDS))


def test_an_answer_cannot_be_changed_afterwards():
    with pytest.raises(ValidationError):
        answer_from(BODY).outcome = Outcome.NO_CLAIM
