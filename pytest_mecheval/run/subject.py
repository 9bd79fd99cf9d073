"""From a claim file to sources and bound claims: what can be measured, and what every claim will need."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.checks.binding import BoundClaim, bind
from pytest_mecheval.checks.check import TaskFacts
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.claims.model import Claim, ClaimFile
from pytest_mecheval.errors import UsageError
from pytest_mecheval.run.sources import Sources, Task, model_source, task_source
from pytest_mecheval.tasks.drawing import describe
from pytest_mecheval.vocabulary import Component, ModelShape, Tier

PLAN_STEP = "plan_step"
"""Kind of a plan item that says what a run would have to show."""
MAX_STAND_IN = 200
"""Layers and heads of a stand-in shape; a claim about layer 10**9 must not cost memory."""


def sources_of(
    bundle: Bundle, claim_file: ClaimFile, salt: str, sandbox: str
) -> tuple[Sources, list[str]]:
    """Model and tasks; problems are mistakes in the claim file, not what the bundle lacks.

    Args:
        bundle: what the agent handed in.
        claim_file: names model and tasks.
        salt: changes which fresh prompts are drawn.
        sandbox: which isolation runs of the bundle's own scripts use.
    """
    problems = []
    tasks: dict[str, Task] = {}
    for name, section in claim_file.subject.tasks.items():
        task = task_source(bundle.root, section)
        if task.ref is not None:
            found = describe(task.ref).problems
            if task.ref.generator:
                problems += [f"task '{name}': {text}" for text in found]
            elif found:
                task = Task(unavailable=f"task '{name}': {'; '.join(found)}")
        tasks[name] = task
    known = checks()
    needs_model = any(
        claim.kind in known and known[claim.kind].needs_model for claim in claim_file.claims
    )
    if needs_model and claim_file.subject.model is None:
        problems.append("subject.model: missing; name loader, config and weights")
    model = model_source(bundle.root, claim_file.subject.model)
    files = tuple(file.path for file in bundle.files)
    return Sources(bundle.root, model, tasks, salt, bundle.digest, files, sandbox), problems


def bound_claims(
    claim_file: ClaimFile, sources: Sources
) -> tuple[tuple[BoundClaim, ...], tuple[str, ...]]:
    """Claims and plan steps with a spec, bound to their kinds; and what is wrong with the others."""
    facts = {
        name: _facts(task, [claim for claim in claim_file.claims if name in _texts(claim.spec)])
        for name, task in sources.tasks.items()
    }
    steps = [
        Claim(id=item.id, kind=PLAN_STEP, quote=item.quote, spec=item.spec)
        for item in claim_file.plan
        if item.spec
    ]
    claims = [*claim_file.claims, *steps]
    return bind(claims, sources.model.shape or _shape_named(claim_file.claims), facts)


def _shape_named(claims: Sequence[Claim]) -> ModelShape:
    """Just large enough for every component the claims name.

    Stands in while planning for a model that cannot be read, so that its claims end as NOT_TESTABLE
    and not as `no such component`.
    """
    layers, heads = 1, 1
    for text in set().union(*(_texts(claim.spec) for claim in claims)):
        try:
            component = Component.parse(text)
        except UsageError:
            continue
        layers, heads = max(layers, component.layer + 1), max(heads, component.head + 1)
    size = min(layers, MAX_STAND_IN), min(heads, MAX_STAND_IN)
    return ModelShape(*size, d_model=size[1], d_vocab=2, n_ctx=1, d_mlp=1)


def _facts(task: Task, claims: Sequence[Claim]) -> TaskFacts:
    """What planning knows of a task; a task that cannot be drawn allows whatever its claims name."""
    known = describe(task.ref) if task.ref is not None else None
    if known is None or known.problems:
        named = tuple(sorted({text for claim in claims for text in _texts(claim.spec)}))
        return TaskFacts(strata=("fresh", *named), positions=named, tier=Tier.T2)
    return TaskFacts(known.strata, known.positions, known.population, task.tier)


def _texts(value: Any) -> set[str]:
    """Every text in a spec."""
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, Mapping) else value
    return set().union(*map(_texts, inner)) if isinstance(value, Mapping | list | tuple) else set()
