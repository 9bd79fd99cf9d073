"""A small bundle about the hand-made model: its truth is known by construction."""

import hashlib
import json
from pathlib import Path

import handmade_model
import yaml

DOCUMENTATION = """# Findings

Head 1.0 is needed for induction.
Head 1.1 is needed for induction.
Head 1.0 attends to the token after the earlier copy.
The circuit is elegant.
"""
HONEST_DOCUMENTATION = DOCUMENTATION.replace("Head 1.1 is needed for induction.", "")
"""Without the false sentence: leaving it out of the claim file alone is noticed."""
PLAN = "# Plan\n\n1. Ablate the layer-1 heads.\n"
TASK = {"generator": "induction", "vocab": 16, "length": 12, "periods": [4, 7]}
EXPECTED = {"needed": "SUPPORTED", "decoy": "REFUTED", "attends": "SUPPORTED"}
"""By construction: head 1.0 copies the answer, head 1.1 attends alike but has W_O = 0."""


def ablation(identifier: str, line: int, head: str, text: str) -> dict:
    """An ablation claim."""
    spec = {"components": [head], "value": "resample", "positions": "all", "metric": "logit_diff"}
    return {
        "id": identifier,
        "kind": "ablation",
        "quote": {"file": "logs/documentation.md", "line": line, "text": text},
        "spec": {**spec, "task": "repeated", "min_drop": 2.0},
    }


def claims() -> dict:
    """The claim file of the small bundle, without hashes."""
    documentation = "logs/documentation.md"
    return {
        "format": 1,
        "bundle": "toy",
        "subject": {
            "model": {
                "loader": "transformer_lens",
                "config": "model/config.json",
                "weights": "model/model.safetensors",
            },
            "tasks": {"repeated": dict(TASK)},
        },
        "claims": [
            ablation("needed", 3, "a1.h0", "Head 1.0 is needed for induction"),
            ablation("decoy", 4, "a1.h1", "Head 1.1 is needed for induction"),
            {
                "id": "attends",
                "kind": "attention",
                "quote": {
                    "file": documentation,
                    "line": 5,
                    "text": "Head 1.0 attends to the token",
                },
                "spec": {
                    "task": "repeated",
                    "head": "a1.h0",
                    "query": "END",
                    "key": "INDUCTION_TARGET",
                },
            },
        ],
        "plan": [
            {
                "id": "plan-1",
                "quote": {"file": "logs/plan.md", "line": 3, "text": "Ablate the layer-1 heads"},
                "spec": {},
            }
        ],
        "not_testable": [
            {
                "id": "elegance",
                "quote": {"file": documentation, "line": 6, "text": "The circuit is elegant"},
                "reason": "no operational meaning: 'elegant'",
            }
        ],
    }


def write_bundle(
    folder: Path, content: dict | None = None, documentation: str = DOCUMENTATION
) -> Path:
    """Write bundle and claim file; returns the bundle's folder."""
    (folder / "logs").mkdir(parents=True)
    handmade_model.write(folder / "model")
    documents = {"logs/documentation.md": documentation, "logs/plan.md": PLAN}
    for name, text in documents.items():
        (folder / name).write_text(text)
    write_claims(folder, content or claims())
    return folder


def write_claims(bundle: Path, content: dict) -> Path:
    """Write the claim file beside a bundle with the hashes of its documents."""
    hashes = {
        name: f"sha256:{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}"
        for name in ("logs/documentation.md", "logs/plan.md")
    }
    target = bundle.with_name(f"{bundle.name}.claims.yaml")
    target.write_text(yaml.safe_dump({**content, "documents": hashes}, sort_keys=False))
    return target


def verdicts(pytester, bundle: str = "toy") -> dict[str, str]:
    """Claim id to verdict, from `decisions.json`."""
    document = json.loads((pytester.path / f"mecheval-out/{bundle}/decisions.json").read_text())
    return {each["claim"]: each["verdict"] for each in document["decisions"]}
