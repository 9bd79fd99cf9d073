"""Two claims of our own in every gated run, one true and one false: a run that judges nothing gives itself away.

Their names and numbers are drawn for each run, so no answer can have been written beforehand (METHODS X01).
"""

import json
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pytest_mecheval.gate.judging import Reason
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.vocabulary import Verdict

MOST_NODES = 8
"""Components of the model the claims are about: two layers of four heads."""
_CONFIG = {"n_layers": 2, "n_heads": 4, "d_model": 8, "d_head": 2, "n_ctx": 8, "d_vocab": 8}


@dataclass(frozen=True)
class Canary:
    """A tiny bundle whose two verdicts are known."""

    bundle: Path
    true_claim: str
    false_claim: str


def write_canary(folder: Path) -> Canary:
    """Write bundle and claim file below a folder of ours."""
    mark = secrets.token_hex(6)
    count = 1 + secrets.randbelow(MOST_NODES - 1)
    nodes = [f"a{layer}.h{head}" for layer in range(2) for head in range(4)][:count]
    bundle = folder / f"canary_{mark}"
    for name, text in {
        "logs/documentation.md": f"The circuit has {count} nodes.\nIt has {count + 1} nodes.\n",
        "results/circuit.json": json.dumps({"nodes": nodes}),
        "model/config.json": json.dumps(
            {**_CONFIG, "act_fn": "relu", "attn_only": True, "normalization_type": None}
        ),
    }.items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text, encoding="utf-8")
    canary = Canary(bundle, f"true-{mark}", f"false-{mark}")
    claims_file(canary).write_text(_claims(canary, count), encoding="utf-8")
    return canary


def claims_file(canary: Canary) -> Path:
    """Where its claims are."""
    return canary.bundle.with_name(f"{canary.bundle.name}.claims.yaml")


def _claims(canary: Canary, count: int) -> str:
    document = canary.bundle / "logs/documentation.md"
    claims = [
        {
            "id": claim,
            "kind": "structure",
            "quote": {"file": "logs/documentation.md", "line": line, "text": text},
            "spec": {"file": "results/circuit.json", "count": number},
        }
        for claim, line, text, number in (
            (canary.true_claim, 1, f"The circuit has {count} nodes.", count),
            (canary.false_claim, 2, f"It has {count + 1} nodes.", count + 1),
        )
    ]
    model = {"loader": "transformer_lens", "config": "model/config.json", "weights": "model/none"}
    body = {
        "format": 1,
        "bundle": canary.bundle.name,
        "documents": {
            "logs/documentation.md": f"sha256:{sha256(document.read_bytes()).hexdigest()}"
        },
        "subject": {"model": model},
        "claims": claims,
    }
    return json.dumps(body, indent=1)  # JSON is YAML


def canary_reasons(canary: Canary, report: BundleReport | None) -> tuple[Reason, ...]:
    """Why the run that judged the canary cannot be believed; none when it told true from false."""
    wanted = {canary.true_claim: Verdict.SUPPORTED, canary.false_claim: Verdict.REFUTED}
    found = {} if report is None else {each.claim: each.word for each in report.outcomes}
    if found == wanted:
        return ()
    text = f"of our own two test claims the true one came out as {found.get(canary.true_claim)}, "
    return (Reason("canary", f"{text}the false one as {found.get(canary.false_claim)}"),)
