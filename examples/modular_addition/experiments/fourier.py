"""Which frequencies the number embeddings use: share of variance per frequency k = 1 .. 15."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

import numpy as np
from data import P
from safetensors.numpy import load_file

weights = {name: value.astype(np.float64) for name, value in load_file(ROOT / "model" / "model.safetensors").items()}
x = np.arange(P)


def spectrum(matrix):
    """Share of the centred rows' variance in each frequency, largest first."""
    matrix = matrix - matrix.mean(0)
    shares = {}
    for k in range(1, P // 2 + 1):
        waves = np.stack([np.cos(2 * np.pi * k * x / P), np.sin(2 * np.pi * k * x / P)])
        shares[k] = float(((waves @ matrix) ** 2).sum() * 2 / P / (matrix**2).sum())
    return {str(k): round(s, 4) for k, s in sorted(shares.items(), key=lambda item: -item[1])}


record = {
    "embedding": spectrum(weights["embed.weight"][:P]),
    "unembedding": spectrum(weights["unembed.weight"][:P]),
}
record["embedding_top_three"] = round(sum(sorted(record["embedding"].values())[-3:]), 4)
text = json.dumps(record, indent=1)
(ROOT / "results" / "fourier.json").write_text(text + "\n")
print("fourier", text)
