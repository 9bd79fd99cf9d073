"""What every generator yields: clean and counterfactual prompts with answers and named positions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_mecheval.errors import SubjectError

Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """A block of prompt pairs of equal length; row i of every array belongs to pair i."""

    tokens: Tokens
    """Clean prompts, shape (n, length)."""
    counterfactual: Tokens
    """Same structure, different answer, shape (n, length)."""
    answers: Tokens
    """Correct token of the clean prompt, shape (n,)."""
    foils: Tokens
    """The contrast token of logit_diff (where sensible the counterfactual's answer), shape (n,); never equal to answers."""
    read: Tokens
    """Position whose logits are read, shape (n,)."""
    positions: Mapping[str, Tokens] = field(default_factory=dict)
    """Named positions, each shape (n,); the same index means the same role in clean and counterfactual."""
    clusters: Tokens | None = None
    """Cluster of each pair, shape (n,); None when pairs are independent draws."""
    exhaustive: bool = False
    """True when these are all inputs there are."""

    def __post_init__(self) -> None:
        """Refuse misshapen blocks.

        Raises:
            SubjectError: names the array and the shape it should have.
        """
        if self.tokens.ndim != 2 or self.tokens.shape[0] == 0:
            raise SubjectError(
                f"empty task: tokens have shape {self.tokens.shape}, need (n >= 1, length)"
            )
        n, length = self.tokens.shape
        if self.counterfactual.shape != (n, length):
            raise SubjectError(
                f"counterfactual has shape {self.counterfactual.shape}, need {(n, length)}"
            )
        columns = {
            "answers": self.answers,
            "foils": self.foils,
            "read": self.read,
            **self.positions,
        }
        for name, column in columns.items():
            if column.shape != (n,):
                raise SubjectError(f"{name} has shape {column.shape}, need {(n,)}")
        for name, column in {"read": self.read, **self.positions}.items():
            if column.min() < 0 or column.max() >= length:
                raise SubjectError(f"{name} points outside the prompt (length {length})")
        if bool((self.answers == self.foils).any()):
            raise SubjectError("an answer equals its foil, so logit_diff has no meaning there")
