"""The proposed model and tasks, held against the bundle before anything is written: nothing is taken on trust."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.problems import validation_problems
from pytest_mecheval.claims.model import ClaimFile, SubjectSection
from pytest_mecheval.errors import UsageError
from pytest_mecheval.run.sources import SANDBOX_NEEDED, Sources
from pytest_mecheval.run.subject import sources_of
from pytest_mecheval.tasks.drawing import describe
from pytest_mecheval.translate.answer import BadAnswer, Outcome, answer_from
from pytest_mecheval.translate.asks import Reply, Status
from pytest_mecheval.translate.strict_json import json_object

Trial = Callable[[Sources], tuple[str, ...]]
"""Runs the model on a few prompts of every task and says what is wrong; empty when it behaves."""
_WAITS = SANDBOX_NEEDED.partition(":")[0]


def proposed_subject(
    reply: Reply, bundle: Bundle, trial: Trial | None = None
) -> tuple[SubjectSection | None, tuple[str, ...]]:
    """The subject in a reply and every problem with it.

    Args:
        reply: to the ask about the subject.
        bundle: its files must exist and be readable as what they are said to be.
        trial: a run on a few prompts, done only when everything else is right.

    Returns:
        The section, None when it cannot be read at all; and its problems, one line each.
    """
    if reply.status is not Status.ANSWERED:
        return None, (f"{reply.status}: {reply.detail}",)
    try:
        answer = answer_from(reply.body)
        if answer.outcome is not Outcome.SUBJECT:
            raise BadAnswer(f"outcome must be subject, not {answer.outcome}")
        stated = json_object(answer.subject_json)
    except UsageError as error:
        return None, (str(error),)
    return checked_subject(stated, bundle, trial)


def checked_subject(
    stated: dict[str, Any], bundle: Bundle, trial: Trial | None = None
) -> tuple[SubjectSection | None, tuple[str, ...]]:
    """A subject as a claim file writes it: schema, files, model's size, task parameters, then the trial."""
    try:
        section = SubjectSection.model_validate(stated)
    except ValidationError as error:
        return None, tuple(validation_problems(error, SubjectSection))
    asked = ClaimFile(format=1, bundle=bundle.name[:300], documents={}, subject=section)
    sources, problems = sources_of(bundle, asked, "trial", "auto")
    problems += list(_unreadable(section, sources))
    if not problems and trial is not None:
        problems += trial(sources)
    return section, tuple(problems)


def _unreadable(section: SubjectSection, sources: Sources) -> tuple[str, ...]:
    found = []
    if section.model is not None and sources.model.unavailable:
        found.append(f"subject.{sources.model.unavailable}")
    for name, task in sources.tasks.items():
        if task.unavailable:
            found.append(f"subject.tasks.{name}: {task.unavailable}")
        elif task.ref is not None and not task.ref.generator:
            found += [f"subject.tasks.{name}: {text}" for text in describe(task.ref).problems]
    # Bundle code that only the sandbox may call is no mistake of the proposal.
    return tuple(text for text in found if _WAITS not in text)
