"""From a claim file to bound claims: every spec validated by its kind, every problem collected, every plan drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.problems import suggestion, validation_problems
from pytest_mecheval.checks.check import AnyCheck, Subject, TaskFacts
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.stated_numbers import states
from pytest_mecheval.claims.model import Claim
from pytest_mecheval.vocabulary import Component, ModelShape
from pytest_mecheval.wire import PlanStep


@dataclass(frozen=True)
class BoundClaim:
    """A claim with its kind, its typed spec, what it is about, and what to measure."""

    claim: Claim
    check: AnyCheck
    spec: Spec
    subject: Subject
    steps: tuple[PlanStep, ...]

    @property
    def refuted_by(self) -> str:
        """What would refute it, known before measuring."""
        return self.check.refuted_by(self.spec)


def bind(
    claims: Sequence[Claim], shape: ModelShape, tasks: Mapping[str, TaskFacts]
) -> tuple[tuple[BoundClaim, ...], tuple[str, ...]]:
    """Bind every claim to its kind, or say everything that is wrong.

    Args:
        claims: As read from the claim file.
        shape: Of the model under study.
        tasks: Facts by the claim file's task names.

    Returns:
        Bound claims in file order, and problems as `claim 'id': text`; claims with problems are left out.
    """
    problems: list[str] = []
    typed: list[tuple[Claim, AnyCheck, Spec]] = []
    for claim in claims:
        check = checks().get(claim.kind)
        if check is None:
            problems.append(
                f"claim '{claim.id}': unknown kind '{escaped(claim.kind)}' {suggestion(claim.kind, checks())}"
            )
            continue
        try:
            typed.append((claim, check, check.spec.model_validate(dict(claim.spec))))
        except ValidationError as error:
            found = validation_problems(error, check.spec)
            problems.extend(f"claim '{claim.id}': {text}" for text in found)
    claimed = frozenset(
        Component.parse(name) for _, check, spec in typed for name in check.claimed(spec)
    )
    bound = []
    for claim, check, spec in typed:
        subject = Subject(shape, tasks, claimed, frozenset(claim.operationalised))
        faults = (*check.problems(spec, subject), *_unquoted(claim, check, spec))
        problems.extend(f"claim '{claim.id}': {text}" for text in faults)
        if not faults:
            bound.append(BoundClaim(claim, check, spec, subject, check.plan(spec, subject)))
    return tuple(bound), tuple(problems)


def _unquoted(claim: Claim, check: AnyCheck, spec: Spec) -> tuple[str, ...]:
    """Figures that the quoted sentence does not state, unless the evaluator says to have read them into it."""
    return tuple(
        f"field '{name}': the quote does not state {figure} (quote the sentence that does, "
        f"or list '{name}' under operationalised)"
        for name, figure in check.figures(spec).items()
        if name not in claim.operationalised and not states(claim.quote.text, figure)
    )
