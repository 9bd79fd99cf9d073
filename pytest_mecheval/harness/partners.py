"""Heads that play the same role, judged by their attention patterns; for joint ablations (self-repair)."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from pytest_mecheval.vocabulary import Component

SAME_ROLE_COSINE = 0.8
"""METHODS 3.4: heads whose patterns agree at least this much share a role."""
MOST_PARTNERS = 3
COSINE_DIGITS = 4
TINY = 1e-12


def roles(patterns: Sequence[Tensor]) -> Mapping[Component, Tensor]:
    """Every head's attention on the same prompts as one unit vector.

    The first query position is left out: it can look nowhere but at itself, in every head.

    Args:
        patterns: attention weights per layer, shape (n, heads, length, length).
    """
    found: dict[Component, Tensor] = {}
    for layer, pattern in enumerate(patterns):
        for head in range(pattern.shape[1]):
            row = pattern[:, head, 1:].flatten()
            found[Component("head", layer, head)] = row / row.norm().clamp_min(TINY)
    return found


def same_role_heads(
    heads: Sequence[Component], known: Mapping[Component, Tensor]
) -> tuple[Component, ...]:
    """Up to three other heads whose attention is nearly that of one of `heads`, most alike first.

    Args:
        heads: the claimed heads.
        known: `roles` of the model.
    """
    alike = [
        (max(float(vector @ known[head]) for head in heads), other)
        for other, vector in known.items()
        if other not in heads
    ]
    close = [(cosine, other) for cosine, other in alike if cosine >= SAME_ROLE_COSINE]
    # Rounded, so that equal patterns are ordered by name on every machine.
    close.sort(key=lambda pair: (-round(pair[0], COSINE_DIGITS), pair[1]))
    return tuple(other for _, other in close[:MOST_PARTNERS])
