"""Requests in, answers out: magic, header length, JSON header, tensors back to back (see `sandbox.channel`)."""

import json
import math
import os
import struct
from typing import Any

MAGIC = b"tensors1"
PREFIX = struct.Struct("<8sQ")
ITEM_BYTES = {"F32": 4, "F64": 8, "I64": 8, "U8": 1, "BOOL": 1}
MAX_ERROR = 200

Listed = list[tuple[str, str, tuple[int, ...], bytes]]
"""Name, type, shape and content of each tensor of an answer."""


class Unanswerable(Exception):
    """The bundle's code does not fit the question; the text goes to the reader."""


class Request:
    """What is asked, and the tensors it comes with."""

    def __init__(self, handle: int) -> None:
        content = os.pread(handle, os.fstat(handle).st_size, 0)
        _, length = PREFIX.unpack(content[: PREFIX.size])
        at = PREFIX.size + length
        self.header: dict[str, Any] = json.loads(content[PREFIX.size : at])
        self.tensors: dict[str, tuple[str, tuple[int, ...], bytearray]] = {}
        """Type, shape and content by name."""
        for entry in self.header["tensors"]:
            shape = tuple(entry["shape"])
            size = ITEM_BYTES[entry["dtype"]] * math.prod(shape)
            part = bytearray(content[at : at + size])
            self.tensors[entry["name"]] = entry["dtype"], shape, part
            at += size


def send(handle: int, header: dict[str, Any], tensors: Listed, error: str = "") -> None:
    """Write an answer, its first bytes last: half an answer is none.

    Raises:
        Unanswerable: it is larger than the block of memory it goes to.
    """
    listed = [{"name": n, "dtype": d, "shape": list(s)} for n, d, s, _ in tensors]
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in error)[:MAX_ERROR]
    body = {"nonce": header["nonce"], "case": header["case"], "error": shown, "tensors": listed}
    text = json.dumps(body).encode()
    size = PREFIX.size + len(text) + sum(len(part) for *_, part in tensors)
    if size > os.fstat(handle).st_size:
        raise Unanswerable(f"the answer has {size} bytes, more than fit")
    at = PREFIX.size
    for part in (text, *(content for *_, content in tensors)):
        view = memoryview(part)
        while view:
            written = os.pwrite(handle, view, at)
            view, at = view[written:], at + written
    os.pwrite(handle, PREFIX.pack(MAGIC, len(text)), 0)
