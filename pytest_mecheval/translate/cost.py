"""What asking costs: tokens estimated, a bound per call, and a budget that is never exceeded."""

import functools
import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from pytest_mecheval.errors import UsageError
from pytest_mecheval.translate.asks import Ask, Usage
from pytest_mecheval.translate.request import Settings, request_body

CHARACTERS_PER_TOKEN = 3.5
"""Typical of English with code; the tokenizer itself is not public."""
FEWEST_CHARACTERS_PER_TOKEN = 2.0
"""For the bound: number tables and code are cut finer than prose."""
FRAME_TOKENS = 1_000
"""For the bound: what the service adds around a request to hold the answer to its schema."""
TYPICAL_OUTPUT_TOKENS = 3_200
"""Thinking and answer to one question; assumed, not measured."""
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float

    def cost(self, usage: Usage) -> float:
        """USD for these tokens."""
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_read * self.cache_read
            + usage.cache_write * self.cache_write
        ) / MILLION

    def bound(self, ask: Ask, settings: Settings) -> float:
        """USD that one call costs at most: no cache hit, the longest answer allowed.

        Rests on a token holding FEWEST_CHARACTERS_PER_TOKEN characters or more.
        """
        body = json.dumps(request_body(ask, settings))  # ASCII: other letters count sixfold
        tokens = math.ceil(len(body) / FEWEST_CHARACTERS_PER_TOKEN) + FRAME_TOKENS
        dearest = max(self.input, self.cache_write)
        return (tokens * dearest + settings.max_tokens * self.output) / MILLION


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a set of asks would take."""

    calls: int
    shared_tokens: int
    """Sent with every call, paid once in full and then read from the cache."""
    question_tokens: int
    """Of all calls together."""
    likely: float | None
    """USD; None when the model's price is not known."""
    at_most: float | None
    """USD without repeats after failures; `--mecheval-max-cost` bounds these too."""

    def __str__(self) -> str:
        """One line for readers."""
        tokens = (
            f"{self.calls} calls, about {self.shared_tokens:,} shared tokens each and "
            f"{self.question_tokens:,} tokens of questions"
        )
        if self.likely is None or self.at_most is None:
            return f"{tokens}; price of this model not known"
        return f"{tokens}; likely ${self.likely:.2f}, at most ${self.at_most:.2f} (prices of {price_date()})"


def tokens(text: str) -> int:
    """Estimated tokens of a text.

    >>> tokens("seven characters are two tokens")
    9
    """
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def estimate(asks: Sequence[Ask], settings: Settings) -> Estimate:
    """Tokens and cost of asking all of these."""
    shared = tokens(asks[0].shared) if asks else 0
    question = sum(tokens(ask.question) for ask in asks)
    price = price_of(settings.model)
    if price is None:
        return Estimate(len(asks), shared, question, None, None)
    repeats = max(len(asks) - 1, 0)
    typical = Usage(
        input=question,
        output=len(asks) * min(TYPICAL_OUTPUT_TOKENS, settings.max_tokens),
        cache_read=shared * repeats,
        cache_write=shared,
    )
    at_most = sum(price.bound(ask, settings) for ask in asks)
    return Estimate(len(asks), shared, question, price.cost(typical), at_most)


class Budget:
    """USD that may be spent. A call reserves its bound first and settles what it really cost.

    Raises:
        UsageError: a limit is given and the model's price is not known, so it could not be kept.
    """

    def __init__(self, settings: Settings, limit: float | None = None) -> None:
        self.limit = limit
        self.spent = 0.0
        """USD; calls whose cost is not known count with their bound."""
        self.reserved = 0.0
        """USD of calls under way."""
        self._settings = settings
        self._price = price_of(settings.model)
        if limit is None:
            return
        if not (math.isfinite(limit) and limit >= 0):
            raise UsageError(
                f"maximum cost: {limit} is no amount of money (give USD, such as 2.50)"
            )
        if self._price is None:
            known = ", ".join(sorted(_table()["models"]))
            raise UsageError(
                f"maximum cost: the price of model {settings.model} is not known, so a limit "
                f"cannot be kept (known: {known})"
            )

    def bound(self, ask: Ask) -> float:
        """USD that one call for this ask costs at most; 0 when the price is not known."""
        return self._price.bound(ask, self._settings) if self._price else 0.0

    def fits(self, amount: float) -> bool:
        """Whether a call of this bound may start now."""
        return self.limit is None or self.spent + self.reserved + amount <= self.limit

    def reserve(self, amount: float) -> None:
        """A call starts."""
        self.reserved += amount

    def settle(self, amount: float, usage: Usage | None) -> None:
        """A call ended.

        Args:
            amount: what it had reserved, USD.
            usage: its tokens; None when they are not known.
        """
        self.reserved = max(self.reserved - amount, 0.0)
        self.spent += amount if usage is None or self._price is None else self._price.cost(usage)


def price_of(model: str) -> Price | None:
    """Price of a model, or None when the table does not have it."""
    found = _table()["models"].get(model)
    return Price(**found) if found else None


def price_date() -> str:
    """Day on which the table's prices were true."""
    return str(_table()["date"])


@functools.cache
def _table() -> dict[str, dict[str, dict[str, float]]]:
    text = (resources.files("pytest_mecheval.translate") / "prices.toml").read_text("utf-8")
    return tomllib.loads(text)
