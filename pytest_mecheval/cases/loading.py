"""A bundle and its claim file made ready to be tested, or everything that is wrong with them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.bundle.subject import TaskSection
from pytest_mecheval.cases.rendering import Case
from pytest_mecheval.checks.binding import BoundClaim, bind
from pytest_mecheval.checks.check import TaskFacts
from pytest_mecheval.checks.registry import checks
from pytest_mecheval.claims.location import claim_file_for
from pytest_mecheval.claims.model import Claim, ClaimFile, NotTestable, PlanItem
from pytest_mecheval.claims.reading import problems_of
from pytest_mecheval.errors import BundleError, UsageError
from pytest_mecheval.run.bundle_data import DataFunction
from pytest_mecheval.run.request import request_for
from pytest_mecheval.run.rerun import Environment
from pytest_mecheval.run.runner import Request
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
from pytest_mecheval.vocabulary import Component, Dimension, ModelShape, Tier

PLAN_STEP = "plan_step"
NOT_TESTABLE = "not_testable"
PLAN_REASON = "the plan step has no `requires`, so nothing says what a run of the bundle's code would have to show"

MAX_STAND_IN = 200
"""Layers and heads of a stand-in shape; a claim about layer 10**9 must not cost memory."""


@dataclass(frozen=True)
class Entry:
    """One case and what decides it."""

    case: Case
    claim: Claim
    """For plan steps and untestable statements a claim of that pseudo-kind, for reports."""
    bound: BoundClaim | None = None
    """None for plan steps and untestable statements."""
    request: Request = field(default_factory=lambda: Request(""))
    reason: str = ""
    """Why there is no verdict, when there is no check."""


@dataclass(frozen=True)
class LoadedBundle:
    """Everything the cases of one bundle need; plain reading, nothing of the bundle was run."""

    name: str
    """Name of its folder below the output folder, also part of module names."""
    bundle: Bundle
    claims_path: Path
    claims_sha256: str
    claim_file: ClaimFile
    sources: Sources
    entries: Mapping[str, Entry]
    """By function name, in claim file order."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """The test cases in claim file order."""
        return tuple(entry.case for entry in self.entries.values())


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


def load(
    path: Path, claims_path: Path | None, name: str, salt: str, running: Running = Running()
) -> tuple[LoadedBundle | None, list[str]]:
    """Read a bundle and its claim file.

    Args:
        path: the bundle's folder.
        claims_path: its claim file; None means beside the bundle.
        name: for folders and modules.
        salt: changes which fresh prompts are drawn.
        running: how the bundle's own code is run.

    Returns:
        The loaded bundle and no problems, or None and every problem found.
    """
    try:
        bundle = discover(path)
    except BundleError as error:
        return None, str(error).splitlines()
    where = claims_path or claim_file_for(path)
    if not where.exists():
        return None, [
            f"{where}: no claim file for bundle {path}; write it "
            "(its fields: mecheval schema) or name another one with --mecheval-claims"
        ]
    claim_file, problems = problems_of(where, bundle)
    if claim_file is None:
        return None, problems
    sources, found = _sources(bundle, claim_file, salt, running)
    bound, unbound = _bind(claim_file, sources)
    problems += [f"{where.name}: {text}" for text in (*found, *unbound)]
    if problems:
        return None, problems
    entries = [*(_claim_entry(each, sources) for each in bound)]
    entries += [_plan_entry(item) for item in claim_file.plan if not item.spec]
    entries += [_untestable_entry(item) for item in claim_file.not_testable]
    return LoadedBundle(
        name=name,
        bundle=bundle,
        claims_path=where,
        claims_sha256=sha256(where.read_bytes()).hexdigest(),
        claim_file=claim_file,
        sources=sources,
        entries={entry.case.function: entry for entry in entries},
    ), []


def _sources(
    bundle: Bundle, claim_file: ClaimFile, salt: str, running: Running
) -> tuple[Sources, list[str]]:
    """Model and tasks; problems are mistakes in the claim file, not what the bundle lacks."""
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


def _bind(
    claim_file: ClaimFile, sources: Sources
) -> tuple[tuple[BoundClaim, ...], tuple[str, ...]]:
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


def _claim_entry(bound: BoundClaim, sources: Sources) -> Entry:
    claim = bound.claim
    case = Case(
        id=claim.id,
        kind=bound.check.kind,
        dimension=bound.check.dimension,
        quote=claim.quote.text,
        place=f"{claim.quote.file}:{claim.quote.line}",
        arguments=bound.spec.model_dump(mode="json", exclude_unset=True),
    )
    return Entry(case, claim, bound=bound, request=request_for(claim.id, bound.steps, sources))


def _plan_entry(item: PlanItem) -> Entry:
    return _stated_entry(item, PLAN_STEP, dict(item.spec), PLAN_REASON)


def _untestable_entry(item: NotTestable) -> Entry:
    return _stated_entry(item, NOT_TESTABLE, {"reason": item.reason}, item.reason)


def _stated_entry(
    item: PlanItem | NotTestable, kind: str, arguments: dict[str, Any], reason: str
) -> Entry:
    claim = Claim(id=item.id, kind=kind, quote=item.quote, spec=arguments)
    place = f"{item.quote.file}:{item.quote.line}"
    case = Case(item.id, kind, Dimension.COHERENCE, item.quote.text, place, arguments)
    return Entry(case, claim, reason=reason)
