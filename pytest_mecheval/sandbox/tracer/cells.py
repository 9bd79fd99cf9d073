"""Runs a notebook's cells in one namespace, in this process: no kernel, no sockets."""

import ast
import asyncio
import builtins
import inspect
import json
import linecache
import os
import re
import time
import traceback
from types import CodeType
from typing import Any

from .state import Recorder
from .streams import Recording

MAX_NOTEBOOK_BYTES = 32 * 2**20
MAX_CELLS = 5_000
MAX_STREAM = 16_000
MAX_OUTPUT = 8_000
MAX_OUTPUTS = 40
MAX_TRACE_LINES = 30
LINE_MAGIC = re.compile(r"^(\s*)(%(?!%)|!|\?)", re.MULTILINE)
CELL_MAGIC = re.compile(r"^\s*%%(\w+)[^\n]*")
TRANSPARENT = frozenset({"time", "timeit", "capture", "prun"})
"""Cell magics around ordinary Python; of others (`%%bash`, `%%writefile`) nothing is run."""


class _Shell:
    """What `get_ipython()` answers: enough for `run_line_magic('matplotlib', 'inline')` to do nothing."""

    def run_line_magic(self, *_: Any, **__: Any) -> None:
        """Magics do nothing here."""

    magic = system = run_cell_magic = run_line_magic


