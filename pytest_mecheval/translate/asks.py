"""What a provider is asked and what it gives back: plain data, so that a provider is one small file."""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pytest_mecheval.wire import digest

AskRole = Literal["subject", "finding", "plan"]
"""`subject`: model, tasks, metric of the whole bundle; the others are about one passage."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question about one passage (or about the subject), complete in itself."""

    name: str
    """Stable and readable, a file name: `documentation-41`, `plan-v2-7`, `subject`."""
    role: AskRole
    shared: str
    """Instructions and the bundle's delimited documents: byte-identical over all asks of a bundle."""
    question: str
    """What is asked about this passage alone."""
    schema: Mapping[str, Any]
    """JSON Schema of the answer; the same for all asks, so that the prompt cache holds."""
    prompt_version: str
    """Version of the prompt files."""
    file: str = ""
    """Where the passage stands; empty for the subject."""
    line: int = 0
    text: str = ""
    """The passage, white space normalised."""

    @property
    def key(self) -> str:
        """Hash of everything the answer may depend on; a recorded answer belongs to exactly one key."""
        return digest(
            [self.role, self.shared, self.question, dict(self.schema), self.prompt_version]
        )


class Status(enum.StrEnum):
    """How asking ended; everything but ANSWERED is shown to the reader per passage."""

    ANSWERED = "answered"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"
    """Network, credentials, rate limit or server error after retries."""
    MISSING = "missing"
    """Replay and exchange: nobody has answered this ask yet."""
    UNREADABLE = "unreadable"
    """Exchange: an answer lies there, but it cannot be read; whoever wrote it can correct it."""
    OVER_BUDGET = "over budget"
    """Not asked: it could have cost more than allowed."""

    @property
    def waits(self) -> bool:
        """Whether somebody is expected to answer, so that nothing may be written yet."""
        return self in (Status.MISSING, Status.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply, as the provider counts them."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one ask."""

    ask: Ask
    status: Status
    body: Mapping[str, Any] = field(default_factory=dict)
    """The answer, parsed; checked against the schema by the caller, never believed."""
    detail: str = ""
    """Why there is no answer, in one line."""
    usage: Usage = Usage()


class Provider(Protocol):
    """Answers asks; order and grouping are its own business."""

    name: str
    """As given to `--llm`."""

    def replies(self, asks: Sequence[Ask]) -> Iterator[Reply]:
        """Exactly one reply per ask, as they come in; never raises for what one ask ran into."""
        ...
