"""What an answer may hold, byte by byte: everything else is a malformed measurement, never a crash."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.sandbox.channel import (
    MAGIC,
    PREFIX,
    Expected,
    MalformedMeasurement,
    memory,
    pack,
    read_reply,
)

WANTED = {"logits": Expected(("F32",), (2, None)), "ids*": Expected(("I64",), (None,), False)}
GOOD = {"nonce": "n", "case": "c", "error": ""}
LOGITS = np.arange(6, dtype=np.float32).reshape(2, 3)


def reply(content: bytes, size: int = 4096):
    with memory(size=size) as block:
        os.pwrite(block, content, 0)
        return read_reply(block, nonce="n", case="c", expected=WANTED)


def framed(header: object, blob: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return PREFIX.pack(MAGIC, len(text)) + text + blob


def described(**changes: object) -> bytes:
    tensor = {"name": "logits", "dtype": "F32", "shape": [2, 3]} | changes
    return framed(GOOD | {"tensors": [tensor]}, LOGITS.tobytes())


def test_tensors_come_out_as_they_went_in():
    ids = np.array([1, -2], dtype=np.int64)
    found = reply(pack(GOOD, {"logits": LOGITS, "ids.a": ids}))
    assert np.array_equal(found.tensors["logits"], LOGITS)
    assert found.tensors["logits"].dtype == np.float32
    assert np.array_equal(found.tensors["ids.a"], ids)


def test_an_untouched_block_is_no_answer():
    assert reply(b"") is None


def test_their_error_is_passed_on():
    assert reply(framed(GOOD | {"error": "ValueError: x", "tensors": []})).error == "ValueError: x"


FORGED = {
    "no magic": b"pickled!" + described()[8:],
    "header beyond the block": PREFIX.pack(MAGIC, 5000) + b"{}",
    "header longer than any": PREFIX.pack(MAGIC, 2**63) + b"{}",
    "not JSON": framed(b"\x80\x04pickle"),
    "nested deeply": framed(b"[" * 3000),
    "NaN in JSON": framed(b'{"nonce": NaN}'),
    "field twice": framed(b'{"nonce": "n", "nonce": "n"}'),
    "a list": framed([]),
    "one field too many": framed(GOOD | {"tensors": [], "verdict": "SUPPORTED"}),
    "another nonce": framed(GOOD | {"nonce": "m", "tensors": []}),
    "another case": framed(GOOD | {"case": "d", "tensors": []}),
    "error with a colour": framed(GOOD | {"error": "\x1b[32mPASSED", "tensors": []}),
    "error too long": framed(GOOD | {"error": "x" * 201, "tensors": []}),
    "error is a number": framed(GOOD | {"error": 1, "tensors": []}),
    "missing tensor": framed(GOOD | {"tensors": []}),
    "unknown tensor": described(name="answers"),
    "name with a path": described(name="../logits"),
    "objects": described(dtype="O"),
    "another type": described(dtype="F64"),
    "another shape": described(shape=[3, 2]),
    "another number of axes": described(shape=[6]),
    "negative size": described(shape=[2, -3]),
    "truth value as a size": described(shape=[True, 3]),
    "fraction as a size": described(shape=[2.0, 3]),
    "larger than the block": described(shape=[2, 2000]),
    "product overflows": framed(
        GOOD | {"tensors": [{"name": "ids", "dtype": "I64", "shape": [4096]}]}
    ),
    "one field too many in a tensor": described(offset=0),
    "tensor twice": framed(
        GOOD | {"tensors": [{"name": "logits", "dtype": "F32", "shape": [2, 1]}] * 2}
    ),
    "not finite": pack(GOOD, {"logits": np.full((2, 3), np.nan, dtype=np.float32)}),
}


@pytest.mark.parametrize("content", FORGED.values(), ids=FORGED.keys())
def test_anything_else_is_malformed(content):
    with pytest.raises(MalformedMeasurement, match=r"^malformed measurement: "):
        reply(content)


def test_infinity_is_let_through_only_where_declared():
    content = pack(GOOD, {"logits": np.full((2, 3), np.inf, dtype=np.float32)})
    with memory(size=4096) as block:
        os.pwrite(block, content, 0)
        wanted = {"logits": Expected(("F32",), (2, 3), finite=False)}
        found = read_reply(block, nonce="n", case="c", expected=wanted)
    assert np.isinf(found.tensors["logits"]).all()


def test_a_block_cannot_be_made_larger():
    with memory(size=64) as block:
        with pytest.raises(OSError, match="not permitted"):
            os.ftruncate(block, 65)
        with pytest.raises(OSError, match="not permitted"):
            os.pwrite(block, b"x" * 65, 0)


def test_a_request_cannot_be_changed():
    with memory(b"asked") as block, pytest.raises(OSError, match="not permitted"):
        os.pwrite(block, b"x", 0)


def test_what_is_still_mapped_for_writing_is_refused():
    import mmap

    with memory(size=4096) as block:
        os.pwrite(block, described(), 0)
        with mmap.mmap(block, 4096), pytest.raises(MalformedMeasurement, match="open for writing"):
            read_reply(block, nonce="n", case="c", expected=WANTED)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_answers_never_crash_the_reader(data):
    content = bytearray(described())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = reply(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except SubjectError:
        return
    assert found is None or found.error or found.tensors["logits"].shape[0] == 2
