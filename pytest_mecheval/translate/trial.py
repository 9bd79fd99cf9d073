"""A proposed subject on a few prompts: the model must load and do its task better than chance."""

import uuid
from pathlib import Path

from pytest_mecheval.errors import HarnessError
from pytest_mecheval.run.runner import Request, Runner, Workplace
from pytest_mecheval.run.sources import Sources
from pytest_mecheval.stats.proportion import binomial_tail_p
from pytest_mecheval.vocabulary import Metric
from pytest_mecheval.wire import Intervention, PlanStep, Run, Slice

PROMPTS = 64
CHANCE = 0.5
"""How often a model that knows nothing prefers the answer to the counterfactual's answer."""
ALPHA = 0.01


class Trial:
    """Runs the unedited model on a few prompts of every task."""

    def __init__(self, store: Path, threads: int = 1) -> None:
        self._store = store
        self._threads = threads

    def __call__(self, sources: Sources) -> tuple[str, ...]:
        """What is wrong, one line per task; tasks that cannot be drawn here are left out."""
        if sources.model.ref is None:
            return ()
        steps = {
            name: PlanStep(
                Slice(name, "calibration", n=PROMPTS), Run(Intervention(()), str(Metric.LOGIT_DIFF))
            )
            for name, task in sources.tasks.items()
            if task.ref is not None
        }
        requests = {
            name: Request(f"trial of task {name}", jobs={step: sources.job(step)})
            for name, step in steps.items()
        }
        runner = Runner(
            Workplace(self._store, f"trial-{uuid.uuid4().hex[:12]}", threads=self._threads)
        )
        runner.select(requests.values())
        try:
            return tuple(
                problem
                for name, request in requests.items()
                if (problem := _problem(runner, name, request, steps[name]))
            )
        finally:
            runner.close(wait=False)
            runner.clean()


def _problem(runner: Runner, name: str, request: Request, step: PlanStep) -> str:
    try:
        evidence = runner.evidence(request)
    except HarnessError as error:
        return f"subject.tasks.{name}: the model does not run on it: {str(error)[:300]}"
    if evidence.unavailable:
        return f"subject.tasks.{name}: {evidence.unavailable}"
    values = evidence.values(step)
    right = int((values > 0).sum())
    if binomial_tail_p(right, len(values), CHANCE) <= ALPHA:
        return ""
    return (
        f"subject.tasks.{name}: the model prefers the answer on {right} of {len(values)} prompts only, "
        "which is no better than chance; another task, other parameters or another model is meant"
    )
