"""How long asking the model service may take, and how often it is tried."""

import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """All times in seconds."""

    call: float = 240.0
    """One call from connecting to the last byte, however steadily the bytes drip."""
    idle: float = 60.0
    """Without a single byte; the service sends a sign of life every few seconds."""
    connect: float = 15.0
    overall: float = 1800.0
    """All asks together; what is not answered by then is timed out."""
    tries: int = 4
    """Calls per ask, the first included."""
    first_wait: float = 1.0
    """Before the second try; doubled before each further one."""
    longest_wait: float = 60.0
    """Before any try, whatever the service asks for."""
    concurrency: int = 4
    """Calls at a time, once the first has filled the prompt cache."""

    def wait(self, tried: int, asked: float | None, name: str) -> float:
        """Seconds before the next try.

        Args:
            tried: calls so far, at least 1.
            asked: what the service asked for, seconds; None when it did not say.
            name: of the ask; spreads the waits, the same way in every run.
        """
        if asked is not None:
            return min(max(asked, 0.0), self.longest_wait)
        spread = 0.75 + 0.25 * (zlib.crc32(name.encode()) % 100) / 100
        return min(self.first_wait * 2.0 ** (tried - 1), self.longest_wait) * spread
