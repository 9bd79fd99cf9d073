"""Heads that play the same role, judged by their attention patterns; for joint ablations (self-repair)."""

from collections.abc import Sequence

from torch import Tensor

from pytest_mecheval.vocabulary import Component

SAME_ROLE_COSINE = 0.8
"""METHODS 3.4: heads whose patterns agree at least this much share a role."""
MOST_PARTNERS = 3


def same_role_heads(
    heads: Sequence[Component], patterns: Sequence[Tensor]
) -> tuple[Component, ...]:
    """Up to three other heads whose attention is nearly that of one of `heads`, most alike first.

    The first query position is left out: it can look nowhere but at itself, in every head.

    Args:
        heads: the claimed heads.
        patterns: attention weights per layer on the same prompts, shape (n, heads, length, length).
    """
    flat = {
        Component("head", layer, head): pattern[:, head, 1:].flatten()
        for layer, pattern in enumerate(patterns)
        for head in range(pattern.shape[1])
    }
    unit = {head: row / row.norm().clamp_min(1e-12) for head, row in flat.items()}
    alike = [
        (max(float(unit[other] @ unit[head]) for head in heads), other)
        for other in unit
        if other not in heads
    ]
    close = [(cosine, other) for cosine, other in alike if cosine >= SAME_ROLE_COSINE]
    close.sort(key=lambda pair: (-pair[0], pair[1]))
    return tuple(other for _, other in close[:MOST_PARTNERS])
