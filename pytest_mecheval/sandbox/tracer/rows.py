"""The ledger file: one JSON object per line, append-only, chained by hash, bounded in size."""

import hashlib
import json
import os
import sys
import threading
import time
from collections import Counter
from typing import Any

FORMAT = 1
"""Raised whenever a row changes meaning; the parent refuses other formats."""
HASH_BYTES = 16
"""Length of every hash in the ledger: 128 bits, written as 32 hex digits."""
MAX_LEDGER_BYTES = 32 * 2**20
"""Rows beyond this are counted, not written."""
RESERVED_BYTES = 256 * 2**10
"""Kept free for the closing rows, so that a full ledger still ends properly."""
MAX_ROW_BYTES = 60_000
MAX_ROWS_PER_TYPE = 50_000
MAX_SHARE_PER_TYPE = 0.4
"""Of the file, so that long lists of inputs do not crowd out forwards and edits."""
CLOSING_TYPES = frozenset({"truncated", "totals", "end", "sham", "model", "cell"})
"""Rows that may use the reserved space."""


def chain_start(nonce: str) -> str:
    """The hash before the first row.

    >>> len(chain_start("abc"))
    32
    """
    return hashlib.blake2b(f"ledger {FORMAT} {nonce}".encode(), digest_size=HASH_BYTES).hexdigest()


def chain_next(previous: str, body: bytes) -> str:
    """The hash of a row: over the hash before it and the row's JSON text without its own hash."""
    return hashlib.blake2b(previous.encode() + body, digest_size=HASH_BYTES).hexdigest()


_OWN = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - compared with the names of code objects
MAX_CALLER = 200


class Ledger:
    """Writes rows to one file, unbuffered: what was written survives `os._exit` and a kill.

    Args:
        path: created, or emptied; opened for appending.
        nonce: chosen by whoever reads the ledger later; starts the hash chain.
        max_bytes: size limit of the file.
    """

    def __init__(self, path: str, nonce: str, max_bytes: int = MAX_LEDGER_BYTES) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(path, flags, 0o600)
        status = os.fstat(self._file)
        self._identity = (status.st_dev, status.st_ino)
        self._previous = chain_start(nonce)
        self._lock = threading.RLock()
        self._began = time.perf_counter()
        self._max_bytes = max_bytes
        self.bytes = 0
        self.count = 0
        self.dropped: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()
        self._announced: set[str] = set()
        self.enabled = True

    def add(self, row_type: str, **fields: Any) -> bool:
        """Append one row; False when it was dropped because a limit is reached.

        Called from code that is not the recorder's, it appends a row that says so instead.
        """
        if not self.enabled:
            return False
        caller = sys._getframe(1).f_code.co_filename
        if not caller.startswith(_OWN):
            row_type, fields = "intruder", {"by": caller[-MAX_CALLER:]}
        with self._lock:
            room = self._max_bytes - (0 if row_type in CLOSING_TYPES else RESERVED_BYTES)
            if self._written[row_type] >= MAX_ROWS_PER_TYPE or self.bytes >= room:
                return self._drop(row_type)
            body = self._encode(row_type, fields)
            if len(body) > MAX_ROW_BYTES:
                return self._drop(row_type)
            digest = chain_next(self._previous, body)
            line = body[:-1] + b',"h":"' + digest.encode() + b'"}\n'
            share = MAX_SHARE_PER_TYPE * self._max_bytes
            if self.bytes + len(line) > room or self._sizes[row_type] + len(line) > share:
                return self._drop(row_type)
            return self._write(row_type, digest, line)

    def _encode(self, row_type: str, fields: dict[str, Any]) -> bytes:
        seconds = round(time.perf_counter() - self._began, 6)
        row = {"n": self.count, "s": seconds, "t": row_type, **fields}
        return json.dumps(row, separators=(",", ":"), default=str).encode("ascii", "replace")

    def _write(self, row_type: str, digest: str, line: bytes) -> bool:
        try:
            status = os.fstat(self._file)
            ours = (status.st_dev, status.st_ino) == self._identity
            self.enabled = ours and os.write(self._file, line) == len(line)
        except OSError:
            self.enabled = False
        if not self.enabled:
            # Someone closed our descriptor, or the disk is full. Writing on could damage other files.
            return False
        self._previous = digest
        self.bytes += len(line)
        self.count += 1
        self._written[row_type] += 1
        self._sizes[row_type] += len(line)
        return True

    def _drop(self, row_type: str) -> bool:
        self.dropped[row_type] += 1
        if row_type not in self._announced:
            self._announced.add(row_type)
            self.add("truncated", of=row_type, after=self._written[row_type])
        return False

    def seconds(self) -> float:
        """Wall seconds since the ledger was opened."""
        return time.perf_counter() - self._began
