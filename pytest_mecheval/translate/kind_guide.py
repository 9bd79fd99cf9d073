"""The kinds of claim and the task generators, described for whoever fills in a spec; made from the registries.

Rendered by hand from each Spec's JSON Schema: shorter than the schema, and steady across library releases.
"""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_mecheval.checks.check import AnyCheck
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.tasks.registry import task_generators
from pytest_mecheval.vocabulary import COMPONENT_FORMS, Metric, Verdict

_REFERENCE = "#/$defs/"
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "at least {} of them",
}


def kinds_text() -> str:
    """Every kind: its question, when it is blind, its fields, and a worked spec."""
    return "\n\n".join(_kind_text(check) for check in checks().values())


def words_text() -> str:
    """How components are named and what each metric is."""
    metrics = [f"- `{metric}`: {_member_doc(metric)}" for metric in Metric]
    return "\n".join([f"Components: {COMPONENT_FORMS}.", "Metrics:", *metrics])


def tasks_text() -> str:
    """Every task generator: what it draws, its positions, strata and parameters with defaults."""
    parts = []
    for name, generator in task_generators().items():
        module = inspect.getmodule(generator.draw)
        parts += [
            f"### generator `{name}`",
            inspect.cleandoc((generator.doc or (module and module.__doc__) or "").strip()),
            f"positions: {', '.join(generator.positions)}; strata: {', '.join(generator.strata)}",
            *_parameters(generator.parameters),
            "",
        ]
    return "\n".join(parts).rstrip("\n")


def _parameters(parameters: type[Any]) -> Iterator[str]:
    source = inspect.getsource(parameters)
    for field in dataclasses.fields(parameters):
        default = "" if field.default is dataclasses.MISSING else f" (default {field.default!r})"
        yield f"- `{field.name}`{default}: {_doc_below(source, field.name)}"


def _doc_below(source: str, name: str) -> str:
    """The text under a field, which dataclasses do not keep."""
    _, found, after = source.partition(f"\n    {name}:")
    body = after.partition("\n")[2].lstrip()
    if not found or not body.startswith('"""'):
        return ""
    return " ".join(body[3:].partition('"""')[0].split())


def _member_doc(metric: Metric) -> str:
    source = inspect.getsource(Metric)
    _, _, after = source.partition(f'{metric.name} = "{metric.value}"')
    return " ".join(after.partition('"""')[2].partition('"""')[0].split())


def _kind_text(check: AnyCheck) -> str:
    schema = check.spec.model_json_schema()
    blind = check.doc.partition("Blind spots:")[2].partition("Source:")[0]
    shown = next(e for e in check.examples if e.verdict is Verdict.SUPPORTED)
    spec = shown.spec.model_dump_json(exclude_unset=True)
    lines = [
        f"### kind `{check.kind}`",
        f"Question: {check.question}",
        f"Does not show: {' '.join(blind.split())}",
        "Spec fields:",
        *_fields(schema, schema.get("$defs", {}), "- "),
        f"Example spec: {spec}",
    ]
    return "\n".join(lines)


def _fields(schema: Mapping[str, Any], definitions: Mapping[str, Any], lead: str) -> Iterator[str]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        need = "required" if name in required else f"optional, default {_plain(field)}"
        description = " ".join(str(field.get("description", "")).split())
        yield f"{lead}`{name}` ({_type(field, definitions)}; {need}): {description}"
        if inner := _inner(field, definitions):
            yield from _fields(inner, definitions, f"  {lead}")


def _plain(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    if default is None:
        return "absent"
    return "empty" if default in ("", [], {}) else str(default)


def _resolved(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = str(field.get("$ref", ""))
    if not reference and len(field.get("allOf", ())) == 1:  # how pydantic 2.7 writes a reference
        reference = str(field["allOf"][0].get("$ref", ""))
    found = definitions.get(reference.removeprefix(_REFERENCE), field) if reference else field
    return found if isinstance(found, Mapping) else field


def _inner(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The object whose fields are listed below a field, if it is one or a list of them."""
    found = _resolved(field, definitions)
    if found.get("type") == "array":
        found = _resolved(found.get("items", {}), definitions)
    return found if "properties" in found else None


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    found = _resolved(field, definitions)
    if choices := found.get("anyOf"):
        named = [_type(choice, definitions) for choice in choices if choice.get("type") != "null"]
        return " or ".join(named)
    if "enum" in found:
        return " | ".join(map(str, found["enum"]))
    if "const" in found:
        return str(found["const"])
    limits = [text.format(found[key]) for key, text in _LIMITS.items() if key in found]
    kind = str(found.get("type", "any"))
    if kind == "array":
        kind = f"list of {_type(found.get('items', {}), definitions)}"
    return ", ".join([kind, *limits])
