"""Units of code come from syntax alone: the same files, the same functions, cells, hooks and literals."""

from pytest_mecheval.bundle.code_units import Source, Span, code_units, sources_of
from pytest_mecheval.bundle.notebooks import read_notebook

NOTEBOOK = """{"cells": [
 {"cell_type": "markdown", "source": ["# Title"]},
 {"cell_type": "code", "source": ["%matplotlib inline\\n", "def score(x):\\n", "    return x\\n"]},
 {"cell_type": "code", "source": ["print(score(0.9141))"]}
]}"""


def units(text: str, place: str = "run.py"):
    return code_units([Source(place, text)])


def test_functions_methods_and_decorators_have_their_lines():
    found = units(
        "import functools\n\n@functools.cache\ndef outer():\n    def inner():\n        pass\n"
        "    return inner\n\nclass Model:\n    def forward(self):\n        return 1\n"
    )
    assert set(found.functions) == {
        Span("run.py:outer", 3, 7),
        Span("run.py:outer.inner", 5, 6),
        Span("run.py:Model.forward", 10, 11),
    }


def test_cells_are_numbered_as_the_ledger_numbers_them():
    notebook = read_notebook("analysis.ipynb", NOTEBOOK, "")
    found = code_units(sources_of(notebook))
    assert [cell.place for cell in found.cells] == ["analysis.ipynb:cell2", "analysis.ipynb:cell3"]
    assert found.functions == (Span("analysis.ipynb:cell2:score", 2, 3),)
    assert [(one.number, one.place) for one in found.literals] == [
        ("0.9141", "analysis.ipynb:cell3:1")
    ]
    assert found.unreadable == ()


def test_a_hook_nobody_names_is_found_and_a_used_one_is_not():
    body = "def zero(module, args, output):\n    return output * 0\n"
    assert units(body).hooks_never_called == ("run.py:1 zero",)
    assert units(body + "layer.register_forward_hook(zero)\n").hooks_never_called == ()
    other = Source("main.py", "import run\nlayer.register_forward_hook(run.zero)\n")
    assert code_units([Source("run.py", body), other]).hooks_never_called == ()
    assert units("def helper(x, y):\n    return x\n").hooks_never_called == ()


def test_literals_are_decimals_with_three_digits_outside_configuration_and_docstrings():
    text = (
        '"""Gets 0.914 right."""\nrate = 0.5\nsteps = 1000\ndrop = 1.874\n'
        'print(f"accuracy 0.914 of {steps}")\nversion = "2.16.1"\n'
    )
    assert [(one.number, one.place) for one in units(text).literals] == [
        ("1.874", "run.py:4"),
        ("0.914", "run.py:5"),
    ]
    assert units(text, "src/config.py").literals == ()


def test_text_that_is_no_python_is_named_and_stops_nothing():
    found = code_units(
        [Source("bad.py", "def ("), Source("deep.py", "(" * 5000), Source("ok.py", "x = '\\d'\n")]
    )
    assert [each.split(":")[0] for each in found.unreadable] == ["bad.py", "deep.py"]
