import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.bundle.contents import Document
from pytest_mecheval.bundle.notebooks import read_notebook, script_cells
from pytest_mecheval.errors import BundleError


def read(body, indent=1):
    text = body if isinstance(body, str) else json.dumps(body, indent=indent)
    return text, read_notebook("n.ipynb", text, "0" * 64)


def test_lines_are_those_of_the_file_even_when_outputs_repeat_the_source():
    text, notebook = read(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "outputs": [{"output_type": "stream", "text": ["effect = 0.72\n"]}],
                    "source": ["# setup\n", "effect = 0.72\n", "print(effect)"],
                },
                {"cell_type": "markdown", "metadata": {}, "source": ["Head 1.6\n", "copies."]},
            ],
            "metadata": {},
        }
    )
    lines = text.split("\n")
    document = notebook.document
    for index, source in enumerate(document.text.split("\n")):
        if source:
            assert json.dumps(source)[1:-1] in lines[document.line_number(index) - 1]
    # The same words stand in an output further up; the source line is meant.
    place = document.line_number(document.text.split("\n").index("effect = 0.72"))
    assert lines[place - 2].strip() == '"# setup\\n",'


def test_cells_know_kind_source_and_place():
    _, notebook = read(
        {
            "cells": [
                {"cell_type": "markdown", "source": ["# T\n", "text\n"]},
                {"cell_type": "code", "source": "a = 1\nb = 2"},
                {"cell_type": "heading", "source": ""},
            ]
        }
    )
    assert [(cell.kind, cell.source, cell.first) for cell in notebook.cells] == [
        ("markdown", "# T\ntext", 0),
        ("code", "a = 1\nb = 2", 3),
        ("raw", "", 6),
    ]
    lines = notebook.document.text.split("\n")
    assert [lines[cell.first] for cell in notebook.cells[:2]] == ["# T", "a = 1"]


def test_source_in_one_string_lies_on_one_line_of_the_file():
    text, notebook = read({"cells": [{"cell_type": "code", "source": "a = 1\nb = 2"}]})
    expected = 1 + next(i for i, line in enumerate(text.split("\n")) if "a = 1" in line)
    assert [notebook.document.line_number(i) for i in (0, 1)] == [expected, expected]


def test_unusual_notebooks_are_tolerated():
    _, notebook = read(
        {
            "nbformat": 3,
            "worksheets": [
                {"cells": [{"cell_type": "code", "input": ["x = 1"], "prompt_number": 1}]}
            ],
        }
    )
    assert notebook.cells[0].source == "x = 1"
    _, notebook = read(
        {
            "cells": [
                {"cell_type": "code", "source": ["a", 3, None, "b"]},
                "no cell",
                {"source": {"not": "text"}},
                {"cell_type": "code"},
            ],
            "metadata": {"kernelspec": {"name": "not-installed"}},
        }
    )
    assert [cell.source for cell in notebook.cells] == ["ab", "", ""]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "no list of cells"),
        ('{"cells": 3}', "no list of cells"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"cells": [], "n": ' + "9" * 5_000 + "}", "not JSON"),
    ],
)
def test_what_is_no_notebook_is_named(text, problem):
    with pytest.raises(BundleError, match=problem) as caught:
        read(text)
    assert str(caught.value).startswith("n.ipynb: ")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4), max_size=4),
    st.sampled_from([None, 1]),
)
def test_every_source_survives_with_one_number_per_line(sources, indent):
    cells = [{"cell_type": "code", "source": source} for source in sources]
    text, notebook = read({"cells": cells}, indent)
    document = notebook.document
    assert document.line_numbers is not None
    if sources:
        assert len(document.text.split("\n")) == len(document.line_numbers)
    assert all(1 <= number <= text.count("\n") + 1 for number in document.line_numbers)
    for cell, source in zip(notebook.cells, sources, strict=True):
        joined = "".join(source).replace("\r\n", "\n").replace("\r", "\n")
        assert cell.source.replace("\n", "") == joined.replace("\n", "")


@settings(deadline=None, max_examples=80)
@given(st.text())
def test_any_text_is_a_notebook_or_a_clean_error(text):
    with contextlib.suppress(BundleError):
        read(text)


def test_script_without_marks_is_one_cell_and_empty_script_none():
    assert len(script_cells(Document("a.py", "script", "x = 1\n", ""))) == 1
    assert script_cells(Document("a.py", "script", "\n", "")) == ()
