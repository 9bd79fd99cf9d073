"""Sample claims, decisions and evidence; numbers chosen so that every formatted text can be checked by hand."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_mecheval.checks.check import Check, Example, Subject
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.claims.model import Claim, Quote
from pytest_mecheval.evidence.decision import Control, Decision, Estimate, Shams
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.report.outcome import Outcome, RecordUse, State, outcome
from pytest_mecheval.vocabulary import Dimension, ModelShape, Rung, Tier, Verdict
from pytest_mecheval.wire import Intervention, PlanStep, Run, Slice

# Texts shared with the tests of other folders.
sys.path.insert(0, str(Path(__file__).parents[2]))

_SUBJECT = Subject(ModelShape(2, 8, 64, 64, 48), {})


def _decision(verdict: Verdict = Verdict.SUPPORTED, **fields: Any) -> Decision:
    base: dict[str, Any] = {
        "verdict": verdict,
        "code": "",
        "measured": "resample-ablating a1.h6 drops logit_diff",
        "needed": "a drop above 0.5 nats, larger than any matched control's",
        "rung": Rung.L2,
        "estimate": Estimate(2.131, 1.912, 2.352, 0.01, 256, "nats", "betting"),
        "threshold": 0.5,
        "controls": (Control("a1.h3", 0.4125), Control("a0.h2", -0.1)),
        "shams": Shams(0, 14),
        "p_value": 1e-6,
        "tier": Tier.T3,
        "notes": ("self-repair: a1.h1 makes up 0.2 nats",),
    }
    return Decision(**(base | fields))


@pytest.fixture
def decision() -> Callable[..., Decision]:
    return _decision


@pytest.fixture
def check() -> Check[Spec]:
    examples = tuple(
        Example(str(verdict), Spec(), _SUBJECT, Evidence({}), verdict)
        for verdict in (Verdict.SUPPORTED, Verdict.REFUTED)
    )
    return Check(
        kind="ablation",
        dimension=Dimension.REPRODUCIBILITY,
        rung=Rung.L2,
        spec=Spec,
        plan=lambda _spec, _subject: (),
        decide=lambda _spec, _subject, _evidence: _decision(),
        negate=lambda _spec: None,
        refuted_by=lambda _spec: "a drop below the threshold",
        doc="Question: q Null: n Statistic: s Blind spots: b Source: s",
        examples=examples,
    )


@pytest.fixture
def claim() -> Callable[..., Claim]:
    def build(
        id: str = "l1h6-necessary",  # noqa: A002
        text: str = "Ablating head 1.6 destroys induction",
        file: str = "logs/documentation.md",
        line: int = 41,
        **fields: Any,
    ) -> Claim:
        spec = {"components": ["a1.h6"], "value": "resample", "min_drop": 0.5}
        return Claim.model_construct(
            **(
                {
                    "id": id,
                    "kind": "ablation",
                    "quote": Quote.model_construct(file=file, line=line, text=text),
                    "spec": spec,
                }
                | fields
            )
        )

    return build


@pytest.fixture
def made(claim: Callable[..., Claim], check: Check[Spec]) -> Callable[..., Outcome]:
    """An outcome from a claim id, a decision and whatever else differs from the sample."""

    def build(
        id: str = "l1h6-necessary",  # noqa: A002
        decided: Decision | None = None,
        *,
        dimension: Dimension = Dimension.REPRODUCIBILITY,
        kind: str = "ablation",
        problem: str = "",
        **fields: Any,
    ) -> Outcome:
        made = outcome(claim(id, **fields), check, decided, problem=problem)
        return replace(made, dimension=dimension, kind=kind)

    return build


@pytest.fixture
def record() -> Callable[..., RecordUse]:
    """One record that a decision read."""

    def build(address: str = "a", content: str = "0", task: str = "repeated") -> RecordUse:
        step = {
            "slice": {"task": task, "split": "evaluation", "stratum": "fresh", "n": 256},
            "probe": {"type": "document", "file": "nodes.json"},
        }
        return RecordUse((address * 64)[:64], (content * 64)[:64], step)

    return build


@pytest.fixture
def unchecked() -> Callable[..., Outcome]:
    """A statement without a test."""

    def build(
        id: str = "elegance",  # noqa: A002
        reason: str = "no operational meaning",
        kind: str = "not_testable",
    ) -> Outcome:
        return Outcome(
            id, kind, Dimension.COHERENCE, "logs/documentation.md", 6, "The circuit is elegant", {},
            state=State.NOT_RUN, unavailable=reason,
        )  # fmt: skip

    return build


@pytest.fixture
def evidence() -> Evidence:
    """Clean and ablated runs of 256 prompts, two controls, a calibration run of 64."""
    rng = np.random.default_rng(7)

    def step(*components: str, split: Any = "evaluation", n: int = 256) -> PlanStep:
        source: Any = "counterfactual" if components else "unchanged"
        return PlanStep(
            Slice("repeated", split, n=n), Run(Intervention(components, source), "logit_diff")
        )

    def measured(mean: float, n: int = 256) -> Measurement:
        provenance = {"torch": "2.13.0", "seconds": 0.25, "controls": {"placebo": 0.0}}
        return Measurement(rng.normal(mean, 1.0, n), provenance=provenance)

    return Evidence(
        {
            step(): measured(5.0),
            step("a1.h6"): measured(2.9),
            step("a1.h3"): measured(4.6),
            step("a0.h2"): measured(5.1),
            step(split="calibration", n=64): measured(5.0, 64),
        }
    )
