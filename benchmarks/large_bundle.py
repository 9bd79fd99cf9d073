"""Writes a bundle about a randomly initialised 12-layer, 768-wide model: what the benchmarks measure on."""

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

N_LAYERS, D_MODEL, N_HEADS, D_VOCAB, N_CTX = 12, 768, 12, 2000, 32
D_HEAD, D_MLP = D_MODEL // N_HEADS, 4 * D_MODEL
CLAIMED_HEADS = ("a3.h1", "a5.h2", "a7.h3", "a9.h4")
SCALE = 0.02
"""Standard deviation of every weight, as GPT-2 was initialised."""
SENTENCE = "Head {head} attends from END to the token after the earlier occurrence."


def write_large_bundle(folder: Path) -> Path:
    """The bundle's path; its claim file stands beside it. The weights take about 350 MB."""
    bundle = folder / "large"
    for part in ("model", "logs"):
        (bundle / part).mkdir(parents=True)
    config = {
        "n_layers": N_LAYERS, "d_model": D_MODEL, "n_heads": N_HEADS, "d_head": D_HEAD,
        "d_mlp": D_MLP, "d_vocab": D_VOCAB, "n_ctx": N_CTX, "act_fn": "gelu",
        "normalization_type": "LNPre", "attn_only": False,
    }  # fmt: skip
    (bundle / "model" / "config.json").write_text(json.dumps(config))
    save_file(_weights(), bundle / "model" / "model.safetensors")
    sentences = [SENTENCE.format(head=head) for head in CLAIMED_HEADS]
    text = "\n".join(["# Findings", *sentences]) + "\n"
    (bundle / "logs" / "documentation.md").write_text(text)
    _claims(bundle, text, sentences)
    return bundle


def _weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return (SCALE * rng.standard_normal(shape, dtype=np.float32)).astype(np.float32)

    weights = {
        "embed.W_E": random(D_VOCAB, D_MODEL),
        "pos_embed.W_pos": random(N_CTX, D_MODEL),
        "unembed.W_U": random(D_MODEL, D_VOCAB),
        "unembed.b_U": np.zeros(D_VOCAB, np.float32),
    }
    for layer in range(N_LAYERS):
        attn, mlp = f"blocks.{layer}.attn", f"blocks.{layer}.mlp"
        for side in "QKV":
            weights[f"{attn}.W_{side}"] = random(N_HEADS, D_MODEL, D_HEAD)
            weights[f"{attn}.b_{side}"] = np.zeros((N_HEADS, D_HEAD), np.float32)
        weights[f"{attn}.W_O"] = random(N_HEADS, D_HEAD, D_MODEL)
        weights[f"{attn}.b_O"] = np.zeros(D_MODEL, np.float32)
        weights[f"{mlp}.W_in"] = random(D_MODEL, D_MLP)
        weights[f"{mlp}.b_in"] = np.zeros(D_MLP, np.float32)
        weights[f"{mlp}.W_out"] = random(D_MLP, D_MODEL)
        weights[f"{mlp}.b_out"] = np.zeros(D_MODEL, np.float32)
    return weights


def _claims(bundle: Path, text: str, sentences: list[str]) -> None:
    digest = hashlib.sha256(text.encode()).hexdigest()
    claims = [
        {
            "id": f"attends-{head.replace('.', '-')}",
            "kind": "attention",
            "quote": {"file": "logs/documentation.md", "line": line, "text": sentence},
            "spec": {"task": "repeated", "head": head, "query": "END", "key": "INDUCTION_TARGET"},
        }
        for line, (head, sentence) in enumerate(zip(CLAIMED_HEADS, sentences, strict=True), 2)
    ]
    document = {
        "format": 1,
        "bundle": bundle.name,
        "documents": {"logs/documentation.md": f"sha256:{digest}"},
        "subject": {
            "model": {
                "loader": "transformer_lens",
                "config": "model/config.json",
                "weights": "model/model.safetensors",
            },
            "tasks": {
                "repeated": {
                    "generator": "induction", "vocab": D_VOCAB, "length": 16, "periods": [4, 6],
                }
            },
        },
        "claims": claims,
    }  # fmt: skip
    # JSON is YAML, and needs no library here.
    (bundle.parent / f"{bundle.name}.claims.yaml").write_text(json.dumps(document, indent=1))
