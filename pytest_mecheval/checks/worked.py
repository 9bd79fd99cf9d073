"""Builds the worked examples of the kinds: a small subject and evidence with planted truth, no model needed."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pytest_mecheval.checks.check import Example, Subject, TaskFacts
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.evidence.measurement import Evidence, Measurement, Values
from pytest_mecheval.vocabulary import ModelShape, Verdict
from pytest_mecheval.wire import PlanStep, Rerun, Run

SUBJECT = Subject(
    shape=ModelShape(n_layers=2, n_heads=4, d_model=64, d_vocab=64, n_ctx=48),
    tasks={
        "repeated": TaskFacts(
            strata=("fresh", "new_entities", "new_lengths"), positions=("END", "INDUCTION_TARGET")
        )
    },
)
"""Two layers of four heads and an induction task: what the worked examples are about."""

CLEAN = 5.0
"""Planted logit difference on clean prompts, nats; on counterfactual prompts its negative."""
SPREAD = 0.5
"""Standard deviation between prompts, nats; shared by all runs, so effects are paired."""
NOISE = 0.05
"""Standard deviation of one run's own noise, nats."""

Score = Callable[[PlanStep], float]


def example(
    title: str,
    spec: Spec,
    plan: Callable[[Any, Subject], tuple[PlanStep, ...]],
    score: Score,
    verdict: Verdict,
    *,
    subject: Subject = SUBJECT,
    spread: float = SPREAD,
) -> Example:
    """An example whose evidence gives each planned step the planted mean."""
    return Example(
        title, spec, subject, evidence(plan(spec, subject), score, spread=spread), verdict
    )


def evidence(steps: tuple[PlanStep, ...], score: Score, *, spread: float = SPREAD) -> Evidence:
    """Paired per-prompt values around the planted means, the same on every machine."""
    return Evidence({step: Measurement(_values(step, score(step), spread)) for step in steps})


def edit_scores(
    edits: Mapping[str, float], *, clean: float = CLEAN, everything: float = -CLEAN
) -> Score:
    """Planted metric by edited component; every component not named leaves the run as it was.

    Args:
        edits: Mean metric when that component is edited, alone or with others.
        clean: Mean of the unedited clean run; the counterfactual run has its negative.
        everything: Mean when more than half of the model is edited.
    """

    def score(step: PlanStep) -> float:
        if not isinstance(step.probe, Run):
            return 0.0
        edit = step.probe.intervention
        start = clean if edit.base == "clean" else -clean
        if not edit.components:
            return start
        if len(edit.components) * 2 > len(SUBJECT.shape.heads()):
            return everything
        if edit.joint == "partners_only":
            return start
        return min((edits[name] for name in edit.components if name in edits), default=start)

    return score


def _values(step: PlanStep, mean: float, spread: float) -> Values:
    shared = _rng([step.slice.split, step.slice.stratum]).normal(0.0, spread, step.slice.n)
    own = _rng(dataclasses.asdict(step)).normal(0.0, NOISE, step.slice.n)
    values: Values = mean + shared + own
    return values


def _rng(label: Any) -> np.random.Generator:
    text = json.dumps(label, sort_keys=True)
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


AS_WATCHED: dict[str, object] = {
    "differences": [],
    "compared": 40,
    "unstable": [],
    "unstable_numbers": [],
}
"""A run that comes out the same with and without the tracer."""


def ran_facts(**changed: object) -> dict[str, object]:
    """Facts of a rerun that ended well and did nothing, with some of them changed."""
    facts: dict[str, object] = {
        "status": "finished",
        "exit_code": 0,
        "last_words": "",
        "standing": "complete",
        "problems": [],
        "truncated": [],
        "faults": 0,
        "forwards": 4,
        "prompts": 128,
        "sham_applied": False,
        "seeds": 1,
        "unseeded": [],
        "seed_values": 1,
        "inputs": {"rows": [], "complete": True, "writes": [], "calls": []},
        "files": [],
        "lines": [],
        "texts": {},
        "figures": [],
        "edits": [],
        "reads": [],
        "loads": [],
        "idle_hooks": [],
        "numbers": [],
        "failed_cells": [],
        "unseen": [],
        "inputs_digest": "a",
        "sham_reasons": [],
        "poisoned": 0,
        "edited_outputs": "a",
        "other_edits": [],
        "unobserved_share": None,
        "watched": AS_WATCHED,
        **changed,
    }
    return {"sequence": facts["numbers"], **facts}


def rerun_example(
    title: str,
    spec: Spec,
    plan: Callable[[Any, Subject], tuple[PlanStep, ...]],
    verdict: Verdict,
    *runs: Mapping[str, object],
) -> Example:
    """An example about reruns: for each planned run, how its facts differ from one that did nothing.

    Steps that read files instead of running them take their facts as they are.
    """
    measured = {
        step: Measurement(
            np.empty(0),
            facts=ran_facts(**changed) if isinstance(step.probe, Rerun) else changed,
        )
        for step, changed in zip(plan(spec, SUBJECT), runs, strict=True)
    }
    return Example(title, spec, SUBJECT, Evidence(measured), verdict)
