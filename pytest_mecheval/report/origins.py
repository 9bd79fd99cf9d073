"""Where model and prompts came from, as plain JSON without any path: enough to find every record again."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pytest_mecheval.report.jsonable import plain_json
from pytest_mecheval.wire import DataRef, Job, ModelRef, PlanStep

PATHS = frozenset({"config", "weights", "file"})
"""Fields that say where a file lies on one machine; hashes beside them say what was in it."""


def origins_document(model: ModelRef | None, tasks: Mapping[str, DataRef]) -> dict[str, Any]:
    """Model and tasks as plain JSON; None and absent are what could not be read."""
    return {
        "model": None if model is None else _without_paths(model),
        "tasks": {name: _without_paths(tasks[name]) for name in sorted(tasks)},
    }


def _without_paths(ref: ModelRef | DataRef) -> dict[str, Any]:
    fields = dataclasses.asdict(ref).items()
    return {name: plain_json(value) for name, value in fields if name not in PATHS}


def job_of(step: PlanStep, origins: Mapping[str, Any], salt: str) -> Job:
    """The job that measured a step, without the paths that only a measuring process needs.

    Raises:
        KeyError, TypeError: the document names no model or task for this step.
    """
    model = ModelRef(**origins["model"])
    return Job(step, model, DataRef(**origins["tasks"][step.slice.task]), salt)
