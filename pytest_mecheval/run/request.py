"""From a planned claim to what has to be measured for it."""

from collections.abc import Sequence

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.run.documents import node_list
from pytest_mecheval.run.rerun import Script
from pytest_mecheval.run.runner import Request
from pytest_mecheval.run.sources import Sources
from pytest_mecheval.wire import Document, PlanStep, Rerun


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
                if not isinstance(step.probe, Document | Rerun)
            },
            scripts={
                step: Script(
                    sources.root,
                    sources.bundle_digest,
                    sources.files,
                    step.probe,
                    sources.sandbox,
                    sources.limits,
                )
                for step in steps
                if isinstance(step.probe, Rerun)
            },
            known={
                step: node_list(sources.root, step.probe.file)
                for step in steps
                if isinstance(step.probe, Document)
            },
        )
    except SubjectError as error:
        return Request(name, unavailable=str(error))
