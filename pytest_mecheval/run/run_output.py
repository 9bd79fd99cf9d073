"""What a run printed and wrote, as lines, small texts, and numbers with the words that stand before them."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.reading import decoded, read_file
from pytest_mecheval.errors import BundleError
from pytest_mecheval.sandbox.ledger import Ledger

MAX_LINES = 1_000
"""Lines of standard output kept, the last ones."""
MAX_LINE_CHARACTERS = 300
MAX_TEXTS = 40
"""Written files kept as text."""
MAX_TEXT_BYTES = 32 * 2**10
"""Larger files hold tables, not verdicts."""
MAX_FIGURES = 5_000
MAX_LABEL_CHARACTERS = 120

_TRAILING = " \t:=(~≈±,;|"


def output_of(ledger: Ledger, bundle: Path, printed: str) -> Mapping[str, Any]:
    """Facts about what a run said.

    Args:
        ledger: of the run.
        bundle: the scratch copy in which it ran and wrote.
        printed: its standard output.

    Returns:
        `lines`: of standard output and of cells' shown values; `texts`: small written files by path;
        `figures`: {label, number} in the order printed, then as JSON files hold them.
    """
    shown = [line for cell in ledger.cells for text in cell.outputs for line in text.split("\n")]
    lines = [line[:MAX_LINE_CHARACTERS] for line in (*printed.split("\n"), *shown) if line.strip()]
    texts = dict(_texts(ledger, bundle))
    figures = [
        {"label": label, "number": number}
        for line in ledger.printed
        for label, number in _labelled(line.text, line.numbers)
    ]
    for path, text in texts.items():
        if path.endswith(".json"):
            figures += [{"label": f"{path} {key}", "number": n} for key, n in _json_figures(text)]
    return {"lines": lines[-MAX_LINES:], "texts": texts, "figures": figures[:MAX_FIGURES]}


def _texts(ledger: Ledger, bundle: Path) -> Iterator[tuple[str, str]]:
    """Written files as the ledger saw them at the end; one that changed afterwards is left out."""
    for written in ledger.written[:MAX_TEXTS]:
        if not written.sha256 or written.size > MAX_TEXT_BYTES:
            continue
        try:
            content = read_file(bundle, written.path, MAX_TEXT_BYTES)
        except BundleError:
            continue
        if sha256(content).hexdigest() == written.sha256:
            yield written.path, decoded(content)[0]


def _labelled(text: str, numbers: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each number of a line with what stands before it on the line."""
    start = 0
    for number in numbers:
        at = text.find(number, start)
        if at < 0:
            continue
        yield text[:at].rstrip(_TRAILING)[-MAX_LABEL_CHARACTERS:], number
        start = at + len(number)


def _json_figures(text: str) -> list[tuple[str, str]]:
    """Numbers of a JSON text with the keys that lead to them; none when it is not JSON."""
    found: list[tuple[str, str]] = []
    try:
        # Numbers stay as written: trailing zeros and precision matter.
        body = json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=str)
    except (ValueError, RecursionError):
        return found
    pending: list[tuple[str, Any]] = [("", body)]
    while pending and len(found) < MAX_FIGURES:
        key, value = pending.pop()
        match value:
            case dict():
                pending += [(f"{key} {name}".strip(), one) for name, one in value.items()]
            case list():
                pending += [(key, one) for one in reversed(value)]
            case _Number():
                found.append((key[-MAX_LABEL_CHARACTERS:], str(value)))
            case _:
                pass
    return found


class _Number(str):
    """A JSON number as its text."""

    __slots__ = ()
