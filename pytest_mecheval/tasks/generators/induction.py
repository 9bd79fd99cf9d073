"""Induction: a block of random distinct tokens repeats, and the token after the earlier copy comes again.

Layout: [bos] [prefix] block block block ... cut at `length`. The period varies from row to row, so no
fixed offset predicts the answer. The read position lies where the current token has been seen before.
"""

from dataclasses import dataclass

import numpy as np

from pytest_mecheval.tasks.examples import Tokens
from pytest_mecheval.tasks.parameters import as_tuple, flag, interval, optional_token, refuse, whole
from pytest_mecheval.tasks.registry import Generator
from pytest_mecheval.tasks.sampling import Candidates, distinct_draws, sampler, with_bos

NEW_PERIODS_BEYOND = (2, 3)
"""Default new periods: this many beyond the largest period of `periods`."""


@dataclass(frozen=True)
class InductionParameters:
    """How a repeated sequence is laid out."""

    vocab: int = 64
    """Block tokens have ids below this; `bos` is left out of them."""
    length: int = 48
    """Tokens per prompt, `bos` included."""
    bos: int | None = None
    """Token id put first, or none."""
    periods: tuple[int, int] = (6, 20)
    """Smallest and largest block length, both inclusive."""
    new_periods: tuple[int, int] | None = None
    """Block lengths of stratum new_lengths; by default 2 and 3 beyond the largest of `periods`."""
    prefix: int = 4
    """Stratum distractor: 1 to this many tokens that never repeat stand before the first block."""
    max_previous: int = 1
    """Earlier occurrences of the current token at the read position, at most; 0 lifts the limit.
    With 1, PREV_OCCURRENCE and INDUCTION_TARGET are the only places of their kind."""
    keep_current: bool = False
    """True: the counterfactual shares the current token, so only the token after it differs. Then a
    previous-token head computes the same in both prompts and resampling it shows nothing."""

    def __post_init__(self) -> None:
        """Refuse layouts that cannot exist.

        Raises:
            ValueError: names every parameter that cannot work.
        """
        object.__setattr__(self, "periods", as_tuple(self.periods))
        object.__setattr__(self, "new_periods", as_tuple(self.new_periods))
        refuse(
            whole("vocab", self.vocab, low=4),
            whole("length", self.length, low=4),
            optional_token("bos", self.bos),
            interval("periods", self.periods, low=2),
            "" if self.new_periods is None else interval("new_periods", self.new_periods, low=2),
            whole("prefix", self.prefix, low=1),
            whole("max_previous", self.max_previous, low=0),
            flag("keep_current", self.keep_current),
        )
        problem = self.misfit(self.periods, prefix=0)
        refuse(f"periods: {problem}" if problem else "")

    @property
    def stream(self) -> int:
        """Tokens after `bos`."""
        return self.length - (self.bos is not None)

    @property
    def choices(self) -> int:
        """Tokens a block can hold."""
        return self.vocab - (self.bos is not None and self.bos < self.vocab)

    def misfit(self, periods: tuple[int, int], *, prefix: int) -> str:
        """Why blocks of these lengths cannot be laid out, or ``."""
        longest = periods[1]
        if longest + prefix + 1 > self.stream:
            return (
                f"a block of {longest} does not begin to repeat in a prompt of {self.length} tokens"
            )
        if longest + prefix + 1 > self.choices:
            return f"a block of {longest} needs more than the {self.choices} tokens there are"
        return ""


def _layout(parameters: InductionParameters, stratum: str) -> tuple[tuple[int, int], int]:
    """Range of periods and longest prefix of a stratum."""
    if stratum == "new_lengths":
        nearest, farthest = NEW_PERIODS_BEYOND
        largest = parameters.periods[1]
        return parameters.new_periods or (largest + nearest, largest + farthest), 0
    return parameters.periods, parameters.prefix if stratum == "distractor" else 0


def _missing(parameters: InductionParameters, stratum: str) -> str:
    periods, prefix = _layout(parameters, stratum)
    return parameters.misfit(periods, prefix=prefix)


def _repeat(symbols: Tokens, period: Tokens, prefix: Tokens, stream: int) -> Tokens:
    """Prefix, then the block over and over; symbols hold the block first, then the prefix."""
    place = np.arange(stream)[None, :] - prefix[:, None]
    inside = place % period[:, None]
    # a prefix token at place -k is the k-th symbol behind the block, which the block never uses
    source = np.where(place >= 0, inside, period[:, None] - place - 1)
    return np.take_along_axis(symbols, source, axis=1)


def _propose(
    parameters: InductionParameters, stratum: str, rng: np.random.Generator, rows: int
) -> Candidates:
    periods, longest_prefix = _layout(parameters, stratum)
    period = rng.integers(periods[0], periods[1], size=rows, endpoint=True)
    prefix = (
        rng.integers(1, longest_prefix, size=rows, endpoint=True)
        if longest_prefix
        else np.zeros(rows, dtype=np.int64)
    )
    stream = parameters.stream
    copies = parameters.max_previous + 1 if parameters.max_previous else stream
    first = prefix + period
    read = rng.integers(first, np.minimum(prefix + copies * period, stream))
    width = periods[1] + longest_prefix
    symbols = distinct_draws(rng, rows, width, parameters.choices)
    other = distinct_draws(rng, rows, width, parameters.choices)
    slot = (read - prefix) % period
    row = np.arange(rows)
    current = symbols[row, slot]
    if parameters.keep_current:
        # exchange: where the other block already has the current token, it gets the evicted one
        evicted = other[row, slot]
        other = np.where(other == current[:, None], evicted[:, None], other)
        other[row, slot] = current
        usable = np.ones(rows, dtype=np.bool_)
    else:
        usable = other[row, slot] != current
    after = (slot + 1) % period
    answers, foils = symbols[row, after], other[row, after]
    bos = parameters.bos
    if bos is not None and bos < parameters.vocab:
        symbols, other, answers, foils = (
            ids + (ids >= bos) for ids in (symbols, other, answers, foils)
        )
    shift = int(bos is not None)
    read = read + shift
    return Candidates(
        tokens=with_bos(_repeat(symbols, period, prefix, stream), bos),
        counterfactual=with_bos(_repeat(other, period, prefix, stream), bos),
        answers=answers,
        foils=foils,
        read=read,
        positions={
            "START": np.zeros(rows, dtype=np.int64),
            "PREV_OCCURRENCE": read - period,
            "INDUCTION_TARGET": read - period + 1,
            "PREVIOUS": read - 1,
            "END": read,
        },
        usable=usable,
    )


GENERATOR = Generator(
    name="induction",
    parameters=InductionParameters,
    strata=("fresh", "new_lengths", "distractor"),
    positions=("START", "PREV_OCCURRENCE", "INDUCTION_TARGET", "PREVIOUS", "END"),
    draw=sampler("induction", _propose, _missing),
    missing=_missing,
    doc=__doc__,
)
