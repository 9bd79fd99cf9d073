"""Prompts from a bundle's own function: asked for once, checked like a data file, kept by content."""

import json
import textwrap
from pathlib import Path

import pytest

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.run.bundle_data import DataFunction, checked, prompts_of
from pytest_mecheval.sandbox.backends import available
from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.wire import Slice

sandboxed = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")

HEAD = """
import random

def rows(n, seed, low=0):
    rng = random.Random(seed)
    drawn = [[rng.randrange(low, 1000) for _ in range(6)] for _ in range(n)]
    return {
        "tokens": drawn,
        "counterfactual": [[*row[:-1], row[-1] + 1000] for row in drawn],
        "answer": [row[0] for row in drawn],
        "foil": [row[0] + 1 for row in drawn],
    }
"""


def lines(*rows: dict) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


def row(*tokens: int, answer: int = 1, foil: int = 2, **more) -> dict:
    other = [*tokens[:-1], tokens[-1] + 1000]
    return {"tokens": list(tokens), "counterfactual": other, "answer": answer, "foil": foil, **more}


MANY = [row(number, number + 1) for number in range(200)]


def test_prompts_of_all_calls_count_once():
    body, notes = checked("d.py:f", [lines(*MANY[:120]), lines(*MANY[100:])])
    assert len(body.splitlines()) == 200
    assert notes == ("20 of 220 prompts came again and count once",)


def test_the_same_prompts_under_every_seed_are_told():
    body, notes = checked("d.py:f", [lines(*MANY), lines(*reversed(MANY))])
    assert len(body.splitlines()) == 200
    assert notes == ("always the same 200 prompts, whatever the seed",)


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        (
            [lines(*MANY[:12] * 60), lines(*MANY[:12])],
            "always the same 12 different prompts in 732",
        ),
        ([lines(*MANY[:12]), lines(*MANY[4:16])], "only 16 different prompts in 24, too few"),
        ([lines(*MANY, row(5, 6, answer=9))], "the same prompt has answer 1 and answer 9"),
        ([lines({**row(1, 2), "counterfactual": [1, 2]})], "a counterfactual equals its prompt"),
        ([lines(row(1, 2), row(3, 4, 5))], "row 2: 3 tokens, row 1 has 2"),
        ([lines(row(1, 2, answer=2))], "answer equals foil"),
        ([lines({**row(1, 2), "answer": 1.0})], "row 1: answer must be a token id"),
        ([lines({**row(1, 2), "answers": 1})], "unknown field 'answers', did you mean 'answer'"),
        ([lines(row(1, 2, positions={"END": 9}))], "END = 9 is outside the prompt"),
        ([b""], "the file has no rows"),
        ([b"[" * 100_000], "row 1: not JSON"),
        ([b"\xff\xfe"], "row 1: not JSON in UTF-8"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(calls, reason):
    with pytest.raises(SubjectError, match=reason):
        checked("d.py:f", calls)


@pytest.fixture
def ask(tmp_path):
    root = tmp_path / "bundle"

    def run(source: str, *, digest: str = "d", salt: str = "s", **arguments):
        (root / "src").mkdir(parents=True, exist_ok=True)
        (root / "src/data.py").write_text(HEAD + textwrap.dedent(source))
        (root / "results").mkdir(exist_ok=True)
        (root / "results/picked.json").write_text("{}")
        function = DataFunction(
            root,
            digest,
            ("src/data.py", "results/picked.json"),
            "src/data.py:make",
            arguments,
            salt,
        )
        return prompts_of(function, tmp_path / "store")

    return run


@sandboxed
def test_splits_share_no_prompt_and_are_large_enough(ask):
    found = ask(
        "def make(n, seed): return {**rows(n, seed), 'positions': {'END': 5, 'START': [0] * n}}"
    )
    task = describe(found.ref)
    assert (task.problems, task.positions) == ((), ("END", "START"))
    drawn = [
        draw(found.ref, Slice("t", split, n=n), "")
        for split, n in (("calibration", 64), ("evaluation", 1024))
    ]
    first, second = ({tuple(tokens) for tokens in each.tokens.tolist()} for each in drawn)
    assert (len(first), len(second)) == (64, 1024)
    assert not first & second
    assert found.notes == ()
    assert found.isolation in ("bubblewrap", "landlock")


@sandboxed
@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("def make(n, seed): return rows(n, 7)", "always the same 750 prompts, whatever the seed"),
        ("def make(): return rows(200, 7)", "always the same 200 prompts, whatever the seed"),
        (
            "def make(count): return rows(count, random.random())",
            "it takes no seed, so the global generators were seeded before each call",
        ),
    ],
)
def test_what_a_reader_has_to_know_is_noted(ask, source, note):
    assert f"src/data.py:make: {note}" in ask(source).notes


