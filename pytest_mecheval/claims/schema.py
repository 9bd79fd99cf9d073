"""The claim file's JSON Schema (draft 2020-12), with the spec of each claim tied to its kind."""

from collections.abc import Mapping
from typing import Any

from pytest_mecheval.claims.model import ClaimFile

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS = "#/$defs/"


def claim_file_schema(spec_schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A schema an editor or the translator can check a claim file with.

    Args:
        spec_schemas: the JSON Schema of each kind's spec, by kind.

    Returns:
        JSON-compatible; the same input gives the same document.
    """
    schema = ClaimFile.model_json_schema()
    definitions = schema["$defs"]
    claim = definitions["Claim"]
    claim["properties"]["kind"] = {
        "description": claim["properties"]["kind"].get("description", ""),
        "enum": sorted(spec_schemas),
    }
    claim["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"properties": {"spec": {"$ref": f"{_DEFINITIONS}spec_{kind}"}}},
        }
        for kind in sorted(spec_schemas)
    ]
    for kind in sorted(spec_schemas):
        definitions[f"spec_{kind}"] = _rebased(spec_schemas[kind], f"{_DEFINITIONS}spec_{kind}/")
    return {"$schema": DRAFT, "title": "Claim file of pytest-mecheval", **_without_title(schema)}


def _rebased(value: Any, base: str) -> Any:
    """A schema with its references to `#/$defs/` pointing to where it is embedded."""
    if isinstance(value, Mapping):
        return {
            key: f"{base}{inner.removeprefix('#/')}"
            if key == "$ref" and isinstance(inner, str) and inner.startswith(_DEFINITIONS)
            else _rebased(inner, base)
            for key, inner in value.items()
        }
    return [_rebased(inner, base) for inner in value] if isinstance(value, list) else value


def _without_title(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}
