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


def make_pairs(n, rng, min_period=MIN_PERIOD, max_period=MAX_PERIOD):
    """Clean rows and counterfactual rows with the same periods and no shared token at any position.

    The counterfactual of a row is the same row with every token renamed by one fixed-point-free
    permutation of the vocabulary, so structure and period stay and every answer changes.
    """
    tokens, periods = make_batch(n, rng, min_period, max_period)
    order = np.argsort(rng.random((n, VOCAB)), axis=1)
    renamed = np.empty_like(order)
    np.put_along_axis(renamed, order, np.roll(order, 1, axis=1), axis=1)
    return tokens, np.take_along_axis(renamed, tokens, axis=1), periods
