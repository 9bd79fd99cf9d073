"""Notebooks and `# %%` scripts as cells, with the line of the file on which every source line stands.

Reads the JSON directly: real notebooks lack metadata, carry widget outputs, or never met nbformat.
Stored outputs are dropped; they are no evidence, and word searches in them mislead.
"""

import itertools
import json
import re
from bisect import bisect_right
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

from pytest_mecheval.bundle.contents import Cell, CellKind, Document, Notebook
from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.errors import BundleError

MAX_NOTEBOOK_BYTES = 32 * 2**20
MAX_CELLS = 5_000

_KINDS: dict[str, CellKind] = {"markdown": "markdown", "code": "code", "raw": "raw"}
_SECTION = re.compile(r"^#\s*%%(.*)$", re.MULTILINE)


class _Placed(str):
    """A JSON string that knows where in the file it ends."""

    __slots__ = ("end",)
    end: int


class _PlacingDecoder(json.JSONDecoder):
    """Decodes JSON with string values as `_Placed`."""

    def __init__(self) -> None:
        super().__init__(strict=False)
        self.parse_string: Callable[..., tuple[str, int]] = _placed_string
        self.scan_once = py_make_scanner(self)


def _placed_string(text: str, start: int, strict: bool) -> tuple[str, int]:
    value, end = scanstring(text, start, strict)
    placed = _Placed(value)
    placed.end = end
    return placed, end


def read_notebook(path: str, text: str, sha256: str) -> Notebook:
    """The cells of a notebook.

    Args:
        path: relative to the bundle's root.
        text: the file's JSON text.
        sha256: hex digest of the file's bytes.

    Raises:
        BundleError: the text is not a notebook; says why.
    """
    shown = escaped(path)
    try:
        body: Any = _PlacingDecoder().decode(text)
    except RecursionError:
        raise BundleError(f"{shown}: nested too deeply for a notebook") from None
    except ValueError as error:
        raise BundleError(f"{shown}: not JSON ({escaped(str(error))})") from None
    listed = _cell_list(body)
    if listed is None:
        raise BundleError(f"{shown}: no list of cells, so not a notebook")
    if len(listed) > MAX_CELLS:
        raise BundleError(f"{shown}: {len(listed)} cells, at most {MAX_CELLS} are read")
    starts = _line_starts(text)
    cells: list[Cell] = []
    lines: list[str] = []
    numbers: list[int] = []
    for entry in listed:
        if not isinstance(entry, dict):
            continue
        kind = _KINDS.get(str(entry.get("cell_type")), "raw")
        # Before format 4, code cells kept their source under `input`.
        pieces = _pieces(entry.get("source", entry.get("input", "")))
        first = len(lines)
        _append(pieces, starts, lines, numbers)
        cells.append(Cell(kind, "\n".join(lines[first:]), first))
        # A blank line between cells keeps paragraphs and quotes from running across them.
        lines.append("")
        numbers.append(numbers[-1] if numbers else 1)
    document = Document(path, "notebook", "\n".join(lines), sha256, tuple(numbers))
    return Notebook(document, tuple(cells))


def script_cells(document: Document) -> tuple[Cell, ...]:
    r"""The `# %%` sections of a script; one code cell when there are none.

    >>> doc = Document("a.py", "script", "x = 1\n# %% [markdown]\n# text\n# %%\ny = 2", "")
    >>> [(cell.kind, cell.first) for cell in script_cells(doc)]
    [('code', 0), ('markdown', 1), ('code', 3)]
    """
    marks = list(_SECTION.finditer(document.text))
    cuts = [0, *(mark.start() for mark in marks if mark.start() > 0), len(document.text)]
    titles = {mark.start(): mark[1] for mark in marks}
    cells = []
    for start, end in itertools.pairwise(cuts):
        source = document.text[start:end]
        kind: CellKind = "markdown" if "[markdown]" in titles.get(start, "") else "code"
        if source.strip():
            cells.append(Cell(kind, source.removesuffix("\n"), document.text.count("\n", 0, start)))
    return tuple(cells)


def _cell_list(body: Any) -> list[Any] | None:
    if not isinstance(body, dict):
        return None
    cells = body.get("cells")
    if cells is None and isinstance(body.get("worksheets"), list):  # format 3
        sheets = [sheet for sheet in body["worksheets"] if isinstance(sheet, dict)]
        cells = [
            cell
            for sheet in sheets
            if isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
        ]
    return cells if isinstance(cells, list) else None


def _pieces(source: Any) -> list[_Placed]:
    """A source as strings: a list of lines, or one string."""
    pieces = source if isinstance(source, list) else [source]
    return [piece for piece in pieces if isinstance(piece, _Placed)]


def _append(pieces: list[_Placed], starts: list[int], lines: list[str], numbers: list[int]) -> None:
    """Add a source's lines, each with the file line of the string it begins in."""
    fresh = True
    for piece in pieces:
        # A JSON string cannot hold a raw line break that a writer put there, so its end line serves.
        number = bisect_right(starts, max(piece.end - 1, 0))
        for index, line in enumerate(_split(piece)):
            if index or fresh:
                lines.append(line)
                numbers.append(number)
            else:
                lines[-1] += line
        fresh = False
        # A piece that ends in a line break leaves an empty last line for the next piece to fill.
        if piece.endswith(("\n", "\r")):
            lines.pop()
            numbers.pop()
            fresh = True


def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]
