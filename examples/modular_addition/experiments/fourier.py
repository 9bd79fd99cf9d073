"""Which frequencies the number embeddings use: share of variance per frequency k = 1 .. 15."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
from data import P
from measure import save
from model import load

weights = load().state_dict()
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
    "embedding": spectrum(weights["embed.weight"][:P].numpy()),
    "unembedding": spectrum(weights["unembed.weight"][:P].numpy()),
}
save("fourier", record)
