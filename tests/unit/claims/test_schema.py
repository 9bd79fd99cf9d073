from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from pytest_mecheval.claims.schema import claim_file_schema


class Site(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class AblationSpec(BaseModel):
    model_config = ConfigDict(extra="forbid")
    components: list[str]
    value: str
    positions: str
    metric: str
    task: str
    site: Site | None = None


class NumberSpec(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: str
    site: Site | None = None


@pytest.fixture
def schema() -> dict[str, Any]:
    return claim_file_schema(
        {
            "reported_number": NumberSpec.model_json_schema(),
            "ablation": AblationSpec.model_json_schema(),
        }
    )


@pytest.fixture
def check(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return lambda document: [error.message for error in validator.iter_errors(document)]


def test_a_sound_file_is_valid(check, fresh):
    assert check(yaml.safe_load(fresh)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: ablation",
            "kind: ablate",
            "'ablate' is not one of ['ablation', 'reported_number']",
        ),
        ("[a1.h6], value", "[a1.h6], vlaue", "'vlaue' was unexpected"),
        ('spec: {value: "2.1"}', "spec: {value: 2.1}", "2.1 is not of type 'string'"),
        ('spec: {value: "2.1"}', "spec: {value: x, site: {}}", "is not valid under any"),
        ("id: drop-size", "id: Drop_Size", "does not match"),
        ("logs/plan.md: sha256:", "logs/plan.md: sha1:", "does not match"),
        ("headline: true", "headlines: true", "'headlines' was unexpected"),
        ("{file: data/prompts.jsonl}", "{file: a, vocab: 3}", "is not valid under any"),
        ("loader: transformer_lens", "loader: tl", "is not valid under any"),
        ("config: model/config.json, ", "", "is not valid under any"),
    ],
)
def test_mistakes_are_invalid(check, fresh, old, new, message):
    assert old in fresh
    assert any(message in found for found in check(yaml.safe_load(fresh.replace(old, new))))


def test_the_schema_is_the_same_every_time_and_names_its_draft(schema):
    other_order = claim_file_schema(
        {
            "ablation": AblationSpec.model_json_schema(),
            "reported_number": NumberSpec.model_json_schema(),
        }
    )
    assert schema == other_order
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["$defs"]) == list(other_order["$defs"])
