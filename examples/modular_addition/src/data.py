"""Modular addition as token rows [a, b, =]: all P * P inputs, and the split the model was trained on."""

import numpy as np

P = 31
EQUALS = P
TRAIN_SHARE = 0.6
SPLIT_SEED = 0


def all_pairs():
    """Every input and its answer: tokens of shape (P * P, 3) and (a + b) mod P of shape (P * P,)."""
    a, b = np.divmod(np.arange(P * P), P)
    return np.stack([a, b, np.full(P * P, EQUALS)], axis=1), (a + b) % P


def train_mask():
    """True for the inputs seen in training, shape (P * P,)."""
    order = np.random.default_rng(SPLIT_SEED).permutation(P * P)
    mask = np.zeros(P * P, dtype=bool)
    mask[order[: int(TRAIN_SHARE * P * P)]] = True
    return mask


def counterfactuals(seed=1):
    """For every input another one with a different answer, both operands redrawn, shape (P * P, 3)."""
    rng = np.random.default_rng(seed)
    tokens, answers = all_pairs()
    other = tokens.copy()
    wrong = np.ones(len(tokens), dtype=bool)
    while wrong.any():
        other[wrong, :2] = rng.integers(0, P, size=(wrong.sum(), 2))
        wrong = other[:, :2].sum(1) % P == answers
    return other