@sandboxed
def test_small_batches_are_collected_until_there_are_enough(ask):
    found = ask(
        "def make(batch_size=32, random_state=0): return rows(min(batch_size, 32), random_state)"
    )
    assert len(Path(found.ref.file).read_text().splitlines()) >= 1500


@sandboxed
def test_arguments_of_the_claim_file_reach_it_and_count_for_the_address(ask):
    source = "def make(n, *, seed, low): return rows(n, seed, low)"
    found = ask(source, low=500)
    tokens = [json.loads(line)["tokens"] for line in Path(found.ref.file).read_text().splitlines()]
    assert min(min(one) for one in tokens) >= 500
    assert ask(source, low=600).ref.sha256 != found.ref.sha256
    with pytest.raises(
        SubjectError, match="make: needs low, which the task's arguments do not give"
    ):
        ask(source)


@sandboxed
@pytest.mark.parametrize(
    "source",
    [
        "def make(n, seed):\n    import numpy as np\n"
        "    return {k: np.array(v) for k, v in rows(n, seed).items()}",
        "def make(n, seed):\n    import torch\n"
        "    return {k: torch.tensor(v) for k, v in rows(n, seed).items()}",
        "def make(n, seed):\n    found = rows(n, seed)\n"
        "    return [dict(zip(found, one)) for one in zip(*found.values())]",
        "from collections import namedtuple\ndef make(n, seed):\n"
        "    return namedtuple('Batch', 'tokens counterfactual answer foil')(**rows(n, seed))",
    ],
    ids=["numpy", "torch", "rows", "named tuple"],
)
def test_the_usual_shapes_of_data(ask, source):
    assert describe(ask(source).ref).problems == ()


@sandboxed
def test_strata_by_name(ask):
    found = ask(
        "def make(n, seed): return {**rows(n, seed), 'stratum': ['fresh', 'rare'] * (n // 2)}"
    )
    assert describe(found.ref).strata == ("fresh", "rare")


@sandboxed
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def make(n): raise ValueError('no data')", "ValueError: no data .src/data.py:"),
        ("def make(n): return 5", "returned int, not columns by name or a list of rows"),
        ("def make(n): return [object()]", "returned a list of object, not of rows"),
        ("def make(n): return {'answer': [1]}", "returned no column 'tokens'"),
        ("def make(n): return {**rows(n, 1), 'foil': [1]}", "foil has 1 rows, tokens 750"),
        ("def make(n): return rows(30_000, 1)", "returned 30000 prompts at once"),
        (
            "def make(n): return {**rows(n, 1), 'answer': [0.5] * n}",
            "row 1: answer must be a token",
        ),
        ("def make(n):\n    import os\n    os._exit(0)", "gave no answer"),
        ("def make(n):\n    open('results/picked.json')", "FileNotFoundError"),
        ("def make(n): return rows(12, 1)", "always the same 12 different prompts"),
        ("make = 5", "TypeError"),
    ],
)
def test_failures_are_one_sentence(ask, source, reason):
    with pytest.raises(SubjectError, match=reason) as raised:
        ask(source)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("src/data.py:make")


@sandboxed
def test_it_is_called_once_and_again_when_its_prompts_are_gone(ask, tmp_path):
    source = "import time\ndef make(n, seed): return rows(n, time.time_ns())"
    first = ask(source)
    assert ask(source) == first
    (tmp_path / "store/prompts" / f"{first.ref.sha256}.jsonl").unlink()
    assert ask(source).ref.sha256 != first.ref.sha256
    assert ask(source, salt="other").ref.sha256 != first.ref.sha256


@sandboxed
def test_a_refusal_is_remembered(ask, monkeypatch):
    source = "def make(n): return rows(5, 1)"
    with pytest.raises(SubjectError) as first:
        ask(source)
    monkeypatch.setattr(
        "pytest_mecheval.run.bundle_data.ask", lambda *_: pytest.fail("asked again")
    )
    with pytest.raises(SubjectError) as second:
        ask(source)
    assert str(first.value) == str(second.value)
