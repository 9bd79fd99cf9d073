"""Emptied functions: what they give, what stays as it was, and what cannot be emptied."""

import asyncio
import inspect
import textwrap

import pytest

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.run.mutants import emptied, write_mutant
from pytest_mecheval.wire import Mutant

SOURCE = textwrap.dedent(
    '''
    """Docstring."""
    FACTOR = 3

    def one_line(x): return x * FACTOR

    def ablate(z, head, *, value=0.0):
        """Doc."""
        for row in z:
            row[head] = value
        return [row * FACTOR for row in z]

    def nothing():
        return FACTOR

    async def later(x):
        return x + 1

    class Holder:
        def ablate(self):
            return 7
    '''
)


def namespace(name, gives):
    found = {}
    exec(compile(emptied(SOURCE, name, gives), "mutant", "exec"), found)  # noqa: S102 - our own text
    return found


def test_each_way_to_empty_a_function():
    rows = [[1.0, 2.0]]
    assert namespace("ablate", "input")["ablate"](rows, 0) is rows
    assert namespace("ablate", "constant")["ablate"](rows, head=0, value=1.0) == 0.0
    with pytest.raises(RuntimeError):
        namespace("ablate", "error")["ablate"](rows, 0)
    assert namespace("one_line", "input")["one_line"](5) == 5
    assert namespace("nothing", "input")["nothing"]() is None
    assert asyncio.run(namespace("later", "input")["later"](5)) == 5


def test_everything_else_stays():
    found = namespace("ablate", "constant")
    assert found["one_line"](2) == 6
    assert found["Holder"]().ablate() == 7
    assert list(inspect.signature(found["ablate"]).parameters) == ["z", "head", "value"]


def test_the_last_function_of_a_name_counts_and_methods_do_not():
    twice = "def f(x):\n    return 1\n\ndef f(x):\n    return 2\n"
    text = emptied(twice, "f", "input")
    assert "return 1" in text
    assert "return 2" not in text
    assert emptied("class A:\n    def f(self):\n        return 1\n", "f", "input") is None


@pytest.mark.parametrize(
    ("text", "function", "said"),
    [
        ("def f(x):\n    return x\n", "a.py:g", "no function g at its top level"),
        ("def f(:\n", "a.py:f", "cannot be read for a mutant"),
        ("x\0y", "a.py:f", "cannot be read for a mutant"),
        ("def f(x): return x\n", "b.py:f", "b.py"),
        ("(" * 100_000, "a.py:f", "cannot be read for a mutant"),
    ],
)
def test_what_cannot_be_emptied_is_said(tmp_path, text, function, said):
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(SubjectError, match=said):
        write_mutant(tmp_path, Mutant(function, "input"))
    assert (tmp_path / "a.py").read_text() == text


def test_the_copy_is_written(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text(SOURCE)
    write_mutant(tmp_path, Mutant("src/a.py:ablate", "error"))
    assert "raise RuntimeError" in (tmp_path / "src" / "a.py").read_text()
