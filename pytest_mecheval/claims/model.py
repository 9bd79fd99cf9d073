"""The claim file as frozen types: claims, plan steps and untestable statements, each with its quote."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pytest_mecheval.bundle.subject import ModelSection, RelativePath, Section, TaskSection

__all__ = [
    "DISMISSED",
    "NOT_TRANSLATED",
    "Claim",
    "ClaimFile",
    "Entry",
    "ModelSection",
    "NotTestable",
    "PlanItem",
    "Quote",
    "SubjectSection",
    "TaskSection",
    "function_name",
]

FORMAT = 1
MAX_ID_CHARACTERS = 80
"""Ids become function names, file names and Allure titles."""
ID_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
HASH_PREFIX = "sha256:"
NOT_TRANSLATED = "not translated"
"""Begins the reason of every statement whose translation could not be used; no run passes with one."""
DISMISSED = "dismissed as stating nothing"
"""Begins the reason of statements that rules find and the translator says are none."""

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_TASK_NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$"


def _kebab_case(text: str) -> str:
    if not re.fullmatch(ID_PATTERN, text):
        raise ValueError(f"{text!r} is not kebab-case (lower-case words joined by '-': copy-head)")
    return text


def _content_hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise ValueError("must be sha256: and 64 hex digits (written by: mecheval restamp FILE)")
    return text


Identifier = Annotated[
    str,
    Field(max_length=MAX_ID_CHARACTERS, json_schema_extra={"pattern": ID_PATTERN}),
    AfterValidator(_kebab_case),
]
"""Kebab-case and unique in the file: `copy-head`."""
ContentHash = Annotated[
    str,
    Field(json_schema_extra={"pattern": f"^{_HASH.pattern}$"}),
    AfterValidator(_content_hash),
]
"""`sha256:` and the hex digest of a document's bytes."""


class Quote(Section):
    """A sentence of the bundle, word for word, with the place where it begins."""

    file: RelativePath
    """Relative to the bundle's root."""
    line: Annotated[int, Field(ge=1, strict=True)]
    """Line on which the quoted text begins; for notebooks, of the `.ipynb` file itself."""
    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    """Verbatim; white space and line wraps may differ."""


class Claim(Section):
    """One finding, stated so that it can be refuted."""

    id: Identifier
    """Kebab-case and unique in the file."""
    kind: Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS)]
    """Which check decides it; `mecheval explain` lists them."""
    quote: Quote
    """The sentence that makes the claim."""
    spec: dict[str, Any]
    """What the kind needs to know; its fields are the kind's own."""
    operationalised: tuple[str, ...] = ()
    """Fields of `spec` that the prose does not say and the evaluator filled in."""
    headline: bool = False
    """The bundle presents this as a main result."""
    edited: bool = False
    """A person changed what was proposed."""


class PlanItem(Section):
    """One step the bundle's plan promises."""

    id: Identifier
    """Kebab-case and unique in the file."""
    quote: Quote
    """The line of the plan."""
    spec: dict[str, Any] = Field(default_factory=dict)
    """What must have happened for the step to count as done."""
    edited: bool = False
    """A person changed what was proposed."""


class NotTestable(Section):
    """A statement no measurement could refute; listed so that vagueness costs coverage."""

    id: Identifier
    """Kebab-case and unique in the file."""
    quote: Quote
    """The statement."""
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
    """Why nothing could refute it."""
    edited: bool = False
    """A person changed what was proposed."""


Entry = Claim | PlanItem | NotTestable


class SubjectSection(Section):
    """What the claims are about."""

    model: ModelSection | None = None
    """The model under study."""
    tasks: dict[
        Annotated[str, Field(max_length=MAX_ID_CHARACTERS, pattern=_TASK_NAME)], TaskSection
    ] = Field(default_factory=dict)
    """Named sources of prompts."""


class ClaimFile(Section):
    """All typed claims of one bundle."""

    format: Literal[1]
    """Version of this file format."""
    bundle: Annotated[str, Field(min_length=1, max_length=300)]
    """Name of the bundle, for readers; documents are matched by their hashes."""
    documents: dict[RelativePath, ContentHash]
    """The texts the claims were read from; claims are stale when these change."""
    subject: SubjectSection = SubjectSection()
    """The model and tasks under study."""
    claims: tuple[Claim, ...] = ()
    """Findings that can be tested."""
    plan: tuple[PlanItem, ...] = ()
    """Steps the plan promises."""
    not_testable: tuple[NotTestable, ...] = ()
    """Statements no measurement could refute."""

    def entries(self) -> Iterator[Entry]:
        """Everything with an id, in the file's order."""
        yield from self.claims
        yield from self.plan
        yield from self.not_testable


def function_name(identifier: str) -> str:
    """The test function of a claim; different ids give different names.

    >>> function_name("l1h6-necessary")
    'test_l1h6_necessary'
    """
    return f"test_{identifier.replace('-', '_')}"
