"""Prompts inside the sandbox, and what calibration prompts are for: means, and heads that play the same role."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .edits import NO_PATTERNS, Impossible
from .frames import Request
from .subject import Key, Subject, Trace

CHUNK_TOKENS = 8192
"""Prompts times length of one forward pass."""
SAME_ROLE_COSINE = 0.8
MOST_PARTNERS = 3
COSINE_DIGITS = 4
TINY = 1e-12


@dataclass
class Prompts:
    """One set of prompts: tokens on both sides, and columns of positions."""

    clean: Tensor
    other: Tensor
    columns: dict[str, Tensor]

    def tokens(self, base: str) -> Tensor:
        return self.clean if base == "clean" else self.other


def prompts_named(request: Request, name: str) -> Prompts:
    """The prompts sent under a name."""
    columns = {}
    for key, (_, shape, content) in request.tensors.items():
        if key.startswith(f"{name}."):
            tensor = torch.frombuffer(content, dtype=torch.int64).reshape(shape)
            columns[key[len(name) + 1 :]] = tensor
    return Prompts(columns.pop("clean"), columns.pop("other"), columns)


def rows_of(tokens: Tensor) -> int:
    """Prompts of one forward pass."""
    return max(1, CHUNK_TOKENS // max(1, tokens.shape[1]))


def chunks(tokens: Tensor) -> Iterator[Tensor]:
    """All prompts, one forward pass at a time."""
    step = rows_of(tokens)
    for at in range(0, len(tokens), step):
        yield tokens[at : at + step]


class Calibration:
    """What the calibration prompts are for: means per position, and heads that play the same role."""

    def __init__(self, subject: Subject, prompts: Prompts) -> None:
        self._subject = subject
        self.prompts = prompts
        self._means: dict[tuple[str, Key], Tensor] = {}
        self._roles: dict[tuple[int, int], Tensor] | None = None

    def mean(self, base: str, keys: set[Key]) -> Trace:
        """Per-position means of components, (1, length, ...)."""
        missing = {key for key in keys if (base, key) not in self._means}
        if missing:
            tokens = self.prompts.tokens(base)
            sums: Trace = {}
            for chunk in chunks(tokens):
                found, _, _ = self._subject.trace(chunk, missing)
                for key, value in found.items():
                    sums[key] = sums.get(key, 0) + value.double().sum(0, keepdim=True)
            for key, total in sums.items():
                self._means[base, key] = (total / len(tokens)).float()
        return {key: self._means[base, key] for key in keys}

    def partners(self, heads: set[tuple[int, int]]) -> list[tuple[int, int]]:
        """Up to three other heads with nearly the same attention as one of `heads`, most alike first.

        Raises:
            Impossible: attention weights cannot be seen in this model.
        """
        if not heads:
            return []
        if self._roles is None:
            self._roles = self._looked_at()
        roles = self._roles
        alike = [
            (max(float(vector @ roles[head]) for head in heads), other)
            for other, vector in roles.items()
            if other not in heads
        ]
        close = [(cosine, other) for cosine, other in alike if cosine >= SAME_ROLE_COSINE]
        close.sort(key=lambda pair: (-round(pair[0], COSINE_DIGITS), pair[1]))
        return [other for _, other in close[:MOST_PARTNERS]]

    def _looked_at(self) -> dict[tuple[int, int], Tensor]:
        tokens = self.prompts.clean
        rows: dict[tuple[int, int], list[Tensor]] = {}
        for chunk in chunks(tokens):
            _, _, patterns = self._subject.trace(chunk, set(), watch=True)
            if not patterns:
                raise Impossible(NO_PATTERNS)
            for layer, pattern in enumerate(patterns):
                for head in range(pattern.shape[1]):
                    rows.setdefault((layer, head), []).append(pattern[:, head, 1:].flatten())
        whole = {head: torch.cat(parts) for head, parts in rows.items()}
        return {head: row / row.norm().clamp_min(TINY) for head, row in whole.items()}
