"""A claim as the wording rules see it: one flat view of any kind's spec, beside its quote and what stands around it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.passages import Passage
from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.checks.check import AnyCheck
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.claims.model import Claim, Quote
from pytest_mecheval.errors import UsageError
from pytest_mecheval.vocabulary import Component

LINES_BEFORE = 6
"""Lines above a quote in which "it" and "the pair" may have been named."""
LINES_AFTER = 2
"""Lines below the quote's first one: the rest of a wrapped sentence."""


MAX_WRAPPED = 20
"""Lines over which one sentence may be wrapped."""


class Rule(StrEnum):
    """Which promise between quote and spec is broken."""

    NUMBER = "number"
    """The spec has a number that the text does not state."""
    WEAKENED = "weakened"
    """The spec tests less than the quote says."""
    BINDING = "binding"
    """The spec is about something that the quote does not speak of."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Quote and spec side by side, where they differ."""

    rule: Rule
    says: str
    """Words of the quote, or what it lacks."""
    tests: str
    """What the spec has instead."""

    def __str__(self) -> str:
        """`weakened: the quote says 'key head', the spec tests special: false`."""
        return f"{self.rule}: the quote says {self.says}, the spec has {self.tests}"


@dataclass(frozen=True)
class View:
    """One claim, flattened: for `scope` the fields of the kind it repeats."""

    claim: Claim
    outer: AnyCheck
    """The claim's own kind."""
    check: AnyCheck
    """The kind whose fields these are; differs from `outer` for scope."""
    fields: Mapping[str, Any]
    """With defaults, as plain JSON values."""
    given: Mapping[str, Any]
    """Fields that differ from their defaults."""
    quote: str
    """White space normalised."""
    sentence: str
    """The passage that the quote is part of; the quote itself when it spans several."""
    context: str
    """Lines around the quote."""
    document: str
    """All of the quoted document."""
    prose: str
    """All of the bundle's prose."""

    @property
    def operationalised(self) -> frozenset[str]:
        """Fields the evaluator filled in; `spec.positions` means the same as `positions`."""
        return frozenset(name.rpartition(".")[2] for name in self.claim.operationalised)

    @property
    def general(self) -> bool:
        """Whether it tests anything beyond the stated distribution."""
        return self.outer is not self.check or self.fields.get("stratum", "fresh") != "fresh"

    @property
    def components(self) -> tuple[Component, ...]:
        """Every component the spec names, receivers included."""
        names = set(_component_texts(self.fields))
        return tuple(sorted(component for name in names if (component := _component(name))))


def view_of(
    claim: Claim, check: AnyCheck, spec: Spec, bundle: Bundle, prose: Sequence[Passage]
) -> View:
    """The view of a bound claim; `prose` is every passage of the bundle."""
    fields = spec.model_dump(mode="json")
    given = spec.model_dump(mode="json", exclude_defaults=True)
    inner = check
    if isinstance(fields.get("check"), str) and isinstance(fields.get("spec"), Mapping):
        inner = checks()[fields["check"]]
        inner_spec = inner.spec.model_validate(dict(fields["spec"]))
        fields = inner_spec.model_dump(mode="json")
        given = inner_spec.model_dump(mode="json", exclude_defaults=True)
    context, document = surroundings(claim.quote, bundle)
    quote = normalised(claim.quote.text)
    return View(
        claim=claim,
        outer=check,
        check=inner,
        fields=fields,
        given=given,
        quote=quote,
        sentence=_sentence(claim.quote, quote, prose),
        context=context,
        document=document,
        prose=" ".join(passage.text for passage in prose),
    )


def _sentence(quote: Quote, text: str, prose: Sequence[Passage]) -> str:
    for passage in prose:
        near = abs(passage.line - quote.line) <= MAX_WRAPPED
        if near and passage.file == quote.file and text in passage.text:
            return passage.text
    return text


def surroundings(quote: Quote, bundle: Bundle) -> tuple[str, str]:
    """Lines around a quote, and the whole document, both with white space normalised."""
    found = bundle.find(quote.file)
    if found is None:
        return "", ""
    lines = found.text.split("\n")
    numbers = found.line_numbers or tuple(range(1, len(lines) + 1))
    index = next((i for i, number in enumerate(numbers) if number >= quote.line), 0)
    after = index + 1 + LINES_AFTER + quote.text.count("\n")
    around = lines[max(0, index - LINES_BEFORE) : after]
    return normalised("\n".join(around)), normalised(found.text)


def overlapping(one: View, other: View) -> bool:
    """Whether two claims quote the same words, or one quotes part of what the other quotes."""
    if one.claim.quote.file != other.claim.quote.file:
        return False
    near = abs(one.claim.quote.line - other.claim.quote.line) <= LINES_AFTER
    return near and (one.quote in other.quote or other.quote in one.quote)


def _component_texts(fields: Mapping[str, Any]) -> Iterator[str]:
    for name in ("components", "order"):
        yield from fields.get(name) or ()
    for name in ("head", "component"):
        if isinstance(fields.get(name), str):
            yield fields[name]
    for name in fields.get("receivers") or ():
        yield name.rpartition(".")[0]


def _component(name: str) -> Component | None:
    try:
        return Component.parse(name)
    except UsageError:
        return None
