"""A provider whose answers a test writes down, and a small bundle to ask about."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.translate.asks import Ask, Reply, Status

REPORT = """# Report

## Results
Ablating head 1.0 lowers the logit difference by more than 2.5 nats.
Head 1.1 is the key head and necessary.
It is an elegant circuit.
"""
PLAN = """# Plan

## Steps
1. Ablate head 2 (zero) on 128 prompts.
"""
RUN = "print(0.5)\n"
SPEC = {
    "task": "t", "components": ["a1.h0"], "value": "resample", "positions": "all",
    "metric": "logit_diff", "min_drop": 2.5,
}  # fmt: skip
OWNED = ["value", "positions"]
STEP = {
    "entry": "run.py",
    "requires": [{"event": "ablate", "heads": [2], "value": "zero", "min_prompts": 128}],
}
SUBJECT = {
    "model": {
        "loader": "transformer_lens",
        "config": "model/config.json",
        "weights": "model/model.safetensors",
    },
    "tasks": {"t": {"generator": "induction", "vocab": 16, "length": 12, "periods": [4, 7]}},
}


def bundle_in(folder: Path, report: str = REPORT, plan: str = PLAN) -> Bundle:
    """The bundle `b` below a folder; its model files are those of the hand-made model."""
    root = folder / "b"
    (root / "logs").mkdir(parents=True, exist_ok=True)
    (root / "logs" / "documentation.md").write_text(report)
    (root / "logs" / "plan.md").write_text(plan)
    (root / "run.py").write_text(RUN)
    return discover(root)


def claim(text: str, spec: Mapping, kind: str = "ablation", owned=(), name="x") -> dict:
    return {
        "id": name,
        "kind": kind,
        "quote": text,
        "spec_json": spec if isinstance(spec, str) else json.dumps(spec),
        "operationalised": list(owned),
        "headline": False,
    }


def body(outcome: str, *claims: dict, reason="", explanation="", subject=None) -> dict:
    return {
        "outcome": outcome,
        "claims": list(claims),
        "reason": reason,
        "explanation": explanation,
        "subject_json": "" if subject is None else json.dumps(subject),
    }


def sensible(ask: Ask) -> dict:
    """What a good translator would answer about the bundle above."""
    if ask.role == "subject":
        return body("subject", subject=SUBJECT)
    if ask.role == "plan":
        return body("plan_step", claim(ask.text, STEP, "plan_step"))
    if "1.0" in ask.text:
        return body("claims", claim(ask.text, SPEC, owned=OWNED, name="needed"))
    if "1.1" in ask.text:
        spec = {**SPEC, "components": ["a1.h1"], "special": True}
        spec.pop("min_drop")
        return body("claims", claim(ask.text, spec, owned=[*OWNED, "metric"], name="key"))
    return body("not_testable", reason="no operational meaning: 'elegant'")


class Says:
    """Answers with a function; a Status instead of a body stands for no answer."""

    name = "says"

    def __init__(self, answer: Callable[[Ask], dict | Status] = sensible) -> None:
        self.answer = answer
        self.asked: list[Ask] = []

    def replies(self, asks):
        for ask in asks:
            self.asked.append(ask)
            answer = self.answer(ask)
            if isinstance(answer, Status):
                yield Reply(ask, answer, detail="so it is")
            else:
                yield Reply(ask, Status.ANSWERED, answer)
