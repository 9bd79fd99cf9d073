"""Questions to a bundle's own function, honest and hostile, on every backend that works here."""

import textwrap
import time

import numpy as np
import pytest

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.sandbox.asking import Question, ask
from pytest_mecheval.sandbox.backends import available, choose
from pytest_mecheval.sandbox.channel import Expected
from pytest_mecheval.sandbox.confinement import Limits

BACKENDS = available()
pytestmark = pytest.mark.skipif(not BACKENDS, reason="no sandbox works on this machine")
WANTED = {"x": Expected(("F64", "F32"), (2,))}


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def asked(request, tmp_path):
    def run(source: str, *, wall_s: float = 30, entry: str = "src/data.py:make", **arguments: int):
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src/data.py").write_text(textwrap.dedent(source))
        (tmp_path / "src/helper.py").write_text("TWO = 2.0\n")
        (tmp_path / "random.py").write_text("raise ImportError('shadowed')\n")
        question = Question(
            tmp_path,
            ("src/data.py", "src/helper.py", "random.py"),
            {"do": "call", "entry": entry, "arguments": arguments},
            WANTED,
            limits=Limits(wall_s=wall_s, cpu_s=30),
        )
        return ask(question, request.param)

    return run


HONEST = {
    "lists": "def make(): return {'x': [1.0, 2.0]}",
    "numpy by columns": "import numpy as np\ndef make(): return {'x': np.array([[1.0, 9], [2, 9]])[:, 0]}",
    "a neighbour and the standard library": """
        import random
        from helper import TWO
        def make():
            random.seed(1)
            return {'x': [1.0, TWO]}
        """,
    "by package name": "from src.helper import TWO\ndef make(): return {'x': [1.0, TWO]}",
    "named tuple": """
        from collections import namedtuple
        def make(): return namedtuple('Batch', 'x')([1.0, 2.0])
        """,
    "tensor": "import torch\ndef make(): return {'x': torch.tensor([1.0, 2.0], requires_grad=True)}",
}


@pytest.mark.parametrize("source", HONEST.values(), ids=HONEST.keys())
def test_numbers_come_back(asked, source):
    answer = asked(source)
    assert np.array_equal(answer.tensors["x"], [1.0, 2.0])
    assert answer.isolation.confined


FAILING = {
    "raises": ("def make(): raise ValueError('no data')", "ValueError: no data .src/data.py:1."),
    "does not import": ("import no_such_thing", "ModuleNotFoundError"),
    "not there": ("def makes(): pass", r"defines no make .it has: makes."),
    "leaves": ("def make(): raise SystemExit(0)", "SystemExit: 0"),
    "leaves hard": ("import os\ndef make(): os._exit(0)", "no answer: it ended with exit code 0"),
    "crashes": ("import ctypes\ndef make(): ctypes.string_at(0)", "no answer: ended by signal 11"),
    "leaves while imported": ("raise SystemExit('bye')", "SystemExit: bye"),
    "text": ("def make(): return {'x': ['1', '2']}", "holds str, not numbers"),
    "an object": ("def make(): return {'x': object()}", "holds object, not numbers"),
    "not by name": ("def make(): return [1.0, 2.0]", "returned list, not named arrays"),
    "another shape": (
        "def make(): return {'x': [1.0]}",
        r"malformed .*x has shape \(1\), not \(2\)",
    ),
    "another name": ("def make(): return {'y': [1.0]}", "malformed .*y was not asked for"),
    "whole numbers": ("def make(): return {'x': [1, 2]}", "malformed .*x is I64"),
    "not a number": ("def make(): return {'x': [1.0, float('nan')]}", "malformed .*no numbers"),
    "a float that lies": (
        "class F(float):\n    __eq__ = lambda *a: True\ndef make(): return {'x': [F(1), F(2)]}",
        "holds F, not numbers",
    ),
    "colours": ("def make(): raise ValueError('\\x1b[32mPASSED')", r"ValueError: \?\[32mPASSED"),
    "prints a forged answer": (
        "def make():\n    print('{\"x\": [1.0, 2.0]}')\n    raise ValueError('nothing')",
        "ValueError: nothing",
    ),
}


@pytest.mark.parametrize(("source", "reason"), FAILING.values(), ids=FAILING.keys())
def test_everything_else_says_why(asked, source, reason):
    with pytest.raises(SubjectError, match=reason) as caught:
        asked(source)
    assert str(caught.value).isprintable()


def test_a_hanging_function_is_ended(asked):
    started = time.monotonic()
    with pytest.raises(SubjectError, match="no answer: wall: ended after"):
        asked("import time\ndef make(): time.sleep(60)", wall_s=1.5)
    assert time.monotonic() - started < 20


def test_the_copy_cannot_be_changed_and_the_original_is_not_there(asked, tmp_path):
    with pytest.raises(SubjectError, match=r"(PermissionError|OSError): .*helper"):
        asked("def make(): open('src/helper.py', 'w')")
    with pytest.raises(SubjectError, match=r"(PermissionError|FileNotFoundError): "):
        asked(f"def make(): open({str(tmp_path / 'src/helper.py')!r})")
    assert (tmp_path / "src/helper.py").read_text() == "TWO = 2.0\n"


FORGER = """
import os, sys
def make():
    frame = sys._getframe()
    while "request" not in frame.f_locals or "target" not in frame.f_locals:
        frame = frame.f_back
    header, target = frame.f_locals["request"].header, frame.f_locals["target"]
    text = ('{"nonce": "%s", "case": "%s", "error": "", "tensors": %s}'
            % (header["nonce"], header["case"], TENSORS)).encode()
    os.pwrite(target, b"tensors1" + len(text).to_bytes(8, "little") + text + b"x" * 16, 0)
    os._exit(0)
"""


def test_a_forged_answer_can_hold_numbers_but_nothing_else(asked):
    objects = '\'[{"name": "x", "dtype": "O", "shape": [2]}]\''
    with pytest.raises(SubjectError, match="no allowed type"):
        asked(FORGER + f"TENSORS = {objects}")
    numbers = '\'[{"name": "x", "dtype": "F64", "shape": [2]}]\''
    assert asked(FORGER + f"TENSORS = {numbers}").tensors["x"].shape == (2,)


def test_what_a_survivor_writes_is_read_by_nobody(asked):
    answer = asked(
        """
        import os, time
        def make():
            if os.fork() == 0:
                time.sleep(5)
                os._exit(0)
            return {'x': [1.0, 2.0]}
        """
    )
    assert np.array_equal(answer.tensors["x"], [1.0, 2.0])
    assert answer.seconds < 4


def test_without_isolation_nothing_is_run(tmp_path):
    question = Question(tmp_path, (), {"do": "call", "entry": "a.py:f", "arguments": {}}, WANTED)
    with pytest.raises(SubjectError, match="isolation is switched off"):
        ask(question, choose("none"))
