"""Scope: the finding also holds on other strata: new entities, lengths, templates.

Question: does the same check support the same claim on every stated stratum of the task, on fresh prompts?
Null: on at least one stratum the claim does not hold.
Statistic: the inner kind's own rule per stratum; support needs all of them (a conjunction needs no correction), one refuted stratum refutes.
Blind spots: only strata that the task generator can produce; says nothing about other models.
Source: METHODS G01, G04, 2.5.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from pytest_mecheval.bundle.problems import validation_problems
from pytest_mecheval.checks.check import AnyCheck, Check, Example, Subject, no_negation
from pytest_mecheval.checks.kinds import (
    ablation,
    attention,
    attribution,
    faithfulness,
    negative,
    patching,
    ranking,
    reported_number,
)
from pytest_mecheval.checks.spec import MeasuredSpec, Spec
from pytest_mecheval.checks.worked import SUBJECT, Score, edit_scores, evidence
from pytest_mecheval.evidence.decision import Control, Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep

INNER: Mapping[str, AnyCheck] = {
    module.CHECK.kind: module.CHECK
    for module in (
        ablation,
        attention,
        attribution,
        faithfulness,
        negative,
        patching,
        ranking,
        reported_number,
    )
}
"""Kinds that can be repeated per stratum."""

InnerKind = Literal[
    "ablation",
    "attention",
    "attribution",
    "faithfulness",
    "negative",
    "patching",
    "ranking",
    "reported_number",
]

# Worst first: the scope is no better than its worst stratum.
SEVERITY = (
    Verdict.REFUTED,
    Verdict.VACUOUS,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_TESTABLE,
    Verdict.SUPPORTED,
)


STATED = "fresh"
"""The stratum every claim is measured on anyway; by itself it shows no generality."""


def _generalising(strata: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(strata)) != len(strata):
        raise ValueError("names a stratum twice")
    if set(strata) == {STATED}:
        raise ValueError(
            f"`{STATED}` alone is the stated distribution; name another stratum too, or make the inner claim"
        )
    return strata


class ScopeSpec(Spec):
    """What a claim of generality must say before it can be checked."""

    check: InnerKind
    """Kind of the claim that is said to be general."""
    spec: Mapping[str, Any]
    """That kind's own fields, without `stratum`."""
    strata: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_generalising)]
    """Strata on which it must hold, such as fresh, new_entities, new_lengths."""

    @model_validator(mode="after")
    def _inner_is_valid(self) -> "ScopeSpec":
        if "stratum" in self.spec:
            raise ValueError("spec must not name a stratum; `strata` does")
        try:
            INNER[self.check].spec.model_validate(dict(self.spec))
        except ValidationError as error:
            found = validation_problems(error, INNER[self.check].spec)
            raise ValueError(f"spec of {self.check}: {'; '.join(found)}") from None
        return self


def plan(spec: ScopeSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """The inner kind's steps on every stratum."""
    check = INNER[spec.check]
    steps = (step for inner in _inner(spec).values() for step in check.plan(inner, subject))
    return tuple(dict.fromkeys(steps))


def decide(spec: ScopeSpec, subject: Subject, evidence: Evidence) -> Decision:
    """The worst stratum's decision, with all strata as its controls and notes."""
    check = INNER[spec.check]
    decisions = {
        stratum: check.decide(inner, subject, evidence) for stratum, inner in _inner(spec).items()
    }
    worst = min(decisions, key=lambda stratum: SEVERITY.index(decisions[stratum].verdict))
    decision = decisions[worst]
    held = [stratum for stratum, each in decisions.items() if each.verdict is Verdict.SUPPORTED]
    p_values = [each.p_value for each in decisions.values()]
    return Decision(
        decision.verdict,
        f"{worst}: {decision.code}" if decision.code else "",
        f"{len(held)} of {len(decisions)} strata hold; weakest {worst}: {decision.measured}",
        f"on each of {', '.join(spec.strata)}: {decision.needed}",
        decision.rung,
        estimate=decision.estimate,
        threshold=decision.threshold,
        controls=tuple(
            Control(f"stratum {stratum}", each.estimate.value)
            for stratum, each in decisions.items()
            if each.estimate and stratum != worst
        ),
        shams=decision.shams,
        p_value=max(p for p in p_values if p is not None)
        if all(p is not None for p in p_values)
        else None,
        notes=tuple(f"{s}: {each.headline}; {each.measured}" for s, each in decisions.items()),
    )


def _inner(spec: ScopeSpec) -> Mapping[str, MeasuredSpec]:
    kind = INNER[spec.check].spec
    return {
        stratum: kind.model_validate({**spec.spec, "stratum": stratum}) for stratum in spec.strata
    }


def refuted_by(spec: ScopeSpec) -> str:
    """What would refute it."""
    check = INNER[spec.check]
    inner = next(iter(_inner(spec).values()))
    return f"on any one of {', '.join(spec.strata)}: {check.refuted_by(inner)}"


def claimed(spec: ScopeSpec) -> tuple[str, ...]:
    """Components the inner claim says matter."""
    check = INNER[spec.check]
    names: tuple[str, ...] = check.claimed(next(iter(_inner(spec).values())))
    return names


def figures(spec: ScopeSpec) -> Mapping[str, str]:
    """Numbers the inner claim says the text states."""
    return INNER[spec.check].figures(next(iter(_inner(spec).values())))


def problems(spec: ScopeSpec, subject: Subject) -> tuple[str, ...]:
    """The inner kind's problems on any stratum."""
    check = INNER[spec.check]
    found = (
        problem for inner in _inner(spec).values() for problem in check.problems(inner, subject)
    )
    return tuple(dict.fromkeys(found))


def _by_stratum(scores: Mapping[str, Score]) -> Score:
    return lambda step: scores[step.slice.stratum](step)


_SPEC = ScopeSpec(
    check="ablation",
    spec={
        "task": "repeated",
        "components": ("a1.h1",),
        "value": "resample",
        "positions": "all",
        "metric": "logit_diff",
    },
    strata=("fresh", "new_lengths"),
)


def _worked(title: str, elsewhere: float, verdict: Verdict) -> Example:
    scores = {
        "fresh": edit_scores({"a1.h1": -4.0}),
        "new_lengths": edit_scores({"a1.h1": elsewhere}),
    }
    return Example(
        title, _SPEC, SUBJECT, evidence(plan(_SPEC, SUBJECT), _by_stratum(scores)), verdict
    )


CHECK = Check(
    kind="scope",
    dimension=Dimension.GENERALIZABILITY,
    rung=Rung.L2,
    spec=ScopeSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    claimed=claimed,
    figures=figures,
    problems=problems,
    doc=__doc__,
    examples=(
        _worked("holds on both", -4.0, Verdict.SUPPORTED),
        _worked("only in distribution", 5.0, Verdict.REFUTED),
        _worked("unclear on new lengths", 4.05, Verdict.INCONCLUSIVE),
    ),
)
