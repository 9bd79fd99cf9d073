"""A transformer with weights written by hand, so that every effect can be computed on paper.

Two layers, six heads each, no LayerNorm, a ReLU MLP. The residual stream is made of orthogonal blocks
tok | pos | prev | out | first | second | junk. Attention scores are 0 or `SHARP`, so a softmax is
one-hot to fp32 precision wherever one key matches, and uniform where none does.

layer 0
    h0      previous token: attends one position back, copies its token into `prev`
    h1..h5  inert: attend and write noise into `junk`, which nothing reads
layer 1
    h0      induction: attends where `prev` equals the current token, copies that token into `out` (x 1)
    h1      decoy: the same queries, keys and values, W_O = 0
    h2      negative: as h0, but copies x -0.3
    h3      primary: as h0, copies x 0.5 into `first`
    h4      backup: as h0, copies x 0.5 into `second`
    h5      inert
    MLP     out += relu(second - first): the backup speaks only as far as the primary is silent
logits = GAIN * (out + first)
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from pytest_mecheval.tasks.examples import Examples

Array = NDArray[np.float32]

VOCAB, CONTEXT, HEADS, WIDTH_OF_HEAD, JUNK = 16, 12, 6, 16, 8
SHARP = 60.0
"""Score of a matching key; exp(-60) is nothing in fp32."""
GAIN = 8.0
NEGATIVE = -0.3
HALF = 0.5
BLOCKS = {
    "tok": VOCAB,
    "pos": CONTEXT,
    "prev": VOCAB,
    "out": VOCAB,
    "first": VOCAB,
    "second": VOCAB,
    "junk": JUNK,
}
D_MODEL = sum(BLOCKS.values())

CONFIG = {
    "n_layers": 2,
    "d_model": D_MODEL,
    "n_ctx": CONTEXT,
    "d_head": WIDTH_OF_HEAD,
    "n_heads": HEADS,
    "d_vocab": VOCAB,
    "d_mlp": VOCAB,
    "attn_only": False,
    "act_fn": "relu",
    "normalization_type": None,
}


@dataclass(frozen=True)
class Files:
    """Where a built model lies."""

    config: Path
    weights: Path


def block(name: str) -> slice:
    """The residual dimensions of a block."""
    at = 0
    for known, width in BLOCKS.items():
        if known == name:
            return slice(at, at + width)
        at += width
    raise KeyError(name)


def classic_tensors() -> dict[str, Array]:
    """The weights under classic HookedTransformer names."""
    tensors: dict[str, Array] = {
        "embed.W_E": np.zeros((VOCAB, D_MODEL), np.float32),
        "pos_embed.W_pos": np.zeros((CONTEXT, D_MODEL), np.float32),
        "unembed.W_U": np.zeros((D_MODEL, VOCAB), np.float32),
        "unembed.b_U": np.zeros(VOCAB, np.float32),
    }
    tensors["embed.W_E"][:, block("tok")] = np.eye(VOCAB)
    tensors["pos_embed.W_pos"][:, block("pos")] = np.eye(CONTEXT)
    for name in ("out", "first"):
        tensors["unembed.W_U"][block(name)] = GAIN * np.eye(VOCAB)
    for layer in range(2):
        prefix = f"blocks.{layer}"
        heads = _layer_0() if layer == 0 else _layer_1()
        for letter in "QKVO":
            tensors[f"{prefix}.attn.W_{letter}"] = np.stack([head[letter] for head in heads])
        for letter in "QKV":
            tensors[f"{prefix}.attn.b_{letter}"] = np.zeros((HEADS, WIDTH_OF_HEAD), np.float32)
        tensors[f"{prefix}.attn.b_O"] = np.zeros(D_MODEL, np.float32)
        tensors[f"{prefix}.mlp.W_in"] = np.zeros((D_MODEL, VOCAB), np.float32)
        tensors[f"{prefix}.mlp.b_in"] = np.zeros(VOCAB, np.float32)
        tensors[f"{prefix}.mlp.W_out"] = np.zeros((VOCAB, D_MODEL), np.float32)
        tensors[f"{prefix}.mlp.b_out"] = np.zeros(D_MODEL, np.float32)
    tensors["blocks.1.mlp.W_in"][block("second")] = np.eye(VOCAB)
    tensors["blocks.1.mlp.W_in"][block("first")] = -np.eye(VOCAB)
    tensors["blocks.1.mlp.W_out"][:, block("out")] = np.eye(VOCAB)
    return tensors


def bridge_tensors() -> dict[str, Array]:
    """The same weights under TransformerBridge names, `nn.Linear` orientation."""
    named: dict[str, Array] = {}
    for key, value in classic_tensors().items():
        stem, last = key.rsplit(".", 1)
        kind, _, letter = last.partition("_")
        if letter in ("E", "pos"):
            named[f"{stem}.weight"] = value
        elif letter == "U":
            named[f"{stem}.{'weight' if kind == 'W' else 'bias'}"] = value.T
        elif letter in ("in", "out"):
            named[f"{stem}.{letter}.{'weight' if kind == 'W' else 'bias'}"] = value.T
        elif kind == "b":
            named[f"{stem}.{letter.lower()}.bias"] = value.reshape(-1)
        elif letter == "O":
            named[f"{stem}.o.weight"] = value.reshape(-1, D_MODEL).T
        else:
            named[f"{stem}.{letter.lower()}.weight"] = value.transpose(0, 2, 1).reshape(-1, D_MODEL)
    return {name: np.ascontiguousarray(value) for name, value in named.items()}


def write(folder: Path, tensors: Mapping[str, Array] | None = None) -> Files:
    """Write `config.json` and `model.safetensors` (classic names unless told otherwise)."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "config.json", folder / "model.safetensors")
    files.config.write_text(json.dumps(CONFIG), encoding="utf-8")
    save_file(dict(tensors or classic_tensors()), files.weights)
    return files


