"""Repeated random sequences: a block of distinct tokens, written again and again."""

import numpy as np

VOCAB = 64
LENGTH = 48
MIN_PERIOD = 6
MAX_PERIOD = 20


def make_batch(n, rng, min_period=MIN_PERIOD, max_period=MAX_PERIOD, length=LENGTH, vocab=VOCAB):
    """n rows and their periods; row i repeats a block of periods[i] distinct tokens.

    Returns (tokens, periods): int64 arrays of shape (n, length) and (n,).
    """
    periods = rng.integers(min_period, max_period + 1, size=n)
    blocks = np.argsort(rng.random((n, vocab)), axis=1)
    index = np.arange(length)[None, :] % periods[:, None]
    return np.take_along_axis(blocks, index, axis=1), periods


def predictable(periods, length=LENGTH):
    """Mask over predictions t -> t+1, shape (n, length - 1): True where the row has shown both tokens."""
    t = np.arange(length - 1)[None, :]
    return t >= periods[:, None]


def make_prompts(n, rng, min_period=MIN_PERIOD, max_period=MAX_PERIOD, prefix=0):
    """Evaluation prompts: one prediction per row, made somewhere in the second copy of the block.

    The counterfactual of a row has the same period and read position but another random block, so
    every token and the answer differ while the structure stays. With `prefix` > 0, one to that many
    tokens that never repeat stand before the first block.

    Returns a dict of int64 arrays: tokens and counterfactual (n, LENGTH); answer, foil, read (where the
    prediction is made), previous (earlier occurrence of the token at read), target (the position
    after it), all (n,).
    """
    keep = []
    while sum(len(rows["read"]) for rows in keep) < n:
        keep.append(_propose(n, rng, min_period, max_period, prefix))
    return {name: np.concatenate([rows[name] for rows in keep])[:n] for name in keep[0]}


def _propose(n, rng, min_period, max_period, prefix):
    period = rng.integers(min_period, max_period + 1, size=n)
    before = rng.integers(1, prefix + 1, size=n) if prefix else np.zeros(n, dtype=np.int64)
    read = before + rng.integers(period, np.minimum(2 * period, LENGTH - 1 - before))
    symbols, other = (np.argsort(rng.random((n, VOCAB)), axis=1) for _ in range(2))
    place = np.arange(LENGTH)[None, :] - before[:, None]
    # places before the block are filled with symbols the block does not use
    slot = np.where(place >= 0, place % period[:, None], period[:, None] - place - 1)
    tokens = np.take_along_axis(symbols, slot, axis=1)
    counterfactual = np.take_along_axis(other, slot, axis=1)
    row = np.arange(n)
    rows = {
        "tokens": tokens,
        "counterfactual": counterfactual,
        "answer": tokens[row, read - period + 1],
        "foil": counterfactual[row, read - period + 1],
        "read": read,
        "previous": read - period,
        "target": read - period + 1,
    }
    usable = (rows["answer"] != rows["foil"]) & (tokens[row, read] != counterfactual[row, read])
    return {name: array[usable] for name, array in rows.items()}
