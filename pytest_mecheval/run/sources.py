"""Where a bundle's model and prompts come from, resolved to files; what cannot be resolved says why."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pytest_mecheval.bundle.model_files import check_weights, files_digest, hub_config, read_shape
from pytest_mecheval.bundle.reading import hash_file, stated_file
from pytest_mecheval.bundle.subject import ModelSection, Sites, TaskSection
from pytest_mecheval.errors import BundleError, SubjectError
from pytest_mecheval.run.bundle_data import DataFunction, prompts_of
from pytest_mecheval.run.rerun import ANY_ENVIRONMENT, Environment
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.vocabulary import ModelShape, Tier
from pytest_mecheval.wire import (
    Code,
    DataRef,
    Document,
    Job,
    ModelRef,
    PlanStep,
    Prose,
    Rerun,
    digest,
)

DRIVE_FORMAT = 1
"""Raised whenever measurements on a bundle's own module change meaning; part of every address."""
NO_ISOLATION = (
    "the bundle's own model runs in isolation only, and isolation is switched off "
    "(--mecheval-sandbox=none): what it returns would be testimony"
)

NOT_CALLED = "data function {entry}: called only when claims are measured, in the sandbox"


@dataclass(frozen=True)
class Model:
    """The model under study as files and size, or the reason why it cannot be measured."""

    ref: ModelRef | None = None
    shape: ModelShape | None = None
    unavailable: str = ""

    @property
    def tier(self) -> Tier:
        """T2 for the bundle's own module, T3 for weights we load ourselves."""
        return Tier.T2 if self.ref and self.ref.loader == "python" else Tier.T3


@dataclass(frozen=True)
class OwnCode:
    """The bundle's own code as a model needs it."""

    digest: str = ""
    """Hash over the bundle's files."""
    sandbox: str = "auto"
    """Which isolation it runs in."""


@dataclass(frozen=True)
class Task:
    """One task's data, or the reason why it cannot be drawn."""

    ref: DataRef | None = None
    unavailable: str = ""
    notes: tuple[str, ...] = ()
    """What a reader of a verdict on this data has to know."""

    @property
    def tier(self) -> Tier:
        """T3 for our generators, T2 for the bundle's own data."""
        return Tier.T3 if self.ref and self.ref.generator else Tier.T2


@dataclass(frozen=True)
class Sources:
    """Everything jobs of one bundle are made of."""

    root: Path
    """The bundle's folder."""
    model: Model
    tasks: Mapping[str, Task]
    salt: str
    bundle_digest: str = ""
    """Hash over the bundle's files; a rerun of its scripts is kept under it."""
    files: tuple[str, ...] = ()
    """Relative paths a rerun may see."""
    sandbox: str = "auto"
    """Which isolation the bundle's own code runs in."""
    environment: Environment = ANY_ENVIRONMENT
    """Which interpreter it runs with."""
    limits: Limits = field(default_factory=Limits)
    """How much one rerun may use."""
    gpu: bool = False
    """Whether it is let at the GPU."""

    def unavailable(self, steps: Iterable[PlanStep]) -> str:
        """Why these steps cannot be measured, or an empty text; documents need the model's size alone."""
        for step in steps:
            if isinstance(step.probe, Rerun | Prose | Code):
                continue
            if isinstance(step.probe, Document):
                if self.model.shape is None:
                    return self.model.unavailable
                continue
            if self.model.unavailable:
                return self.model.unavailable
            if step.slice.task in self.tasks and (why := self.tasks[step.slice.task].unavailable):
                return why
        return ""

    def job(self, step: PlanStep) -> Job:
        """The job that measures a step.

        Raises:
            SubjectError: the step's model or task is not available.
        """
        task = self.tasks.get(step.slice.task, Task(unavailable=f"no task {step.slice.task!r}"))
        if self.model.ref is None or task.ref is None:
            raise SubjectError(self.model.unavailable or task.unavailable)
        return Job(step, self.model.ref, task.ref, self.salt)

    def notes(self, steps: Iterable[PlanStep]) -> tuple[str, ...]:
        """What is to be said about the data that the steps rest on, each once."""
        named = dict.fromkeys(step.slice.task for step in steps if step.slice.task in self.tasks)
        return tuple(dict.fromkeys(note for name in named for note in self.tasks[name].notes))

    def tier(self, steps: Iterable[PlanStep]) -> Tier:
        """The weakest tier among what the steps rest on."""
        return min((tier for step in steps if (tier := self._tier(step))), default=Tier.T0)

    def _tier(self, step: PlanStep) -> Tier | None:
        if isinstance(step.probe, Rerun):
            return Tier.T1
        if isinstance(step.probe, Document):
            return Tier.T2
        task = self.tasks.get(step.slice.task)
        return min(task.tier, self.model.tier) if task else None


