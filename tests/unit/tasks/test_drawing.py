"""The one door to prompts: identity of a task, seeds, and texts for what is unknown."""

import subprocess
import sys

import numpy as np
import pytest

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.drawing import TaskFacts, describe, draw, facts, problems, seed
from pytest_mecheval.tasks.registry import UnknownTask, task_generators
from pytest_mecheval.wire import DataRef, Slice

INDUCTION = DataRef("induction", {"length": 24})


def tokens(data, prompts, salt="salt"):
    return draw(data, prompts, salt).tokens


def test_local_name_of_the_task_does_not_count():
    first, second = (
        tokens(INDUCTION, Slice(name, "evaluation", n=32)) for name in ("repeated", "theirs")
    )
    assert np.array_equal(first, second)


def test_spelling_a_default_out_changes_nothing():
    spelled = DataRef("induction", {"vocab": 64, "length": 24, "periods": [6, 20], "bos": None})
    prompts = Slice("t", "evaluation", n=32)
    assert np.array_equal(tokens(INDUCTION, prompts), tokens(spelled, prompts))


def test_only_parameters_that_differ_from_their_defaults_are_the_identity():
    # so that a parameter added later leaves every earlier draw as it was
    prompts = Slice("t", "evaluation", n=32)
    generator = task_generators()["induction"]
    rng = np.random.default_rng(seed(["induction", {"length": 24}], prompts, "salt"))
    parameters = generator.parameters(vocab=64, length=24)
    expected = generator.draw(parameters, "fresh", "evaluation", 32, rng)
    assert np.array_equal(tokens(INDUCTION, prompts), expected.tokens)


def test_parameters_split_stratum_and_salt_all_count():
    prompts = Slice("t", "evaluation", n=32)
    base = seed(["induction", {}], prompts, "salt")
    others = [
        seed(["induction", {"length": 24}], prompts, "salt"),
        seed(["ioi", {}], prompts, "salt"),
        seed(["induction", {}], Slice("t", "calibration", n=32), "salt"),
        seed(["induction", {}], Slice("t", "evaluation", "new_lengths", 32), "salt"),
        seed(["induction", {}], prompts, "pepper"),
    ]
    assert len({base, *others}) == 6
    assert seed(["induction", {}], Slice("u", "evaluation", n=9), "salt") == base


def test_unknown_generator_is_named_with_the_closest():
    (problem,) = problems("modular-addition", {})
    assert problem == (
        "unknown generator 'modular-addition', did you mean 'modular_addition'? (known: "
        "brackets, greater_than, induction, ioi, max_of_k, modular_addition)"
    )
    assert "did you mean" not in problems("zzzz", {})[0]


def test_unknown_and_bad_parameters_are_reported_together_unknown_first():
    found = problems("induction", {"lenght": 24, "vocab": 1, "bos": -1})
    assert [text.split("(")[0].strip() for text in found] == [
        "induction: unknown parameter 'lenght', did you mean 'length'?",
        "induction: vocab: 1 is below the smallest possible value 4",
        "induction: bos: -1 is below the smallest possible value 0",
    ]
    with pytest.raises(UnknownTask) as caught:
        draw(
            DataRef("induction", {"lenght": 24, "vocab": 1, "bos": -1}),
            Slice("t", "evaluation"),
            "",
        )
    assert str(caught.value).splitlines() == list(found)


def test_good_references_have_no_problems():
    assert problems("induction", {"length": 24}) == ()
    assert facts("modular_addition", {"p": 7}) == TaskFacts(
        strata=("fresh",), positions=("A", "B", "END"), population=49
    )
    assert not facts("induction", {}).exhaustive


def test_facts_of_a_bad_reference_hold_only_problems():
    assert facts("induction", {"lenght": 1}) == TaskFacts(
        problems=problems("induction", {"lenght": 1})
    )


def test_unknown_stratum_is_named_with_the_closest():
    with pytest.raises(
        SubjectError, match=r"induction: unknown stratum 'new_length', did you mean 'new_lengths'\?"
    ):
        draw(DataRef("induction"), Slice("t", "evaluation", "new_length"), "salt")


@pytest.mark.parametrize(
    ("data", "extra"),
    [
        (DataRef(generator="ioi", file="/x.jsonl"), "generator"),
        (DataRef(parameters={"p": 3}, file="/x.jsonl"), "parameters"),
    ],
)
def test_data_file_takes_nothing_else(data, extra):
    assert describe(data).problems == (f"/x.jsonl: a data file takes no {extra}",)
    with pytest.raises(UnknownTask, match=f"takes no {extra}"):
        draw(data, Slice("t", "evaluation"), "salt")


def test_drawing_needs_numpy_but_neither_torch_nor_pydantic_nor_safetensors():
    code = (
        "import sys; from pytest_mecheval.tasks import drawing; "
        "from pytest_mecheval.wire import DataRef, Slice; "
        "drawing.draw(DataRef('ioi'), Slice('t', 'evaluation', n=8), 's'); "
        "print([m for m in ('torch', 'pydantic', 'safetensors', 'scipy', 'pytest') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert run.stdout.strip() == "[]"
