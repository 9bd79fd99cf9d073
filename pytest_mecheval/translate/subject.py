"""The proposed model and tasks, held against the bundle before anything is written: nothing is taken on trust."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.problems import validation_problems
from pytest_mecheval.claims.model import ClaimFile, SubjectSection
from pytest_mecheval.errors import UsageError
from pytest_mecheval.run.sources import Sources
from pytest_mecheval.run.subject import NOTHING_RUN, Running, sources_of
from pytest_mecheval.tasks.drawing import describe
from pytest_mecheval.translate.answer import BadAnswer, Outcome, answer_from
from pytest_mecheval.translate.asks import Reply, Status
from pytest_mecheval.translate.strict_json import json_object

Trial = Callable[[Sources], tuple[str, ...]]
"""Runs the model on a few prompts of every task and says what is wrong; empty when it behaves."""


def proposed_subject(
    reply: Reply, bundle: Bundle, trial: Trial | None = None, running: Running = NOTHING_RUN
) -> tuple[SubjectSection | None, tuple[str, ...]]:
    """The subject in a reply and every problem with it.

    Args:
        reply: to the ask about the subject.
        bundle: its files must exist and be readable as what they are said to be.
        trial: a run on a few prompts, done only when everything else is right.
        running: how code of the bundle is called in the sandbox; by default it is not.

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
    return checked_subject(stated, bundle, trial, running)


def checked_subject(
    stated: dict[str, Any],
    bundle: Bundle,
    trial: Trial | None = None,
    running: Running = NOTHING_RUN,
) -> tuple[SubjectSection | None, tuple[str, ...]]:
    """A subject as a claim file writes it: schema, files, model's size, task parameters, then the trial."""
    try:
        section = SubjectSection.model_validate(stated)
    except ValidationError as error:
        return None, tuple(validation_problems(error, SubjectSection))
    asked = ClaimFile(format=1, bundle=bundle.name[:300], documents={}, subject=section)
    sources, problems = sources_of(bundle, asked, "trial", running)
    problems += list(_unreadable(section, sources, running))
    if not problems and trial is not None:
        problems += trial(sources)
    # The problems go back to the provider, to whom this machine's folders are nothing.
    return section, tuple(each.replace(f"{bundle.root}/", "") for each in problems)


def _unreadable(section: SubjectSection, sources: Sources, running: Running) -> tuple[str, ...]:
    """What cannot be used; code of the bundle that was not called is no mistake of the proposal."""
    found = []
    own_code = section.model is not None and section.model.entry is not None
    if section.model is not None and sources.model.unavailable and not own_code:
        found.append(f"subject.{sources.model.unavailable}")
    for name, task in sources.tasks.items():
        not_called = section.tasks[name].entry is not None and running.store is None
        if task.unavailable and not not_called:
            found.append(f"subject.tasks.{name}: {task.unavailable}")
        elif task.ref is not None and not task.ref.generator:
            found += [f"subject.tasks.{name}: {text}" for text in describe(task.ref).problems]
    return tuple(found)
