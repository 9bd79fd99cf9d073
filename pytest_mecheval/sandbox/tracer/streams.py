"""Standard output, line by line: the numbers printed and the line of code that printed them."""

import re
import sys
import threading
from typing import Any, TextIO

from .state import Recorder

NUMBER = re.compile(r"[-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?%?")
MAX_LINE = 4000
MAX_TEXT = 300
MAX_NUMBERS = 200


def numbers(text: str, limit: int = MAX_NUMBERS) -> list[str]:
    """Number tokens as written, at most `limit`; digits inside words (`h6`) are not numbers.

    >>> numbers("head 1.6: acc 0.953 (+2.1e-3), L1H6, 1,024 rows, 95%")
    ['1.6', '0.953', '+2.1e-3', '1,024', '95%']
    """
    found = []
    for match in NUMBER.finditer(text):
        start, end = match.span()
        if start and (text[start - 1].isalnum() or text[start - 1] == "_"):
            continue
        if end < len(text) and (text[end].isalpha() or text[end] == "_"):
            continue
        found.append(match[0].rstrip(",."))
        if len(found) == limit:
            break
    return found


class Recording:
    """A text stream that passes everything on and notes lines with numbers.

    Not a subclass of a stream: whatever else is asked of it is answered by the real one.
    """

    def __init__(self, stream: TextIO, recorder: Recorder, name: str) -> None:
        self._stream = stream
        self._recorder = recorder
        self._name = name
        self._line = ""
        self._calls: list[str] = []
        self._lock = threading.RLock()
        self.captured: list[str] | None = None
        """While a notebook cell runs: what it wrote."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Pass on and note."""
        if isinstance(text, str):
            with self._lock:
                if self.captured is not None:
                    self.captured.append(text)
                self._note(text)
        return self._stream.write(text)

    def passed_on(self, text: str) -> None:
        """Write without noting."""
        self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        """As `write`, for each."""
        for line in lines:
            self.write(line)

    def _note(self, text: str) -> None:
        if not self._line:
            self._calls = self._recorder.places.stack(sys._getframe(2))
        self._line = (self._line + text)[-MAX_LINE:] if "\n" not in text else self._line + text
        if "\n" in self._line:
            *lines, self._line = self._line.split("\n")
            for line in lines:
                self.note_line(line)
            self._line = self._line[:MAX_LINE]

    def note_line(self, line: str) -> None:
        """Record one finished line if it holds numbers."""
        found = numbers(line[:MAX_LINE])
        if found:
            self._recorder.ledger.add(
                "printed",
                numbers=found,
                text=line[:MAX_TEXT],
                stream=self._name,
                after=self._recorder.last_forward,
                calls=self._calls,
            )

    def finish(self) -> None:
        """The last line, if it has no line break."""
        if self._line:
            self.note_line(self._line)
            self._line = ""