def prompts(n: int, seed: int = 0) -> Examples:
    """Distinct tokens, then one of them again: the answer is what followed it the first time.

    The counterfactual differs only in that following token, which is the foil. Positions: END (the
    repeated token), MATCH (where the answer stands), COPIED (its first occurrence, one before MATCH).
    """
    rng = np.random.default_rng(seed)
    tokens = np.empty((n, CONTEXT), np.int64)
    counterfactual = np.empty((n, CONTEXT), np.int64)
    copied = rng.integers(1, CONTEXT - 2, n)
    answers, foils = np.empty(n, np.int64), np.empty(n, np.int64)
    for row in range(n):
        drawn = rng.permutation(VOCAB)
        tokens[row, :-1] = drawn[: CONTEXT - 1]
        tokens[row, -1] = tokens[row, copied[row]]
        answers[row], foils[row] = tokens[row, copied[row] + 1], drawn[CONTEXT - 1]
        counterfactual[row] = tokens[row]
        counterfactual[row, copied[row] + 1] = foils[row]
    end = np.full(n, CONTEXT - 1)
    positions = {"END": end, "MATCH": copied + 1, "COPIED": copied}
    return Examples(tokens, counterfactual, answers, foils, end, positions)


def _empty() -> dict[str, Array]:
    shape = (D_MODEL, WIDTH_OF_HEAD)
    return {letter: np.zeros(shape, np.float32) for letter in "QKV"} | {
        "O": np.zeros(shape[::-1], np.float32)
    }


def _inert(seed: int) -> dict[str, Array]:
    """Attends and moves noise, but only into the block nothing reads."""
    rng = np.random.default_rng(seed)
    head = _empty()
    for letter in "QKV":
        head[letter] = rng.normal(0, 0.3, (D_MODEL, WIDTH_OF_HEAD)).astype(np.float32)
    head["O"][:, block("junk")] = rng.normal(0, 1.0, (WIDTH_OF_HEAD, JUNK))
    return head


def _layer_0() -> list[dict[str, Array]]:
    previous = _empty()
    strength = SHARP * np.sqrt(WIDTH_OF_HEAD)
    # Position i asks for i - 1; position 0 finds no match and sees only itself.
    previous["Q"][block("pos"), :CONTEXT] = strength * np.eye(CONTEXT, k=-1)
    previous["K"][block("pos"), :CONTEXT] = np.eye(CONTEXT)
    previous["V"][block("tok")] = np.eye(VOCAB)
    previous["O"][:, block("prev")] = np.eye(VOCAB)
    return [previous, *(_inert(seed) for seed in range(1, HEADS))]


def _layer_1() -> list[dict[str, Array]]:
    writes = [("out", 1.0), ("out", 0.0), ("out", NEGATIVE), ("first", HALF), ("second", HALF)]
    heads = []
    for target, weight in writes:
        head = _empty()
        head["Q"][block("tok")] = SHARP * np.sqrt(WIDTH_OF_HEAD) * np.eye(VOCAB)
        head["K"][block("prev")] = np.eye(VOCAB)
        head["V"][block("tok")] = np.eye(VOCAB)
        head["O"][:, block(target)] = weight * np.eye(VOCAB)
        heads.append(head)
    return [*heads, _inert(HEADS)]
