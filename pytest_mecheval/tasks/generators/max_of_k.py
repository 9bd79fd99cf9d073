"""Maximum of a list: k numbers, the answer is the largest; it occurs once, so it has one position.

Layout: [bos] x1 ... xk [end]. Numbers are their own token ids. The counterfactual is another list whose
maximum lies at the same index.
"""

from dataclasses import dataclass

import numpy as np

from pytest_mecheval.tasks.examples import Tokens
from pytest_mecheval.tasks.parameters import different, optional_token, refuse, whole
from pytest_mecheval.tasks.registry import Generator
from pytest_mecheval.tasks.sampling import Candidates, sampler, with_bos


@dataclass(frozen=True)
class MaxOfKParameters:
    """How long the lists are and which numbers they hold."""

    vocab: int = 64
    """Numbers 0 to vocab - 1 are their own token ids."""
    k: int = 6
    """Numbers per list."""
    new_k: int = 4
    """Numbers per list in stratum new_lengths; shorter by default, so that it fits the same context."""
    end: int | None = None
    """Token id put last, where the answer is read; without it the last number is the read position."""
    bos: int | None = None
    """Token id put first, or none."""

    def __post_init__(self) -> None:
        """Refuse lists that cannot exist.

        Raises:
            ValueError: names every parameter that cannot work.
        """
        refuse(
            whole("vocab", self.vocab, low=3),
            whole("k", self.k, low=2),
            whole("new_k", self.new_k, low=2),
            optional_token("end", self.end),
            optional_token("bos", self.bos),
        )
        refuse(
            *(
                f"{name}: token id {token} is a number, ids below vocab = {self.vocab} are taken"
                for name, token in (("end", self.end), ("bos", self.bos))
                if token is not None and token < self.vocab
            ),
            different(end=self.end, bos=self.bos),
        )


def _missing(parameters: MaxOfKParameters, stratum: str) -> str:
    if stratum == "new_lengths" and parameters.new_k == parameters.k:
        return f"new_k = {parameters.new_k} is not new, choose another than k"
    return ""


def _near_runner_up(values: Tokens, largest: Tokens, rng: np.random.Generator) -> None:
    """Put the largest number minus one at another place of every list, in place."""
    rows, k = values.shape
    row = np.arange(rows)
    at = (values.argmax(axis=1) + rng.integers(1, k, size=rows)) % k
    values[row, at] = np.maximum(largest - 1, 0)


def _propose(
    parameters: MaxOfKParameters, stratum: str, rng: np.random.Generator, rows: int
) -> Candidates:
    k = parameters.new_k if stratum == "new_lengths" else parameters.k
    row = np.arange(rows)
    clean = rng.integers(parameters.vocab, size=(rows, k), dtype=np.int64)
    other = rng.integers(parameters.vocab, size=(rows, k), dtype=np.int64)
    at, elsewhere = clean.argmax(axis=1), other.argmax(axis=1)
    # the same index must mean the same role in both prompts: swap the other maximum into place
    evicted = other[row, at]
    other[row, at] = other[row, elsewhere]
    other[row, elsewhere] = np.where(at == elsewhere, other[row, elsewhere], evicted)
    usable = np.ones(rows, dtype=np.bool_)
    for values in (clean, other):
        largest = values.max(axis=1)
        usable &= (values == largest[:, None]).sum(axis=1) == 1
        if stratum == "distractor":
            _near_runner_up(values, largest, rng)
    shift = int(parameters.bos is not None)
    last = shift + k - (parameters.end is None)
    end = np.full(rows, last, dtype=np.int64)
    if parameters.end is not None:
        column = np.full((rows, 1), parameters.end, dtype=np.int64)
        prompts = [np.concatenate([values, column], axis=1) for values in (clean, other)]
    else:
        prompts = [clean, other]
    return Candidates(
        tokens=with_bos(prompts[0], parameters.bos),
        counterfactual=with_bos(prompts[1], parameters.bos),
        answers=clean.max(axis=1),
        foils=other.max(axis=1),
        read=end,
        positions={"MAX": at.astype(np.int64) + shift, "END": end},
        usable=usable,
    )


GENERATOR = Generator(
    name="max_of_k",
    parameters=MaxOfKParameters,
    strata=("fresh", "new_lengths", "distractor"),
    positions=("MAX", "END"),
    draw=sampler("max_of_k", _propose, _missing),
    missing=_missing,
    doc=__doc__,
)