class Notebook:
    """One notebook, run once from top to bottom.

    Args:
        path: absolute path of the `.ipynb`.
        shown: path relative to the bundle, used in line numbers.
        stop: stop at the first cell that fails.
    """

    def __init__(
        self,
        recorder: Recorder,
        path: str,
        shown: str,
        streams: tuple[Recording, Recording],
        stop: bool,
    ) -> None:
        self._recorder = recorder
        self._path = path
        self._shown = shown
        self._streams = streams
        self._stop = stop
        self._outputs: list[str] = []

    def cells(self) -> list[tuple[int, str]]:
        """(number, source) of the code cells; numbers count all cells from 1.

        Raises:
            ValueError: the file is too large, not JSON, or has no list of cells.
        """
        if os.path.getsize(self._path) > MAX_NOTEBOOK_BYTES:  # noqa: PTH202
            raise ValueError(f"{self._shown}: larger than {MAX_NOTEBOOK_BYTES} bytes")
        with open(self._path, encoding="utf-8-sig") as stream:  # noqa: PTH123
            body = json.load(stream)
        found = body.get("cells") if isinstance(body, dict) else None
        if found is None and isinstance(body, dict) and isinstance(body.get("worksheets"), list):
            found = [cell for sheet in body["worksheets"] for cell in sheet.get("cells", [])]
        if not isinstance(found, list):
            raise ValueError(f"{self._shown}: no list of cells, so not a notebook")  # noqa: TRY004
        chosen = []
        for number, cell in enumerate(found[:MAX_CELLS], 1):
            if isinstance(cell, dict) and cell.get("cell_type") == "code":
                source = cell.get("source", cell.get("input", ""))
                text = "".join(source) if isinstance(source, list) else str(source)
                chosen.append((number, text))
        return chosen

    def run(self, namespace: dict[str, Any]) -> bool:
        """Run every cell; True when none failed."""
        builtins.display = self._display  # type: ignore[attr-defined]
        builtins.get_ipython = _Shell  # type: ignore[attr-defined]
        fine = True
        for number, source in self.cells():
            status = self._cell(number, source, namespace)
            fine = fine and status in ("ok", "skipped")
            if not fine and self._stop:
                break
        return fine

    def _display(self, *values: Any, **_: Any) -> None:
        if len(self._outputs) < MAX_OUTPUTS:
            self._outputs += [_text(value) for value in values]

    def _cell(self, number: int, source: str, namespace: dict[str, Any]) -> str:
        name = f"{self._shown}:cell{number}"
        self._recorder.places.name(name, name)
        self._outputs = []
        for stream in self._streams:
            stream.captured = []
        began, cpu = time.perf_counter(), time.process_time()
        fields: dict[str, Any] = {"status": "ok"}
        try:
            self._execute(name, source, namespace, fields)
        except KeyboardInterrupt:
            raise
        except SystemExit as error:
            fields |= {"status": "exit", "error": f"SystemExit: {str(error)[:200]}"}
        except BaseException as error:  # noqa: BLE001 - a failing cell is a finding; the next one runs
            fields |= self._failure(name, error)
        fields["wall"] = round(time.perf_counter() - began, 6)
        fields["cpu"] = round(time.process_time() - cpu, 6)
        for key, stream in zip(("stdout", "stderr"), self._streams, strict=True):
            stream.finish()
            fields[key] = "".join(stream.captured or ())[:MAX_STREAM]
            stream.captured = None
        fields["outputs"] = [text[:MAX_OUTPUT] for text in self._outputs[:4]]
        self._recorder.ledger.add(
            "cell",
            notebook=self._shown,
            cell=number,
            after=self._recorder.last_forward,
            **fields,
        )
        return str(fields["status"])

    def _execute(
        self, name: str, source: str, namespace: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        magic = CELL_MAGIC.match(source)
        if magic and magic[1] not in TRANSPARENT:
            fields |= {"status": "skipped", "error": f"cell magic %%{magic[1]} is not run"}
            return
        text = source.replace(magic[0], "", 1) if magic else source
        # Line numbers must stay, so a magic line becomes an empty statement in its place.
        skipped = len(LINE_MAGIC.findall(text))
        text = "\n".join(
            LINE_MAGIC.sub(r"\1pass  # \2", line) if LINE_MAGIC.match(line) else line
            for line in text.split("\n")
        )
        if skipped:
            fields["magics"] = skipped
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        tree = ast.parse(text, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self._evaluate(compile(tree, name, "exec", flags=FLAGS), namespace)
        if isinstance(last, ast.Expr):
            shown = not text.rstrip().endswith(";")
            value = self._evaluate(
                compile(ast.Expression(last.value), name, "eval", flags=FLAGS), namespace
            )
            if value is not None and shown:
                self._result(name, value)

    def _evaluate(self, code: CodeType, namespace: dict[str, Any]) -> Any:
        value = eval(code, namespace)  # noqa: S307 - running the bundle's cell is the task
        if code.co_flags & inspect.CO_COROUTINE:
            value = asyncio.run(value)
        return value

    def _result(self, name: str, value: Any) -> None:
        """A cell's last value: kept as text, its numbers noted like printed ones."""
        text = _text(value)
        self._outputs.append(text)
        stream = self._streams[0]
        stream._calls = [f"{name}:1"]
        for line in text[:MAX_OUTPUT].split("\n"):
            stream.note_line(line)

    def _failure(self, name: str, error: BaseException) -> dict[str, Any]:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if self._recorder.places.shown(f.filename)]
        lines = [f"{self._recorder.places.shown(f.filename)}:{f.lineno}" for f in own]
        if isinstance(error, SyntaxError) and not lines:
            lines = [f"{name}:{error.lineno or 0}"]
        shown = f"{type(error).__name__}: {_safe(str, error)[:1000]}"
        # Past the recording: these are our words, not the bundle's.
        self._streams[1].passed_on(f"{shown}\n  at {' < '.join(reversed(lines))}\n")
        return {
            "status": "error",
            "error": shown,
            "trace": lines[-MAX_TRACE_LINES:],
        }


FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def _safe(function: Any, value: Any) -> str:
    try:
        return str(function(value))
    except Exception as error:  # noqa: BLE001 - the bundle's __repr__ may do anything
        return f"<{type(value).__name__} whose text failed: {type(error).__name__}>"


def _text(value: Any) -> str:
    """Plain text of a rich value: `to_string` where there is one (tables), else `repr`."""
    if type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "to_string"):
        return _safe(lambda table: table.to_string(), value)[:MAX_OUTPUT]
    return _safe(repr, value)[:MAX_OUTPUT]
