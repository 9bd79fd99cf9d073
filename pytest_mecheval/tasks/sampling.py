"""Draws distinct prompt pairs of one split; which split a prompt belongs to is written in its tokens.

Generators propose blocks of candidates; everything they share (split, distinctness, giving up) lives here.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.examples import Examples, Tokens
from pytest_mecheval.wire import Split

CALIBRATION_MODULUS = 5
"""One prompt in five is calibration: 64 of them beside 256 for evaluation (DESIGN section 12)."""
BLOCK = 512
"""Candidates per proposal; fixed, so that a draw of 100 is the beginning of a draw of 256."""
FRUITLESS_BLOCKS = 40
"""Blocks in a row without one new prompt after which the space counts as used up."""
SPARSE_FACTOR = 16
"""Drawing with replacement and redrawing repeats is cheap when choices exceed this times width squared."""


@dataclass(frozen=True)
class Candidates:
    """Proposed pairs, columns as in `Examples`; some may turn out unusable."""

    tokens: Tokens
    counterfactual: Tokens
    answers: Tokens
    foils: Tokens
    read: Tokens
    positions: Mapping[str, Tokens] = field(default_factory=dict)
    clusters: Tokens | None = None
    usable: NDArray[np.bool_] | None = None
    """Rows that satisfy the task's own conditions, shape (n,); None means all."""

    def take(self, rows: Tokens) -> "Candidates":
        """The chosen rows, in that order."""
        return Candidates(
            tokens=self.tokens[rows],
            counterfactual=self.counterfactual[rows],
            answers=self.answers[rows],
            foils=self.foils[rows],
            read=self.read[rows],
            positions={name: column[rows] for name, column in self.positions.items()},
            clusters=None if self.clusters is None else self.clusters[rows],
        )

    def examples(self, *, exhaustive: bool = False) -> Examples:
        """The same columns as a checked block.

        Raises:
            SubjectError: a column is misshapen or an answer equals its foil.
        """
        return Examples(
            tokens=self.tokens,
            counterfactual=self.counterfactual,
            answers=self.answers,
            foils=self.foils,
            read=self.read,
            positions=self.positions,
            clusters=self.clusters,
            exhaustive=exhaustive,
        )


Propose = Callable[[np.random.Generator, int], Candidates]
"""(rng, how many) -> that many candidate pairs."""
P = TypeVar("P")
ProposeFor = Callable[[P, str, np.random.Generator, int], Candidates]
"""(parameters, stratum, rng, how many) -> that many candidate pairs."""


def row_bytes(tokens: Tokens) -> list[bytes]:
    """Each prompt as bytes that are the same on every machine; tokens has shape (n, length)."""
    return [row.tobytes() for row in np.ascontiguousarray(tokens, dtype="<i8")]


def is_calibration(prompt: bytes) -> bool:
    """Whether a prompt (see `row_bytes`) belongs to the calibration split, else to evaluation."""
    value = hashlib.blake2b(prompt, digest_size=8).digest()
    return int.from_bytes(value, "little") % CALIBRATION_MODULUS == 0


def sample(
    propose: Propose, split: Split, n: int, rng: np.random.Generator, *, place: str
) -> Examples:
    """Distinct pairs whose clean prompts all belong to `split`.

    Args:
        propose: the task's own distribution.
        split: which side of the token hash to keep.
        n: how many pairs, at least 1.
        rng: the only source of randomness; equal states give equal prompts.
        place: what is being drawn, for the error text.

    Raises:
        SubjectError: fewer than n distinct prompts were found; says how many.
    """
    return collect(propose, split, n, rng, place=place).examples()


def sampler(
    name: str, propose: ProposeFor[P], missing: Callable[[P, str], str]
) -> Callable[[P, str, Split, int, np.random.Generator], Examples]:
    """The `draw` of a generator that proposes one kind of candidate and has nothing to enumerate."""

    def draw(
        parameters: P, stratum: str, split: Split, n: int, rng: np.random.Generator
    ) -> Examples:
        place = f"{name}, stratum {stratum}"
        if reason := missing(parameters, stratum):
            raise SubjectError(f"{place}: {reason}")
        return sample(partial(propose, parameters, stratum), split, n, rng, place=place)

    return draw


def collect(
    propose: Propose, split: Split, n: int, rng: np.random.Generator, *, place: str
) -> Candidates:
    """As `sample`, but as columns that can be joined with others before they are checked."""
    if n < 1:
        raise SubjectError(f"{place}: {n} prompts requested, need at least 1")
    seen: set[bytes] = set()
    kept: list[Candidates] = []
    fruitless = 0
    while len(seen) < n:
        block = propose(rng, BLOCK)
        usable = block.answers != block.foils
        if block.usable is not None:
            usable &= block.usable
        rows: list[int] = []
        for row, prompt in enumerate(row_bytes(block.tokens)):
            if len(seen) == n:
                break
            if not usable[row] or prompt in seen:
                continue
            if is_calibration(prompt) != (split == "calibration"):
                continue
            seen.add(prompt)
            rows.append(row)
        if rows:
            kept.append(block.take(np.array(rows, dtype=np.int64)))
            fruitless = 0
        else:
            fruitless += 1
        if fruitless == FRUITLESS_BLOCKS:
            raise SubjectError(
                f"{place}: only {len(seen)} distinct {split} prompts exist with these parameters "
                f"({FRUITLESS_BLOCKS * BLOCK} further draws found no new one), need {n}; "
                "widen the parameters"
            )
    return joined(kept)


def joined(blocks: list[Candidates]) -> Candidates:
    """Several blocks of equal length and equal named positions, one after the other."""
    clusters = [block.clusters for block in blocks if block.clusters is not None]
    return Candidates(
        tokens=np.concatenate([block.tokens for block in blocks]),
        counterfactual=np.concatenate([block.counterfactual for block in blocks]),
        answers=np.concatenate([block.answers for block in blocks]),
        foils=np.concatenate([block.foils for block in blocks]),
        read=np.concatenate([block.read for block in blocks]),
        positions={
            name: np.concatenate([block.positions[name] for block in blocks])
            for name in blocks[0].positions
        },
        clusters=np.concatenate(clusters) if clusters else None,
    )


def distinct_draws(rng: np.random.Generator, rows: int, width: int, choices: int) -> Tokens:
    """Uniform ordered samples without replacement.

    Args:
        rng: source of randomness.
        rows: independent samples.
        width: numbers per sample, at most `choices`.
        choices: numbers are drawn from range(choices).

    Returns:
        Shape (rows, width); no number occurs twice in a row.
    """
    if choices <= SPARSE_FACTOR * width * width:
        order = np.argsort(rng.random((rows, choices)), axis=1)
        return order[:, :width].astype(np.int64)
    drawn = rng.integers(choices, size=(rows, width), dtype=np.int64)
    while True:
        ordered = np.sort(drawn, axis=1)
        repeated = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        if repeated.size == 0:
            return drawn
        drawn[repeated] = rng.integers(choices, size=(repeated.size, width), dtype=np.int64)


def with_bos(tokens: Tokens, bos: int | None) -> Tokens:
    """Prompts with the beginning-of-sequence token in front; unchanged when there is none."""
    if bos is None:
        return tokens
    front = np.full((tokens.shape[0], 1), bos, dtype=np.int64)
    return np.concatenate([front, tokens], axis=1)
