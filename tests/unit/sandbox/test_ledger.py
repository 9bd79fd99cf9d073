"""The parent's side: chains, bounds and contradictions of ledgers written by nobody we trust."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.sandbox import ledger as module
from pytest_mecheval.sandbox.ledger import (
    Ledger,
    chain_next,
    chain_start,
    parse_ledger,
    read_ledger,
)

NONCE = "n0"
START = {
    "t": "start",
    "format": 1,
    "python": "3.11",
    "entry": "a.py",
    "sham": "none",
    "sham_seed": 0,
    "seed_shift": 0,
}
HOOK = {
    "t": "hook",
    "id": 0,
    "site": "m.output",
    "of": "M",
    "function": "a.py:1 f",
    "by": "",
    "calls": [],
}
EDIT = {
    "t": "edit",
    "f": 0,
    "hook": 0,
    "site": "m.output",
    "kind": "zero",
    "share": 0.5,
    "returned": True,
}
FORWARD = {"t": "forward", "id": 0, "model": 0, "wall": 0.1, "cpu": 0.1, "edits": 1, "reads": []}
END = {
    "t": "end",
    "status": "done",
    "detail": "",
    "forwards": 1,
    "cpu": 3.0,
    "forward_cpu": 0.1,
    "children_cpu": 0.0,
    "totals": {},
    "dropped": {},
}
WHOLE = (START, HOOK, EDIT, FORWARD, END)


def chained(*rows: dict[str, Any] | bytes, nonce: str = NONCE) -> bytes:
    """Rows as someone who knows the format and the nonce would write them."""
    previous, lines = chain_start(nonce), []
    for number, row in enumerate(rows):
        if isinstance(row, bytes):
            body = row
        else:
            body = json.dumps(
                {"n": number, "s": number / 10, **row}, separators=(",", ":")
            ).encode()
        previous = chain_next(previous, body)
        lines.append(body[:-1] + b',"h":"' + previous.encode() + b'"}\n')
    return b"".join(lines)


def parsed(*rows: dict[str, Any] | bytes) -> Ledger:
    return parse_ledger(chained(*rows), NONCE)


def test_rows_of_an_edited_activation_are_its_first_axis() -> None:
    sized = parsed(START, HOOK, {**EDIT, "shape": [8, 5, 4], "rows": 1}, FORWARD, END)
    assert [(edit.rows, edit.of_rows) for edit in sized.edits] == [(1, 8)]
    assert [edit.of_rows for edit in parsed(*WHOLE).edits] == [0]
    assert parsed(START, HOOK, {**EDIT, "shape": ["8"]}, FORWARD, END).standing == "forged"


def test_a_whole_ledger() -> None:
    found = parsed(
        *WHOLE,
    )
    assert (found.standing, found.problems) == ("complete", ())
    assert found.edited(found.forwards[0]) == found.edits
    assert found.start is not None
    assert found.start.entry == "a.py"


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_cut_off_is_incomplete_not_forged(cut: int) -> None:
    content = chained(*WHOLE)
    lines = content.splitlines(keepends=True)
    kept = b"".join(lines[:cut]) + lines[cut][:10]
    found = parse_ledger(kept, NONCE)
    assert (found.standing, len(found.rows)) == ("incomplete", cut)


def test_empty_is_incomplete() -> None:
    assert parse_ledger(b"", NONCE).standing == "incomplete"


@pytest.mark.parametrize("index", range(5))
def test_changed_rows_are_found_and_dropped(index: int) -> None:
    lines = chained(*WHOLE).splitlines(keepends=True)
    lines[index] = lines[index].replace(b'"t":', b'"x":1,"t":')
    found = parse_ledger(b"".join(lines), NONCE)
    assert (found.standing, len(found.rows)) == ("forged", index)


@pytest.mark.parametrize("index", range(4))
def test_removed_rows_are_found(index: int) -> None:
    lines = chained(*WHOLE).splitlines(keepends=True)
    del lines[index]
    assert parse_ledger(b"".join(lines), NONCE).standing == "forged"


def test_rows_after_the_end_are_found() -> None:
    assert parsed(*WHOLE, {"t": "hook", **HOOK, "id": 3}).standing == "forged"
    assert parse_ledger(chained(*WHOLE) + b"more", NONCE).standing == "forged"


@pytest.mark.parametrize(
    "rows",
    [
        (START, HOOK, EDIT, {**FORWARD, "edits": 0}, END),  # an edit no forward counted
        (START, HOOK, FORWARD, END),  # a counted edit without a row
        (START, EDIT, FORWARD, END),  # by a hook that was never declared
        (START, HOOK, EDIT, FORWARD, {**END, "forwards": 5}),
        (START, HOOK, EDIT, FORWARD, {**END, "forward_cpu": 50.0}),
        (START, HOOK, HOOK),
        (START, {**FORWARD, "edits": 0}, {**FORWARD, "edits": 0}),
        (HOOK, EDIT),
        ({**START, "format": 2},),
        (START, {**HOOK, "n": 7}),
        (START, {**HOOK, "s": -1.0}),
    ],
)
def test_contradictions_are_found(rows: tuple[dict[str, Any], ...]) -> None:
    found = parsed(*rows)
    assert found.standing == "forged"
    assert found.problems


@pytest.mark.parametrize(
    "change",
    [
        {"share": 0.0},
        {"share": 1.5},
        {"share": True},
        {"share": "0.5"},
        {"share": None},
        {"kind": "magic"},
        {"kind": ["zero"]},
        {"hook": -1},
        {"hook": 1.0},
        {"f": 2**60},
        {"site": 3},
        {"site": "x" * 30_000},
        {"calls": "a.py:1"},
        {"calls": [1]},
        {"returned": 1},
        {"delta_max": "big"},
        {"source": 0.5},
    ],
)
def test_wrong_types_and_sizes_are_refused(change: dict[str, Any]) -> None:
    found = parsed(START, HOOK, {**EDIT, **change}, FORWARD, END)
    assert found.standing == "forged"
    assert found.edits == ()


@pytest.mark.parametrize(
    "body",
    [
        b'{"n":1,"s":0.1,"t":"hook","id":NaN}',
        b'{"n":1,"s":1e999,"t":"hook"}',
        b'{"n":1,"n":1,"s":0.1,"t":"site","hook":0,"site":"x"}',
        b'{"n":1,"s":0.1,"t":"site","hook":0,"site":' + b"[" * 30_000 + b"}",
        b'{"n":1,"s":0.1,"t":"site","hook":0,"site":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"n":1,"s":0.1,"t":"x","a":"' + b"y" * 70_000 + b'"}',
        b"[1]",
        b"null }",
        b'{"n":' + b"9" * 10_000 + b',"s":0,"t":"x"}',
        b"\xff\xfe\x00}",
    ],
)
def test_hostile_json_ends_in_forged(body: bytes) -> None:
    assert parsed(START, body).standing == "forged"


def test_texts_lose_control_characters() -> None:
    found = parsed(START, {**HOOK, "site": "\x1b[31m<b>\u202e\u0000"})
    assert found.hooks[0].site == "\\x1b[31m<b>\\u202e\\x00"


def test_limits_make_absence_mean_nothing() -> None:
    short = {**FORWARD, "edits": 90}
    found = parsed(START, HOOK, EDIT, {"t": "truncated", "of": "edit", "after": 1}, short, END)
    assert found.standing == "complete", found.problems
    assert found.truncated == ("edit",)


def test_faults_are_counted_and_shown() -> None:
    found = parsed(START, {"t": "fault", "where": "x", "error": "x: ValueError: y"}, *WHOLE[1:])
    assert found.faults == 1
    assert "ValueError" in found.problems[0]
    assert found.standing == "complete"


def test_final_hook_counts_and_never_called() -> None:
    found = parsed(
        START,
        HOOK,
        {**HOOK, "id": 1, "site": ""},
        EDIT,
        FORWARD,
        {"t": "totals", "hooks": [[0, 2, 1, 1, 0], [1, 1, 0, 0, 0]]},
        {"t": "site", "hook": 1, "site": "late.output"},
        END,
    )
    assert [hook.id for hook in found.hooks_never_called] == [1]
    assert found.hooks[1].site == "late.output"
    assert (found.hooks[0].registered, found.hooks[0].called, found.hooks[0].edited) == (2, 1, 1)


def test_files_that_are_no_ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_ledger(tmp_path / "none", NONCE).standing == "incomplete"
    real = tmp_path / "real"
    real.write_bytes(chained(*WHOLE))
    link = tmp_path / "link"
    link.symlink_to(real)
    assert read_ledger(link, NONCE).rows == ()
    assert read_ledger(tmp_path, NONCE).rows == ()
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 100)
    assert read_ledger(real, NONCE).standing == "forged"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 600))
def test_no_bytes_raise_or_become_complete(noise: bytes, at: int) -> None:
    whole = chained(*WHOLE)
    content = whole[:at] + noise + whole[at + len(noise) :]
    if content != whole:
        assert parse_ledger(content, NONCE).standing != "complete"
