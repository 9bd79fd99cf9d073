"""How the model and the tasks under study are stated, in a claim file or in the bundle's manifest."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import JsonSchemaValue

from pytest_mecheval.bundle.commands import parse_entry
from pytest_mecheval.bundle.reading import relative_parts
from pytest_mecheval.errors import BundleError

Loader = Literal["transformer_lens", "hub", "python"]
"""transformer_lens: config + safetensors files; hub: local Hugging Face cache; python: bundle code."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_ENTRY = re.compile(r"[^:]+\.py:[A-Za-z_]\w*")
_SITE = re.compile(r"none|[A-Za-z_][\w.{}]*(:input|:output)?")
_FIELDS = re.compile(r"\{[^}]*\}?|\}")
_NEEDED: dict[str, tuple[str, ...]] = {
    "transformer_lens": ("config", "weights"),
    "hub": ("name",),
    "python": ("entry",),
}


class Section(BaseModel):
    """Strict and frozen: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _safe_path(path: str) -> str:
    try:
        return "/".join(relative_parts(path))
    except BundleError as error:
        raise ValueError(str(error)) from None


RelativePath = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_safe_path)]
"""A file of the bundle, relative to its root, `/` between folders."""


def _safe_entry(entry: str) -> str:
    if not _ENTRY.fullmatch(entry):
        raise ValueError("must look like src/data.py:make_batch")
    path, _, function = entry.rpartition(":")
    return f"{_safe_path(path)}:{function}"


EntryPoint = Annotated[str, Field(max_length=1000), AfterValidator(_safe_entry)]
"""A function or class of the bundle's own code: `src/data.py:make_batch`."""


def _command_or_entry(text: str) -> str:
    if _ENTRY.fullmatch(text):
        return _safe_entry(text)
    try:
        parse_entry(text, ())
    except BundleError as error:
        raise ValueError(str(error)) from None
    return text


CommandOrEntry = Annotated[
    str, Field(min_length=1, max_length=1000), AfterValidator(_command_or_entry)
]
"""A script, notebook or shell script with its arguments, or a function in a script."""


def _hub_name(name: str) -> str:
    if not _HUB_NAME.fullmatch(name) or ".." in name:
        raise ValueError("must look like gpt2 or organisation/model")
    return name


HubName = Annotated[str, Field(max_length=200), AfterValidator(_hub_name)]


def _site(text: str) -> str:
    if not _SITE.fullmatch(text):
        raise ValueError(
            "must look like blocks.{layer}.attn.out, with :input or :output, or be none"
        )
    fields = set(_FIELDS.findall(text))
    if fields - {"{layer}", "{head}"}:
        raise ValueError("only {layer} and {head} may stand in braces")
    return text


Site = Annotated[str, Field(max_length=200), AfterValidator(_site)]
"""A module of the model for every layer, and whether its input or its output is meant."""


class Sites(Section):
    """How big a module of the bundle is, and which of its modules are heads, MLPs and residual stream."""

    layers: int | None = Field(default=None, ge=1, le=1000)
    """Blocks; needed unless the configuration file says it."""
    heads: int | None = Field(default=None, ge=0, le=1000)
    """Attention heads of a block; needed unless the configuration file says it; 0 for none."""
    width: int | None = Field(default=None, ge=1, le=1_000_000)
    """Of the residual stream; needed unless the configuration file says it."""
    head: Site | None = None
    """The attention output projection, whose input holds the heads side by side (`blocks.{layer}.attn.out`);
    with `:output` a module that returns them, with `{head}` one module per head. Looked for when left out."""
    mlp: Site | None = None
    """A module whose output the MLP adds (`blocks.{layer}.mlp`); `none` without MLPs. Looked for when left out."""
    resid: Site | None = None
    """A module whose input is the residual stream (`blocks.{layer}`). Looked for when left out."""
    attention: Site | None = None
    """A module whose output is the attention weights; when left out, what softmax returns in each layer."""


Scalar = str | int | float | bool | None


class ModelSection(Section):
    """Where the model under study comes from."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"loader": {"const": loader}}},
                    "then": {"required": list(fields)},
                }
                for loader, fields in _NEEDED.items()
            ]
        }
    )

    loader: Loader
    """`transformer_lens` (config and weights as files), `hub` (local cache), `python` (bundle code)."""
    config: RelativePath | None = None
    """Configuration file, JSON."""
    weights: RelativePath | None = None
    """Weights, safetensors; for loader `python` also a state dict that torch saved, filled in by us."""
    name: HubName | None = None
    """Hub name, or a label for the other loaders."""
    entry: EntryPoint | None = None
    """The bundle's own model, a function or class that returns a torch.nn.Module: runs only in a sandbox."""
    arguments: dict[str, Scalar] = Field(default_factory=dict)
    """Keyword arguments of the entry."""
    sites: Sites | None = None
    """Loader `python`: the size of the module and where its components are."""
    revision: str | None = Field(default=None, max_length=100, pattern=r"^[A-Za-z0-9][\w./-]*$")
    """Branch, tag or commit in the hub."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        lacking = [field for field in _NEEDED[self.loader] if getattr(self, field) is None]
        if lacking:
            raise ValueError(f"loader {self.loader} needs {' and '.join(lacking)}")
        if self.loader != "python" and (self.sites is not None or self.arguments):
            raise ValueError("sites and arguments belong to loader python")
        return self


_Plain = bool | int | float | str | None
Argument = _Plain | list[_Plain]
"""What a function of the bundle may be called with: as YAML writes it, one value or a list of them."""


class TaskSection(Section):
    """Where prompts come from: exactly one of `generator`, `file`, `entry`."""

    generator: str | None = Field(default=None, min_length=1, max_length=100)
    """One of our task generators; every further key is one of its parameters."""
    file: RelativePath | None = None
    """A data file of the bundle: JSONL or safetensors."""
    entry: EntryPoint | None = None
    """The bundle's own data function: runs only in a sandbox."""
    arguments: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Argument] = Field(
        default_factory=dict
    )
    """What the data function is called with, besides a number of prompts and a seed."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the generator; written beside it, not below."""

    @model_validator(mode="before")
    @classmethod
    def _gather_parameters(cls, section: Any) -> Any:
        """Beside `generator`, keys we do not know are parameters of the generator."""
        if not isinstance(section, dict) or "generator" not in section:
            return section
        gathered = {key: section[key] for key in section if key in cls.model_fields}
        further = {key: section[key] for key in section if key not in cls.model_fields}
        stated = gathered.get("parameters", {})
        if not isinstance(stated, dict):
            return section
        return {**gathered, "parameters": {**stated, **further}}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("generator", "file", "entry") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"needs exactly one of generator, file, entry (found {found})")
        if self.parameters and self.generator is None:
            raise ValueError("parameters belong to a generator")
        if self.arguments and self.entry is None:
            raise ValueError("arguments belong to an entry")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> JsonSchemaValue:
        """As written in YAML: a generator takes any further key, a file or an entry none."""
        schema: JsonSchemaValue = handler.resolve_ref_schema(handler(core_schema))
        fields = schema["properties"]
        text = {"type": "string", "minLength": 1}
        fields.pop("parameters")
        arguments = fields.pop("arguments")
        schema.pop("additionalProperties", None)
        schema["properties"] = {
            name: {**text, "description": fields[name].get("description", "")} for name in fields
        }
        schema["oneOf"] = [
            {"required": ["generator"]},
            {"required": ["file"], "maxProperties": 1},
            {
                "required": ["entry"],
                "properties": {"entry": {}, "arguments": arguments},
                "additionalProperties": False,
            },
        ]
        return schema
