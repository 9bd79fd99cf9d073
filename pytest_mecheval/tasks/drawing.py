"""The one door to prompts: from a data reference, a slice and a salt to a block of pairs."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks import data_file
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.tasks.registry import AnyGenerator, UnknownTask, task_generators
from pytest_mecheval.wire import DataRef, Slice, digest


@dataclass(frozen=True)
class TaskFacts:
    """What a task offers, known without drawing from it."""

    strata: tuple[str, ...] = ()
    """Strata that can be drawn with these parameters; empty when there are problems."""
    positions: tuple[str, ...] = ()
    """Named positions of every stratum."""
    population: int = 0
    """Inputs that the evaluation split enumerates, or 0 when it is a sample."""
    problems: tuple[str, ...] = ()
    """Why nothing can be drawn; empty when all is well."""

    @property
    def exhaustive(self) -> bool:
        """Whether the evaluation split is the whole population."""
        return self.population > 0


def draw(data: DataRef, prompts: Slice, salt: str) -> Examples:
    """The prompts of a slice; equal arguments give equal prompts on every machine.

    Args:
        data: a generator with parameters, or a data file.
        prompts: split, stratum and how many; the task's local name does not count.
        salt: changes every draw (DESIGN section 12).

    Returns:
        `prompts.n` pairs; all inputs for the evaluation split of an exhaustive task; what there is
        for a data file with fewer rows.

    Raises:
        UnknownTask: no such generator or unusable parameters; the text holds every problem.
        SubjectError: no such stratum, too few distinct prompts, or an unusable data file.
    """
    if data.file:
        if reason := _mixture(data):
            raise UnknownTask(reason)
        body = data_file.read(data)
        identity: Any = data_file.fingerprint(body)
        rng = np.random.default_rng(seed(identity, prompts, salt))
        return data_file.select(data_file.parse(data.file, body), data.file, prompts, rng)
    generator, parameters = _build(data)
    if reason := _no_stratum(generator, parameters, prompts.stratum):
        raise SubjectError(reason)
    identity = [generator.name, _set_parameters(parameters)]
    rng = np.random.default_rng(seed(identity, prompts, salt))
    return generator.draw(parameters, prompts.stratum, prompts.split, prompts.n, rng)


def seed(identity: Any, prompts: Slice, salt: str) -> int:
    """SHA256(salt, task, split, stratum) as an integer (METHODS 12.5).

    Args:
        identity: what makes the task itself, as JSON; never the local name a claim file gives it.
        prompts: only split and stratum count, so a smaller n is the beginning of a larger one.
        salt: the run's salt.
    """
    return int(digest([salt, identity, prompts.split, prompts.stratum]), 16)


def describe(data: DataRef) -> TaskFacts:
    """Strata, positions and problems of a task, without drawing; a data file is read once.

    Never raises for a bad reference: the texts are in `problems`, so a caller can list them all.
    """
    if not data.file:
        return facts(data.generator, data.parameters)
    if reason := _mixture(data):
        return TaskFacts(problems=(reason,))
    try:
        table = data_file.parse(data.file, data_file.read(data))
    except SubjectError as error:
        return TaskFacts(problems=tuple(str(error).splitlines()))
    return TaskFacts(strata=tuple(sorted(table)), positions=data_file.shared_positions(table))


def facts(generator: str, parameters: Mapping[str, Any]) -> TaskFacts:
    """What one of our generators offers with these parameters."""
    if found := problems(generator, parameters):
        return TaskFacts(problems=found)
    task = task_generators()[generator]
    values = task.parameters(**parameters)
    return TaskFacts(
        strata=tuple(name for name in task.strata if not task.missing(values, name)),
        positions=task.positions,
        population=task.population(values),
    )


def problems(generator: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Everything wrong with a reference to one of our generators, unknown names first.

    >>> problems("inducton", {})[0].split(" (")[0]
    "unknown generator 'inducton', did you mean 'induction'?"
    >>> problems("induction", {"lenght": 24})[0].split(" (")[0]
    "induction: unknown parameter 'lenght', did you mean 'length'?"
    """
    known = task_generators()
    if generator not in known:
        return (f"unknown generator {_suggest(generator, known)}",)
    task = known[generator]
    allowed = [field.name for field in dataclasses.fields(task.parameters)]
    unknown = tuple(
        f"{generator}: unknown parameter {_suggest(name, allowed)}"
        for name in parameters
        if name not in allowed
    )
    values = {name: value for name, value in parameters.items() if name in allowed}
    try:
        task.parameters(**values)
    except ValueError as error:
        return (*unknown, *(f"{generator}: {text}" for text in str(error).split("; ")))
    return unknown


def _suggest(name: str, known: Iterable[str]) -> str:
    """The name in quotes, the closest known one, and all known ones."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    return f"{name!r}{hint} (known: {', '.join(names)})"


def _mixture(data: DataRef) -> str:
    """Why a reference to a data file makes no sense, or ``."""
    if not data.generator and not data.parameters:
        return ""
    extra = "generator" if data.generator else "parameters"
    return f"{data.file}: a data file takes no {extra}"


def _build(data: DataRef) -> tuple[AnyGenerator, Any]:
    if found := problems(data.generator, data.parameters):
        raise UnknownTask("\n".join(found))
    generator = task_generators()[data.generator]
    return generator, generator.parameters(**data.parameters)


def _set_parameters(parameters: Any) -> dict[str, Any]:
    """Parameters that differ from their defaults, so that spelling a default out changes nothing."""
    return {
        field.name: value
        for field in dataclasses.fields(parameters)
        if (value := getattr(parameters, field.name)) != field.default
    }


def _no_stratum(generator: AnyGenerator, parameters: Any, stratum: str) -> str:
    if stratum not in generator.strata:
        return f"{generator.name}: unknown stratum {_suggest(stratum, generator.strata)}"
    if reason := generator.missing(parameters, stratum):
        return f"{generator.name}: stratum {stratum} cannot be drawn: {reason}"
    return ""
