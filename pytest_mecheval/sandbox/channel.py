"""The one way measured numbers leave the sandbox: named tensors in a sealed block of memory, checked bit by bit.

Whatever runs inside shares its process with the bundle's code, so nothing in here is proof of who wrote
it: the nonce only rejects stale answers. Trust comes from what is asked (inputs we chose, labels never
sent) and from computing metrics outside. So this side accepts numbers of the names, types and shapes it
expects and nothing else: no pickle, no objects, no text but one short error.

Layout, little endian: 8 bytes magic, 8 bytes header length, header (JSON), tensors back to back.
"""

import contextlib
import fcntl
import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.json_hooks import no_constant, unique_keys
from pytest_mecheval.errors import SubjectError

MAGIC = b"tensors1"
PREFIX = struct.Struct("<8sQ")
MAX_HEADER_BYTES = 2**20
MAX_TENSORS = 4096
MAX_AXES = 8
MAX_ERROR = 200
"""Characters of the one text an answer may hold."""
DTYPES: Mapping[str, str] = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "|u1", "BOOL": "|b1"}
"""Types a tensor may have, and what numpy calls them."""
ANSWER_KEYS = {"nonce", "case", "error", "tensors"}
TENSOR_KEYS = {"name", "dtype", "shape"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")
_KEPT_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW

Array = NDArray[Any]


class MalformedMeasurement(SubjectError):
    """What came out of the sandbox is not the measurement that was asked for."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One tensor the parent waits for."""

    dtypes: tuple[str, ...]
    """Allowed names of DTYPES."""
    shape: tuple[int | None, ...]
    """Exact sizes; None where the parent does not know, then bounded by the answer's byte cap."""
    required: bool = True
    finite: bool = True
    """Refuse NaN and infinity."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A checked answer."""

    tensors: Mapping[str, Array]
    error: str = ""
    """The bundle's own failure, printable ASCII; then there are no tensors."""


def pack(header: Mapping[str, Any], tensors: Mapping[str, Array]) -> bytes:
    """The bytes of a request: `header` with a list of what `tensors` hold, then their content.

    Raises:
        KeyError: an array of a type that is not in DTYPES.
    """
    names = {np.dtype(text): name for name, text in DTYPES.items()}
    listed, parts = [], []
    for name, array in tensors.items():
        listed.append({"name": name, "dtype": names[array.dtype], "shape": list(array.shape)})
        parts.append(np.ascontiguousarray(array).tobytes())
    text = json.dumps({**header, "tensors": listed}).encode()
    return b"".join([PREFIX.pack(MAGIC, len(text)), text, *parts])


@contextlib.contextmanager
def memory(content: bytes = b"", *, size: int = 0) -> Iterator[int]:
    """A descriptor of a block of memory that can neither grow nor shrink, closed afterwards.

    Args:
        content: what it holds; it is then read-only.
        size: bytes of an empty block to be written; memory is used only where something is written.
    """
    handle = os.memfd_create("block", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(handle, len(content) or size)
        view = memoryview(content)
        while view:
            view = view[os.pwrite(handle, view, len(content) - len(view)) :]
        seals = _KEPT_SIZE | (fcntl.F_SEAL_WRITE if content else 0)
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, seals)
        yield handle
    finally:
        os.close(handle)


def read_reply(
    handle: int, *, nonce: str, case: str, expected: Mapping[str, Expected]
) -> Reply | None:
    """The answer in a block of memory, or None when there is none; call when every writer is dead.

    Args:
        handle: of a block made by `memory`.
        nonce: sent with the request.
        case: what was asked.
        expected: by exact name; a name ending in `*` allows any number of tensors that start so.

    Raises:
        MalformedMeasurement: anything but a well-formed answer to this question.
    """
    try:
        # Fails while anybody still has the block mapped for writing.
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
    except OSError:
        raise _malformed("something kept the answer open for writing") from None
    size = os.fstat(handle).st_size
    start = os.pread(handle, PREFIX.size, 0)
    if not any(start):
        return None
    magic, length = PREFIX.unpack(start)
    if magic != MAGIC or not 2 <= length <= min(MAX_HEADER_BYTES, size - PREFIX.size):
        raise _malformed("no valid header")
    header = _parsed(os.pread(handle, length, PREFIX.size))
    _require_keys(header, ANSWER_KEYS, "the header")
    if header["nonce"] != nonce or header["case"] != case:
        raise _malformed("it answers another question")
    error, listed = header["error"], header["tensors"]
    if not isinstance(error, str) or not isinstance(listed, list) or len(listed) > MAX_TENSORS:
        raise _malformed("header fields of a wrong type")
    if error:
        if len(error) > MAX_ERROR or not error.isascii() or not error.isprintable():
            raise _malformed("its error text is not short printable ASCII")
        return Reply({}, error)
    reader = _Reader(handle, PREFIX.size + length, size, expected)
    return Reply(reader.all(listed))


class _Reader:
    """Takes tensors out of the block, one after the other."""

    def __init__(
        self, handle: int, start: int, size: int, expected: Mapping[str, Expected]
    ) -> None:
        self._handle, self._at, self._size, self._expected = handle, start, size, expected
        self._prefixes = [name for name in expected if name.endswith("*")]

    def all(self, listed: list[Any]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for entry in listed:
            name, dtype, shape = self._described(entry)
            if name in found:
                raise _malformed(f"tensor {name} is given twice")
            found[name] = self._taken(name, dtype, shape, self._wanted(name))
        required = [name for name, one in self._expected.items() if one.required]
        exact = [name for name in required if not name.endswith("*")]
        if missing := [name for name in exact if name not in found]:
            raise _malformed(f"tensor {missing[0]} is missing")
        return found

    def _described(self, entry: Any) -> tuple[str, str, tuple[int, ...]]:
        _require_keys(entry, TENSOR_KEYS, "a tensor's description")
        name, dtype, shape = entry["name"], entry["dtype"], entry["shape"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _malformed("a tensor's name is not a plain word")
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise _malformed(f"tensor {name} has no allowed type ({', '.join(DTYPES)})")
        sizes = shape if isinstance(shape, list) and len(shape) <= MAX_AXES else [None]
        if not all(type(one) is int and 0 <= one <= self._size for one in sizes):
            raise _malformed(f"tensor {name} has an impossible shape")
        return name, dtype, tuple(sizes)

    def _wanted(self, name: str) -> Expected:
        if name in self._expected and not name.endswith("*"):
            return self._expected[name]
        for prefix in self._prefixes:
            if name.startswith(prefix[:-1]):
                return self._expected[prefix]
        raise _malformed(f"tensor {name} was not asked for")

    def _taken(self, name: str, dtype: str, shape: tuple[int, ...], wanted: Expected) -> Array:
        if dtype not in wanted.dtypes:
            raise _malformed(f"{name} is {dtype}, not {' or '.join(wanted.dtypes)}")
        fits = len(shape) == len(wanted.shape) and all(
            need in (None, have) for have, need in zip(shape, wanted.shape, strict=True)
        )
        if not fits:
            raise _malformed(f"{name} has shape {_sizes(shape)}, not {_sizes(wanted.shape)}")
        kind = np.dtype(DTYPES[dtype])
        count = kind.itemsize
        for one in shape:
            count *= one
        if count > self._size - self._at:
            raise _malformed(f"{name} is larger than the answer")
        content = bytearray(count)
        view = memoryview(content)
        while view and (got := os.preadv(self._handle, [view], self._at)):
            view, self._at = view[got:], self._at + got
        if dtype == "BOOL" and max(content, default=0) > 1:
            raise _malformed(f"{name} holds a truth value other than 0 and 1")
        array = np.frombuffer(content, dtype=kind).reshape(shape)
        if wanted.finite and kind.kind == "f" and not np.isfinite(array).all():
            raise _malformed(f"{name} holds values that are infinite or no numbers")
        return array


def _malformed(what: str) -> MalformedMeasurement:
    return MalformedMeasurement(f"malformed measurement: {what}")


def _sizes(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if one is None else str(one) for one in shape)})"


def _require_keys(body: Any, keys: set[str], what: str) -> None:
    if not isinstance(body, dict) or set(body) != keys:
        raise _malformed(f"{what} has other fields than {', '.join(sorted(keys))}")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(
            text.decode("ascii"), parse_constant=no_constant, object_pairs_hook=unique_keys
        )
    except (ValueError, RecursionError) as error:
        raise _malformed(f"its header is not plain JSON ({escaped(str(error))})") from None
