"""Prompts supplied as data: accepted forms, and every way to get them wrong."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks import data_file
from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.wire import DataRef, Slice


def row(number, **fields):
    """A valid row; the number makes the prompt distinct."""
    return {
        "tokens": [number, number + 1, 7],
        "counterfactual": [number, number + 2, 7],
        "answer": number + 1,
        "foil": number + 2,
        **fields,
    }


@pytest.fixture
def written(tmp_path):
    def write(rows, name="prompts.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
        return DataRef(file=str(path))

    return write


def drawn(data, split="evaluation", n=256, stratum="fresh", salt="salt"):
    return draw(data, Slice("t", split, stratum, n), salt)


def refusal(data):
    (first, *rest) = describe(data).problems
    return [line.removeprefix(f"{data.file}: ") for line in (first, *rest)]


def test_every_row_keeps_its_columns_together(written):
    data = written([row(i, positions={"B": 1, "END": 2}, cluster=i % 4) for i in range(100)])
    examples = drawn(data)
    number = examples.tokens[:, 0]
    assert 60 < number.size < 95
    assert np.array_equal(examples.tokens, np.stack([number, number + 1, number * 0 + 7], axis=1))
    assert np.array_equal(examples.counterfactual[:, 1], number + 2)
    assert np.array_equal(examples.answers, number + 1)
    assert np.array_equal(examples.foils, number + 2)
    assert np.array_equal(examples.clusters, number % 4)
    assert set(examples.read.tolist()) == {2}, "read defaults to the last position"
    assert set(examples.positions["B"].tolist()) == {1}
    assert not examples.exhaustive
    assert describe(data).positions == ("B", "END")


def test_splits_partition_the_rows(written):
    data = written([row(i) for i in range(100)])
    calibration, evaluation = (
        {tuple(r) for r in drawn(data, split).tokens.tolist()}
        for split in ("calibration", "evaluation")
    )
    assert not calibration & evaluation
    assert len(calibration | evaluation) == 100


def test_more_rows_than_asked_are_a_seeded_choice(written):
    data = written([row(i) for i in range(200)])
    first, again, other = (drawn(data, n=30, salt=salt).tokens for salt in ("a", "a", "b"))
    assert first.shape[0] == 30
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_identity_is_the_content_not_the_place(written):
    rows = [row(i) for i in range(100)]
    first, second = written(rows, "a.jsonl"), written(rows, "b.jsonl")
    assert np.array_equal(drawn(first).tokens, drawn(second).tokens)


def test_repeated_prompt_counts_once(written):
    data = written([row(i % 50, foil=i % 50 + 2 + i // 50) for i in range(150)])
    parts = [drawn(data, split) for split in ("calibration", "evaluation")]
    assert sum(part.answers.size for part in parts) == 50
    for part in parts:
        assert np.array_equal(part.foils, part.tokens[:, 0] + 2), "the first of its rows counts"


def test_strata_are_separate_and_may_differ_in_length(written):
    longer = [
        {**row(i, stratum="new_lengths"), "tokens": [i, 1, 2, 3], "counterfactual": [i, 4, 5, 6]}
        for i in range(60)
    ]
    data = written([row(i) for i in range(60)] + longer)
    assert describe(data).strata == ("fresh", "new_lengths")
    assert drawn(data).tokens.shape[1] == 3
    assert drawn(data, stratum="new_lengths").tokens.shape[1] == 4
    with pytest.raises(SubjectError, match=r"no rows of stratum 'other' \(there are: fresh, new_l"):
        drawn(data, stratum="other")


def test_too_few_rows_are_refused_per_split(written):
    with pytest.raises(SubjectError, match=r"\d+ distinct evaluation prompts .* need at least 20"):
        drawn(written([row(i) for i in range(19)]))
    only_evaluation = [
        row(i)
        for i in range(60)
        if not data_file.is_calibration(data_file.row_bytes(np.array([row(i)["tokens"]]))[0])
    ]
    with pytest.raises(SubjectError, match=r"0 distinct calibration prompts .* need at least 2"):
        drawn(written(only_evaluation), "calibration")


def test_twenty_evaluation_rows_are_enough(written):
    evaluation = [
        row(i)
        for i in range(60)
        if not data_file.is_calibration(data_file.row_bytes(np.array([row(i)["tokens"]]))[0])
    ]
    assert drawn(written(evaluation[:20])).answers.size == 20


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("{", "row 2: not JSON in UTF-8"),
        ("[" * 100_000, "row 2: not JSON in UTF-8"),
        ("3", "row 2: not a JSON object"),
        ({"tokens": [1]}, "row 2: counterfactual is missing"),
        (row(1, fiol=3), "row 2: unknown field 'fiol', did you mean 'foil'?"),
        (row(1, answer=3.0), "row 2: answer must be a token id"),
        (row(1, answer=True), "row 2: answer must be a token id"),
        (row(1, answer=-1), "row 2: answer must be a token id"),
        (row(1, tokens=[1, "a", 7]), "row 2: tokens must be a list of token ids"),
        (row(1, tokens=[]), "row 2: tokens must be a list of token ids"),
        (row(1, tokens=[1, 2, 10**30]), "row 2: tokens must be a list of token ids"),
        (row(1, counterfactual=[1, 2]), "row 2: counterfactual has 2 tokens, the prompt 3"),
        (row(1, foil=2), "row 2: answer equals foil (2), so logit_diff has no meaning"),
        (row(1, read=3), "row 2: read = 3 is outside the prompt (0 to 2)"),
        (row(1, read=None), "row 2: read must be a whole number"),
        (row(1, positions={"S2": -1}), "row 2: S2 = -1 is outside the prompt (0 to 2)"),
        (row(1, positions=[1]), "row 2: positions must map names to whole numbers"),
        (row(1, positions={"S2": 1}), "row 2: positions ['S2'], row 1 has []"),
        (row(1, cluster=1), "row 2: cluster must be given in all rows or in none"),
        (row(1, cluster="a"), "row 2: cluster must be a whole number"),
        (row(1, stratum=3), "row 2: stratum must be a name"),
        (
            row(1, tokens=[1, 2], counterfactual=[1, 3]),
            "row 2: 2 tokens, row 1 has 3 (all prompts of a stratum need one length)",
        ),
    ],
)
def test_bad_row_is_named(written, bad, problem):
    data = written([row(0), bad, row(2)])
    assert problem in refusal(data)
    with pytest.raises(SubjectError, match=re.escape(problem)):
        drawn(data)


def test_many_problems_are_counted_not_listed(written):
    problems = refusal(written(["{"] * 25))
    assert len(problems) == data_file.SHOWN_PROBLEMS + 1
    assert problems[-1] == "and 15 more problems"


@pytest.mark.parametrize("body", ["", "\n \n"])
def test_empty_file_is_an_empty_task(tmp_path, body):
    path = tmp_path / "prompts.jsonl"
    path.write_text(body)
    with pytest.raises(SubjectError, match="empty task"):
        drawn(DataRef(file=str(path)))


def test_unusable_files_are_refused(tmp_path, monkeypatch, written):
    assert refusal(DataRef(file=str(tmp_path / "none.jsonl"))) == ["no such data file"]
    assert refusal(DataRef(file=str(tmp_path))) == ["no such data file"]
    pickled = written([row(0)], "prompts.pkl")
    assert refusal(pickled) == [".pkl format, use .jsonl or .safetensors"]
    monkeypatch.setattr(data_file, "MAX_BYTES", 10)
    assert "at most 10 are read" in refusal(written([row(0)]))[0]


def test_changed_file_is_refused(written):
    data = written([row(i) for i in range(100)])
    sha256 = hashlib.sha256(Path(data.file).read_bytes()).hexdigest()
    assert drawn(DataRef(file=data.file, sha256=sha256)).answers.size > 20
    with pytest.raises(SubjectError, match="changed since the measurement was planned"):
        drawn(DataRef(file=data.file, sha256="0" * 64))


def tensors(n=100, **columns):
    number = np.arange(n)
    tokens = np.stack([number, number + 1, np.full(n, 7)], axis=1)
    return {
        "tokens": tokens,
        "counterfactual": tokens + np.array([0, 1, 0]),
        "answer": number + 1,
        "foil": number + 2,
        **columns,
    }


@pytest.fixture
def saved(tmp_path):
    def save(columns, metadata=None):
        path = tmp_path / "prompts.safetensors"
        save_file(columns, path, metadata)
        return DataRef(file=str(path))

    return save


def test_safetensors_columns_mean_the_same_as_rows(saved, written):
    where = {"positions.END": np.full(100, 2), "cluster": np.arange(100) % 4}
    from_tensors = drawn(saved(tensors(**where)))
    rows = [row(i, positions={"END": 2}, cluster=i % 4) for i in range(100)]
    from_rows = drawn(written(rows))
    order = [np.argsort(e.tokens[:, 0]) for e in (from_tensors, from_rows)]
    for name in ("tokens", "counterfactual", "answers", "foils", "read", "clusters"):
        left, right = getattr(from_tensors, name), getattr(from_rows, name)
        assert np.array_equal(left[order[0]], right[order[1]]), name
    assert set(from_tensors.positions) == {"END"}


def test_safetensors_strata_are_named_in_the_metadata(saved):
    data = saved(tensors(stratum=np.arange(100) % 2), {"strata": "fresh, new_entities"})
    assert describe(data).strata == ("fresh", "new_entities")
    assert set((drawn(data, stratum="new_entities").tokens[:, 0] % 2).tolist()) == {1}


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (tensors(answer=np.ones(100)), "tensor answer: float64 values, need whole numbers"),
        (
            tensors(answer=np.ones((100, 1), dtype=int)),
            "tensor answer: shape (100, 1), need (rows,)",
        ),
        (tensors(foil=np.arange(7)), "tensor foil: shape (7,), need (rows,) with 100 rows"),
        (tensors(extra=np.arange(100)), "unknown tensor 'extra'"),
        ({"tokens": np.zeros((3, 2), dtype=int)}, "tensor counterfactual is missing"),
        (tensors(foil=np.arange(100) + 1), "row 1: answer equals foil (1)"),
        (tensors(stratum=np.ones(100, dtype=int)), "row 1: stratum 1, the metadata names 1"),
        (tensors(0), "empty task"),
    ],
)
def test_bad_tensors_are_named(saved, columns, problem):
    assert any(problem in line for line in refusal(saved(columns)))


def test_garbage_is_not_safetensors(tmp_path):
    path = tmp_path / "prompts.safetensors"
    path.write_bytes(b"\xff" * 64)
    assert "not a readable safetensors file" in refusal(DataRef(file=str(path)))[0]