def model_source(root: Path, section: ModelSection | None, code: OwnCode | None = None) -> Model:
    """The model a claim file states; never raises for what the bundle lacks."""
    if section is None:
        return Model(unavailable="the claim file states no model (subject.model)")
    if section.loader == "python":
        return _own_model(root, section, code or OwnCode())
    try:
        return _hub_model(section) if section.loader == "hub" else _file_model(root, section)
    except (SubjectError, BundleError) as error:
        return Model(shape=_shape(root, section), unavailable=f"model: {error}")


def _shape(root: Path, section: ModelSection) -> ModelShape | None:
    """The size a readable configuration states, although the weights cannot be used."""
    try:
        if section.loader == "hub":
            return read_shape(hub_config(section.name or "", section.revision or "main"))
        return read_shape(stated_file(root, section.config or ""))
    except (SubjectError, BundleError):
        return None


def _own_model(root: Path, section: ModelSection, code: OwnCode) -> Model:
    """The bundle's own module: its size as stated, everything else found out in the sandbox."""
    try:
        shape = _stated_shape(root, section)
        for path in filter(None, (section.weights, (section.entry or "").rpartition(":")[0])):
            stated_file(root, path)
    except (SubjectError, BundleError) as error:
        return Model(unavailable=f"model: {error}")
    if code.sandbox == "none":
        return Model(shape=shape, unavailable=NO_ISOLATION)
    sites = (section.sites or Sites()).model_dump(exclude_none=True)
    sites |= {"layers": shape.n_layers, "heads": shape.n_heads, "width": shape.d_model}
    seen = {
        "entry": section.entry or "",
        "arguments": dict(section.arguments),
        "weights": section.weights or "",
        "sites": sites,
    }
    body = {
        **seen,
        "root": str(root),
        "digest": code.digest,
        "sandbox": code.sandbox,
        "shape": asdict(shape),
    }
    sha256 = digest(["driven", DRIVE_FORMAT, code.digest, seen])
    return Model(ModelRef("python", name=section.entry or "", sha256=sha256, code=body), shape)


def _stated_shape(root: Path, section: ModelSection) -> ModelShape:
    """The size of the bundle's own module, from its configuration file and `sites`.

    Raises:
        SubjectError: neither says how big it is.
    """
    sites = section.sites or Sites()
    known = read_shape(stated_file(root, section.config)) if section.config else None
    stated = {"n_layers": sites.layers, "n_heads": sites.heads, "d_model": sites.width}
    if known is None and (
        lacking := [n for n in ("layers", "heads", "width") if getattr(sites, n) is None]
    ):
        raise SubjectError(
            f"{section.entry}: its size is not stated; add sites: {{layers: ..., heads: ..., width: ...}} "
            f"(missing: {', '.join(lacking)}) or a configuration file"
        )
    base = known or ModelShape(1, 0, 1, d_vocab=0, n_ctx=0, d_mlp=1)
    given = {name: value for name, value in stated.items() if value is not None}
    shape = replace(base, **given)
    return replace(shape, d_mlp=0) if sites.mlp == "none" else shape


def _file_model(root: Path, section: ModelSection) -> Model:
    config = stated_file(root, section.config or "")
    weights = stated_file(root, section.weights or "")
    shape = read_shape(config)
    check_weights(weights)
    ref = ModelRef(
        loader="transformer_lens",
        name=section.name or "",
        config=str(config),
        weights=str(weights),
        sha256=files_digest(config, weights),
    )
    return Model(ref, shape)


def _hub_model(section: ModelSection) -> Model:
    config = hub_config(section.name or "", section.revision or "main")
    weights = config.with_name("model.safetensors")
    found = weights if weights.exists() else None
    ref = ModelRef(
        loader="hub",
        name=section.name or "",
        config=str(config),
        weights=str(found or ""),
        sha256=files_digest(config, found),
    )
    return Model(ref, read_shape(config))


def called_source(function: DataFunction, store: Path) -> Task:
    """The data that a function of the bundle returns; never raises for what the bundle lacks."""
    try:
        found = prompts_of(function, store)
    except SubjectError as error:
        return Task(unavailable=f"data function {error}")
    ran = f"{function.entry} was called under isolation: {found.isolation}"
    return Task(found.ref, notes=(ran, *found.notes))


def task_source(root: Path, section: TaskSection) -> Task:
    """The data a task section states, nothing called; never raises for what the bundle lacks."""
    if section.entry:
        return Task(unavailable=NOT_CALLED.format(entry=section.entry))
    if section.file:
        try:
            path = stated_file(root, section.file)
            _, sha256 = hash_file(root, section.file)
        except BundleError as error:
            return Task(unavailable=f"task data: {error}")
        return Task(DataRef(file=str(path), sha256=sha256))
    return Task(DataRef(generator=section.generator or "", parameters=dict(section.parameters)))
