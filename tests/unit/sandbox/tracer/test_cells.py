"""Notebooks: cells in one namespace, failures kept apart, outputs as text, lines by cell."""

import json
from pathlib import Path

import pytest
from traced_runs import Traced, run, write


def cell(source: str, kind: str = "code") -> dict[str, object]:
    return {"cell_type": kind, "source": source.splitlines(keepends=True), "metadata": {}}


CELLS = [
    cell("# Title", "markdown"),
    cell("%matplotlib inline\nimport math\nx = 2.5\nprint('x', x)"),
    cell("def half(value):\n    return value / 2\n\nhalf(x)"),
    cell("print('before', 1)\nhalf('a')"),
    cell("import sys\nprint('err 3.5', file=sys.stderr)\ndisplay([x, 'shown'])\nx = 7;"),
    cell("await_me = 1\nimport asyncio\nawait asyncio.sleep(0)\nx"),
    cell("%%bash\nrm -rf everything"),
    cell("!touch evil\nprint('still here', 8)"),
    cell("1 +"),
    cell("raise SystemExit(3)"),
    cell("open('out.csv', 'w').write('a,0.125\\n')\nprint('last', x)"),
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    folder = tmp_path_factory.mktemp("cells") / "bundle"
    write(folder, {"notebooks/study.ipynb": json.dumps({"cells": CELLS, "nbformat": 4})})
    return run(folder, "notebooks/study.ipynb")


def test_every_code_cell_has_a_status(notebook: Traced) -> None:
    assert notebook.ledger.standing == "complete", notebook.ledger.problems
    found = [(row.cell, row.status) for row in notebook.ledger.cells]
    assert found == [
        (2, "ok"),
        (3, "ok"),
        (4, "error"),
        (5, "ok"),
        (6, "ok"),
        (7, "skipped"),
        (8, "ok"),
        (9, "error"),
        (10, "exit"),
        (11, "ok"),
    ]
    assert notebook.code == 1
    assert notebook.ledger.end is not None
    assert notebook.ledger.end.status == "cells failed"


def test_outputs_are_text(notebook: Traced) -> None:
    cells = {row.cell: row for row in notebook.ledger.cells}
    assert cells[2].stdout == "x 2.5\n"
    assert cells[3].outputs == ("1.25",)
    assert cells[4].stdout == "before 1\n"
    assert cells[5].stderr == "err 3.5\n"
    assert cells[5].outputs == ("[2.5, 'shown']",)
    assert cells[6].outputs == ("7",)
    assert cells[11].stdout == "last 7\n"


def test_errors_name_cell_and_line(notebook: Traced) -> None:
    cells = {row.cell: row for row in notebook.ledger.cells}
    assert cells[4].error.startswith("TypeError")
    assert cells[4].trace == (
        "notebooks/study.ipynb:cell4:2",
        "notebooks/study.ipynb:cell3:2",
    )
    assert cells[9].trace == ("notebooks/study.ipynb:cell9:1",)


def test_numbers_and_files_name_cell_and_line(notebook: Traced) -> None:
    places = {row.calls[0] for row in notebook.ledger.printed}
    assert "notebooks/study.ipynb:cell2:4" in places
    (written,) = notebook.ledger.written
    assert written.path == "notebooks/out.csv"
    assert written.numbers == ("0.125",)
    assert written.calls == ("notebooks/study.ipynb:cell11:1",)


def test_magics_run_nothing(notebook: Traced) -> None:
    folder = notebook.path.parent / "bundle"
    assert not list(folder.rglob("evil"))
    assert notebook.ledger.attempts == ()


def test_stop_on_error(tmp_path: Path) -> None:
    folder = write(tmp_path / "bundle", {"a.ipynb": json.dumps({"cells": CELLS})})
    done = run(folder, "a.ipynb", "--stop-on-error")
    assert [row.cell for row in done.ledger.cells] == [2, 3, 4]


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 3}', '{"cells": [{"cell_type": "code"}]}'])
def test_broken_notebooks_end_cleanly(tmp_path: Path, text: str) -> None:
    done = run(write(tmp_path / "bundle", {"a.ipynb": text}), "a.ipynb")
    assert done.ledger.standing == "complete", done.ledger.problems
    assert done.ledger.end is not None
    assert (done.ledger.end.status == "error") == (done.code == 2)
