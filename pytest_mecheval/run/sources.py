"""Where a bundle's model and prompts come from, resolved to files; what cannot be resolved says why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mecheval.bundle.model_files import check_weights, files_digest, hub_config, read_shape
from pytest_mecheval.bundle.reading import hash_file, stated_file
from pytest_mecheval.bundle.subject import ModelSection, TaskSection
from pytest_mecheval.errors import BundleError, SubjectError
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.vocabulary import ModelShape, Tier
from pytest_mecheval.wire import DataRef, Document, Job, ModelRef, PlanStep, Rerun

SANDBOX_NEEDED = (
    "waits for the sandbox: {what} is the bundle's own code, which is never imported here"
)


@dataclass(frozen=True)
class Model:
    """The model under study as files and size, or the reason why it cannot be measured."""

    ref: ModelRef | None = None
    shape: ModelShape | None = None
    unavailable: str = ""


@dataclass(frozen=True)
class Task:
    """One task's data, or the reason why it cannot be drawn."""

    ref: DataRef | None = None
    unavailable: str = ""

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
    """Which isolation reruns use."""
    limits: Limits = field(default_factory=Limits)
    """How much one rerun may use."""

    def unavailable(self, steps: Iterable[PlanStep]) -> str:
        """Why these steps cannot be measured, or an empty text; documents need the model's size alone."""
        for step in steps:
            if isinstance(step.probe, Rerun):
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

    def tier(self, steps: Iterable[PlanStep]) -> Tier:
        """The weakest tier among what the steps rest on."""
        return min((tier for step in steps if (tier := self._tier(step))), default=Tier.T0)

    def _tier(self, step: PlanStep) -> Tier | None:
        if isinstance(step.probe, Rerun):
            return Tier.T1
        if isinstance(step.probe, Document):
            return Tier.T2
        return self.tasks[step.slice.task].tier if step.slice.task in self.tasks else None


def model_source(root: Path, section: ModelSection | None) -> Model:
    """The model a claim file states; never raises for what the bundle lacks."""
    if section is None:
        return Model(unavailable="the claim file states no model (subject.model)")
    if section.loader == "python":
        return Model(unavailable=SANDBOX_NEEDED.format(what=f"model {section.entry}"))
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


def task_source(root: Path, section: TaskSection) -> Task:
    """The data a task section states; never raises for what the bundle lacks."""
    if section.entry:
        return Task(unavailable=SANDBOX_NEEDED.format(what=f"data function {section.entry}"))
    if section.file:
        try:
            path = stated_file(root, section.file)
            _, sha256 = hash_file(root, section.file)
        except BundleError as error:
            return Task(unavailable=f"task data: {error}")
        return Task(DataRef(file=str(path), sha256=sha256))
    return Task(DataRef(generator=section.generator or "", parameters=dict(section.parameters)))
