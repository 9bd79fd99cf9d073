"""The record a kind exports as `CHECK`: it refuses to exist when incomplete, at import, in one line."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.errors import CheckError
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Component, Dimension, ModelShape, Rung, Tier, Verdict
from pytest_mecheval.wire import PlanStep

S = TypeVar("S", bound=Spec)

QUESTIONS = ("Question:", "Null:", "Statistic:", "Blind spots:", "Source:")
"""What every kind's module docstring answers, in this order."""


@dataclass(frozen=True)
class TaskFacts:
    """What planning needs to know about a task, without drawing a single prompt."""

    strata: tuple[str, ...] = ("fresh",)
    positions: tuple[str, ...] = ()
    """Named positions a claim may use, beside `all`."""
    exhaustive: int = 0
    """Size of the whole population when it is enumerated, else 0."""
    tier: Tier = Tier.T3
    """T3 for our generators, T2 for the bundle's own data."""


@dataclass(frozen=True)
class Subject:
    """What a claim is about: the model's shape, its tasks, and what else the bundle claims."""

    shape: ModelShape
    tasks: Mapping[str, TaskFacts]
    claimed: frozenset[Component] = frozenset()
    """Components any claim of the bundle names as mattering; never used as controls."""
    operationalised: frozenset[str] = frozenset()
    """Fields of this claim's spec that the evaluator filled in because the prose did not say."""


@dataclass(frozen=True)
class Example:
    """A worked example: spec and evidence with the verdict they must give; tests run every one."""

    title: str
    spec: Spec
    subject: Subject
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True)
class Check(Generic[S]):
    """One kind of claim: what it must say, what to measure, how numbers become a verdict."""

    kind: str
    """Equal to the module's file name."""
    dimension: Dimension
    rung: Rung
    spec: type[S]
    plan: Callable[[S, Subject], tuple[PlanStep, ...]]
    """Every array `decide` will read; static, so it can be shown, priced and shared beforehand."""
    decide: Callable[[S, Subject, Evidence], Decision]
    """Pure: same spec, subject and evidence, same decision."""
    negate: Callable[[S, Subject], S | None]
    """The contradicting claim of the same kind (METHODS V02); None when the kind cannot express it."""
    refuted_by: Callable[[S], str]
    """One sentence for readers, known before measuring: what result would refute the claim."""
    doc: str
    examples: tuple[Example, ...]
    claimed: Callable[[S], tuple[str, ...]] = lambda _spec: ()
    """Components the claim says matter; they never serve as controls for any claim of the bundle."""
    figures: Callable[[S], Mapping[str, str]] = lambda _spec: {}
    """Numbers the claim says the text states, by field: the quote must contain them."""
    cues: str = ""
    """Regular expression of words, one of which a sentence of this kind holds; empty: any sentence may be."""
    needs_model: bool = True
    """False for kinds that judge documents or the bundle's own run; then a claim file may state no model."""
    functional: bool = True
    """False for structure: passing says nothing about what the model does, so it cannot carry a run."""
    problems: Callable[[S, Subject], tuple[str, ...]] = field(default=lambda _spec, _subject: ())
    """Usage errors only the subject can reveal: unknown task, unknown position."""

    def __post_init__(self) -> None:
        """Refuse an incomplete kind.

        Raises:
            CheckError: names the kind and what it lacks.
        """
        found = [self.doc.find(question) for question in QUESTIONS]
        if -1 in found or found != sorted(found):
            raise CheckError(
                f"{self.kind}: module docstring must answer, in order: {' '.join(QUESTIONS)}"
            )
        if not re.fullmatch(r"[a-z][a-z_]*", self.kind):
            raise CheckError(f"{self.kind}: a kind is a lower-case noun such as `ablation`")
        lacking = {Verdict.SUPPORTED, Verdict.REFUTED} - {
            example.verdict for example in self.examples
        }
        if lacking:
            raise CheckError(f"{self.kind}: no example is {', '.join(sorted(lacking)).lower()}")
        undocumented = [n for n, f in self.spec.model_fields.items() if not f.description]
        if undocumented:
            raise CheckError(f"{self.kind}: undocumented fields: {', '.join(undocumented)}")

    @property
    def question(self) -> str:
        """The one-line question of the module docstring, for the README table."""
        match = re.search(r"Question:\s*(.+?)\s*Null:", self.doc, re.DOTALL)
        return re.sub(r"\s+", " ", match[1]) if match else ""


def no_negation(_spec: Spec, _subject: Subject) -> None:
    """For kinds that cannot say the opposite; tests then turn the evidence around instead."""


AnyCheck = Check[Any]
