"""From a planned claim to what has to be measured for it."""

from collections.abc import Sequence

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.evidence.measurement import Measurement
from pytest_mecheval.run.documents import code, node_list, prose
from pytest_mecheval.run.rerun import Script
from pytest_mecheval.run.runner import Request
from pytest_mecheval.run.sources import Sources
from pytest_mecheval.wire import Code, Document, PlanStep, Prose, Rerun


def request_for(name: str, steps: Sequence[PlanStep], sources: Sources) -> Request:
    """The jobs of a claim, with documents read at once; never raises for what the bundle lacks."""
    if why := sources.unavailable(steps):
        return Request(name, unavailable=why)
    try:
        return Request(
            name,
            jobs={
                step: sources.job(step)
                for step in steps
                if not isinstance(step.probe, Document | Prose | Code | Rerun)
            },
            scripts={
                step: Script(
                    sources.root,
                    sources.bundle_digest,
                    sources.files,
                    step.probe,
                    sources.sandbox,
                    sources.environment,
                    sources.limits,
                    sources.gpu,
                )
                for step in steps
                if isinstance(step.probe, Rerun)
            },
            known=_read(steps, sources),
        )
    except SubjectError as error:
        return Request(name, unavailable=str(error))


def _read(steps: Sequence[PlanStep], sources: Sources) -> dict[PlanStep, Measurement]:
    """What is read from the bundle's files without running anything."""
    known: dict[PlanStep, Measurement] = {}
    for step in steps:
        match step.probe:
            case Document(file):
                known[step] = node_list(sources.root, file)
            case Prose(file, text):
                known[step] = prose(sources.root, file, text)
            case Code():
                known[step] = code(sources.root, sources.files)
            case _:
                pass  # measured by the harness or run in the sandbox
    return known
