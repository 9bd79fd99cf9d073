"""Bracket balance: is the string balanced? Answer and foil are the two class tokens.

Layout: [bos] brackets [end]. Half of the prompts are balanced, uniformly among balanced strings; the
others have either one bracket turned round or the right counts in a wrong order, so that counting alone
is not enough. The counterfactual is an independent string of the other class and the same length.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.examples import Examples, Tokens
from pytest_mecheval.tasks.parameters import different, optional_token, refuse, whole
from pytest_mecheval.tasks.registry import Generator
from pytest_mecheval.tasks.sampling import Candidates, collect, joined, with_bos
from pytest_mecheval.wire import Split

WRONG_COUNT_SHARE = 0.5
"""Of the unbalanced strings, how many differ in counts; the rest only in order."""
SHORTEST = 4
"""Shortest string of equal counts with more than one arrangement of either class."""


@dataclass(frozen=True)
class BracketsParameters:
    """How long the strings are, and the token ids."""

    length: int = 20
    """Brackets per prompt, even."""
    new_length: int = 16
    """Brackets per prompt in stratum new_lengths, even; shorter, so that it fits the same context."""
    open: int = 0
    """Token id of the opening bracket."""
    close: int = 1
    """Token id of the closing bracket."""
    end: int | None = 2
    """Token id put last, where the class is read; without it the last bracket is the read position."""
    balanced: int = 3
    """Answer token of a balanced string."""
    unbalanced: int = 4
    """Answer token of an unbalanced string."""
    bos: int | None = None
    """Token id put first, or none."""

    def __post_init__(self) -> None:
        """Refuse strings that cannot exist.

        Raises:
            ValueError: names every parameter that cannot work.
        """
        refuse(
            whole("length", self.length, low=SHORTEST),
            whole("new_length", self.new_length, low=SHORTEST),
            *(whole(name, getattr(self, name), low=0) for name in ("open", "close")),
            *(whole(name, getattr(self, name), low=0) for name in ("balanced", "unbalanced")),
            optional_token("end", self.end),
            optional_token("bos", self.bos),
        )
        refuse(
            *(
                f"{name}: {size} is odd, so no string of that length is balanced"
                for name, size in (("length", self.length), ("new_length", self.new_length))
                if size % 2
            ),
            different(open=self.open, close=self.close, end=self.end, bos=self.bos),
            different(balanced=self.balanced, unbalanced=self.unbalanced),
        )


def _missing(parameters: BracketsParameters, stratum: str) -> str:
    if stratum == "new_lengths" and parameters.new_length == parameters.length:
        return f"new_length = {parameters.new_length} is not new, choose another than length"
    return ""


def _shuffled_steps(rng: np.random.Generator, rows: int, ups: int, downs: int) -> Tokens:
    """Random arrangements of `ups` times +1 and `downs` times -1, shape (rows, ups + downs)."""
    steps = np.concatenate([np.ones(ups, dtype=np.int64), -np.ones(downs, dtype=np.int64)])
    return rng.permuted(np.tile(steps, (rows, 1)), axis=1)


def _balanced(rng: np.random.Generator, rows: int, length: int) -> Tokens:
    """Uniform balanced strings as steps +1 and -1, shape (rows, length).

    Cycle lemma: an arrangement of n ups and n + 1 downs has exactly one rotation that stays at or
    above zero until its last step (Dvoretzky and Motzkin 1947); without that step it is balanced.
    """
    steps = _shuffled_steps(rng, rows, length // 2, length // 2 + 1)
    start = steps.cumsum(axis=1).argmin(axis=1) + 1
    order = (start[:, None] + np.arange(length)[None, :]) % (length + 1)
    return np.take_along_axis(steps, order, axis=1)


def _is_balanced(steps: Tokens) -> NDArray[np.bool_]:
    height = steps.cumsum(axis=1)
    return np.asarray((height.min(axis=1) >= 0) & (height[:, -1] == 0))


def _unbalanced(
    rng: np.random.Generator, rows: int, length: int, *, only_order: bool
) -> tuple[Tokens, NDArray[np.bool_]]:
    """Unbalanced strings as steps, and which rows came out unbalanced as wanted."""
    wrong_order = _shuffled_steps(rng, rows, length // 2, length // 2)
    wrong_count = _balanced(rng, rows, length)
    turned = rng.integers(length, size=rows)
    wrong_count[np.arange(rows), turned] *= -1
    by_count = rng.random(rows) < WRONG_COUNT_SHARE
    if only_order:
        by_count[:] = False
    steps = np.where(by_count[:, None], wrong_count, wrong_order)
    return steps, ~_is_balanced(steps)


def _propose(
    parameters: BracketsParameters,
    stratum: str,
    rng: np.random.Generator,
    rows: int,
    *,
    balanced: bool,
) -> Candidates:
    length = parameters.new_length if stratum == "new_lengths" else parameters.length
    good = _balanced(rng, rows, length)
    bad, usable = _unbalanced(rng, rows, length, only_order=stratum == "distractor")
    classes = (parameters.balanced, parameters.unbalanced)
    pair = (good, bad)
    if not balanced:
        classes, pair = classes[::-1], pair[::-1]
    shift = int(parameters.bos is not None)
    last = shift + length - 1
    end = np.full(rows, last + (parameters.end is not None), dtype=np.int64)
    return Candidates(
        tokens=_spell(parameters, pair[0]),
        counterfactual=_spell(parameters, pair[1]),
        answers=np.full(rows, classes[0], dtype=np.int64),
        foils=np.full(rows, classes[1], dtype=np.int64),
        read=end,
        positions={
            "FIRST": np.full(rows, shift, dtype=np.int64),
            "LAST": np.full(rows, last, dtype=np.int64),
            "END": end,
        },
        usable=usable,
    )


def _spell(parameters: BracketsParameters, steps: Tokens) -> Tokens:
    """Steps as token ids, with the special tokens around them."""
    tokens = np.where(steps > 0, parameters.open, parameters.close).astype(np.int64)
    if parameters.end is not None:
        column = np.full((tokens.shape[0], 1), parameters.end, dtype=np.int64)
        tokens = np.concatenate([tokens, column], axis=1)
    return with_bos(tokens, parameters.bos)


def _draw(
    parameters: BracketsParameters, stratum: str, split: Split, n: int, rng: np.random.Generator
) -> Examples:
    if reason := _missing(parameters, stratum):
        raise SubjectError(f"brackets, stratum {stratum}: {reason}")
    if n < 2:
        raise SubjectError(f"brackets: {n} prompts requested, need at least one of each class")
    # each class has its own stream and quota: else a scarce class would run out unnoticed
    streams = [np.random.default_rng(int(seed)) for seed in rng.integers(2**63 - 1, size=2)]
    classes = []
    for stream, balanced, quota in zip(streams, (True, False), ((n + 1) // 2, n // 2), strict=True):
        word = "balanced" if balanced else "unbalanced"
        classes.append(
            collect(
                partial(_propose, parameters, stratum, balanced=balanced),
                split,
                quota,
                stream,
                place=f"brackets, stratum {stratum}, {word} strings",
            )
        )
    alternating = np.argsort(
        np.concatenate([np.arange(c.answers.size) for c in classes]), kind="stable"
    )
    return joined(classes).take(alternating).examples()


GENERATOR = Generator(
    name="brackets",
    parameters=BracketsParameters,
    strata=("fresh", "new_lengths", "distractor"),
    positions=("FIRST", "LAST", "END"),
    draw=_draw,
    missing=_missing,
    doc=__doc__,
)
