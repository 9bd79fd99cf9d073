"""What a claim is about, as plain JSON and back: with its spec and evidence all that a decision reads."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from pytest_mecheval.checks.check import Subject
from pytest_mecheval.report.jsonable import plain_json
from pytest_mecheval.vocabulary import Component

_SUBJECT = TypeAdapter(Subject)


def subject_document(subject: Subject) -> dict[str, Any]:
    """A subject as plain JSON; components by their names, sets sorted."""
    body = {field.name: getattr(subject, field.name) for field in dataclasses.fields(Subject)} | {
        "shape": dataclasses.asdict(subject.shape),
        "tasks": {name: dataclasses.asdict(task) for name, task in subject.tasks.items()},
        "claimed": sorted(map(str, subject.claimed)),
    }
    return {name: plain_json(value) for name, value in body.items()}


def read_subject(body: Mapping[str, Any]) -> Subject:
    """The subject a document was written from.

    Raises:
        KeyError, TypeError, ValueError: the document was not written by this version.
    """
    claimed = frozenset(Component.parse(name) for name in body["claimed"])
    return _SUBJECT.validate_python(dict(body) | {"claimed": claimed})
