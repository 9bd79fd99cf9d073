"""From a claim file to sources and bound claims: what can be measured, and what every claim will need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.subject import TaskSection
from pytest_mecheval.checks.binding import BoundClaim, bind
from pytest_mecheval.checks.check import TaskFacts
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.claims.model import Claim, ClaimFile
from pytest_mecheval.errors import UsageError
from pytest_mecheval.run.bundle_data import DataFunction
from pytest_mecheval.run.rerun import Environment
from pytest_mecheval.run.sources import (
    OwnCode,
    Sources,
    Task,
    called_source,
    model_source,
    task_source,
)
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.tasks.drawing import describe
from pytest_mecheval.vocabulary import Component, ModelShape, Tier

PLAN_STEP = "plan_step"
"""Kind of a plan item that says what a run would have to show."""
MAX_STAND_IN = 200
"""Layers and heads of a stand-in shape; a claim about layer 10**9 must not cost memory."""


@dataclass(frozen=True)
class Running:
    """How the bundle's own code is run, and where what it gives is kept."""

    sandbox: str = "auto"
    """Which isolation."""
    environment: str = "auto"
    """Which interpreter: `auto` or `current`."""
    limits: Limits = field(default_factory=Limits)
    """How much one run of a script may use."""
    store: Path | None = None
    """The evidence folder; None: nothing of the bundle is run while it is loaded."""
    gpu: bool = False
    """Whether its scripts are let at the GPU."""


NOTHING_RUN = Running()
"""Plain reading: no code of the bundle is called."""


def sources_of(
    bundle: Bundle, claim_file: ClaimFile, salt: str, running: Running = NOTHING_RUN
) -> tuple[Sources, list[str]]:
    """Model and tasks; problems are mistakes in the claim file, not what the bundle lacks.

    Args:
        bundle: what the agent handed in.
        claim_file: names model and tasks.
        salt: changes which fresh prompts are drawn.
        running: how the bundle's own code is run.
    """
    problems = []
    tasks: dict[str, Task] = {}
    for name, section in claim_file.subject.tasks.items():
        task = _task(bundle, section, salt, running)
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
    code = OwnCode(bundle.digest, running.sandbox)
    model = model_source(bundle.root, claim_file.subject.model, code)
    return Sources(
        bundle.root,
        model,
        tasks,
        salt,
        bundle.digest,
        files=_files(bundle),
        sandbox=running.sandbox,
        environment=_environment(bundle, running),
        limits=running.limits,
        gpu=running.gpu,
    ), problems


def _task(bundle: Bundle, section: TaskSection, salt: str, running: Running) -> Task:
    """A task's data; a function of the bundle is called now, because planning needs its positions."""
    if section.entry is None or running.store is None:
        return task_source(bundle.root, section)
    function = DataFunction(
        bundle.root,
        bundle.digest,
        _files(bundle),
        section.entry,
        section.arguments,
        salt,
        running.sandbox,
        _environment(bundle, running),
    )
    return called_source(function, running.store)


def _files(bundle: Bundle) -> tuple[str, ...]:
    return tuple(file.path for file in bundle.files)


def _environment(bundle: Bundle, running: Running) -> Environment:
    """What the bundle's manifest says about its environment, and how far we follow."""
    stated = bundle.manifest.environment if bundle.manifest else None
    return Environment(
        running.environment,
        requirements=(stated.requirements if stated else None) or "",
        python=(stated.python if stated else None) or "",
    )


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
