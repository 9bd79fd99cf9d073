"""What every generator promises, whatever its task; a new generator is tested by being there."""

import dataclasses
import time

import numpy as np
import pytest

from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.tasks.registry import task_generators
from pytest_mecheval.wire import DataRef, Slice, Split

EXPECTED = {"brackets", "greater_than", "induction", "ioi", "max_of_k", "modular_addition"}
CASES = [
    pytest.param(name, stratum, id=f"{name}-{stratum}")
    for name, generator in task_generators().items()
    for stratum in generator.strata
]
MAX_SECONDS = 0.05


def drawn(
    name: str, stratum: str, split: Split = "evaluation", n: int = 256, salt: str = "s"
) -> Examples:
    return draw(DataRef(generator=name), Slice("local", split, stratum, n), salt)


def prompts(examples: Examples) -> set[bytes]:
    return {row.tobytes() for row in examples.tokens}


def columns(examples: Examples) -> list[np.ndarray]:
    fixed = [examples.tokens, examples.counterfactual, examples.answers, examples.foils]
    return [*fixed, examples.read, *(examples.positions[k] for k in sorted(examples.positions))]


def test_all_standard_tasks_are_found_under_their_file_names():
    assert set(task_generators()) >= EXPECTED
    assert all(name == generator.name for name, generator in task_generators().items())


@pytest.mark.parametrize("name", sorted(task_generators()))
def test_record_is_complete(name):
    generator = task_generators()[name]
    assert generator.strata[0] == "fresh"
    assert "END" in generator.positions
    assert generator.doc.strip()
    facts = describe(DataRef(generator=name))
    assert facts.problems == ()
    assert facts.strata == generator.strata, "defaults must allow every stratum"
    assert dataclasses.is_dataclass(generator.parameters)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(generator.parameters(), dataclasses.fields(generator.parameters)[0].name, 1)


@pytest.mark.parametrize(("name", "stratum"), CASES)
def test_equal_arguments_give_equal_prompts(name, stratum):
    for split in ("calibration", "evaluation"):
        first, second = (drawn(name, stratum, split, 64) for _ in range(2))
        for left, right in zip(columns(first), columns(second), strict=True):
            assert np.array_equal(left, right)


@pytest.mark.parametrize(("name", "stratum"), CASES)
def test_another_salt_gives_another_draw(name, stratum):
    first, second = (drawn(name, stratum, "evaluation", 64, salt) for salt in ("a", "b"))
    assert not np.array_equal(first.counterfactual, second.counterfactual)
    if not first.exhaustive:
        assert len(prompts(first) - prompts(second)) >= 16


@pytest.mark.parametrize(("name", "stratum"), CASES)
def test_smaller_draw_is_the_beginning_of_a_larger_one(name, stratum):
    small, large = (drawn(name, stratum, "calibration", n) for n in (20, 64))
    for few, many in zip(columns(small), columns(large), strict=True):
        assert np.array_equal(few, many[:20])


@pytest.mark.parametrize(("name", "stratum"), CASES)
def test_prompts_are_distinct_and_splits_disjoint(name, stratum):
    calibration, evaluation = (
        drawn(name, stratum, split, n) for split, n in (("calibration", 64), ("evaluation", 256))
    )
    assert len(prompts(calibration)) == 64
    assert len(prompts(evaluation)) == evaluation.tokens.shape[0]
    population = describe(DataRef(generator=name)).population
    if evaluation.exhaustive:
        assert evaluation.tokens.shape[0] == population
        assert prompts(calibration) < prompts(evaluation)
    else:
        assert population == 0
        assert evaluation.tokens.shape[0] == 256
        assert not prompts(calibration) & prompts(evaluation)


@pytest.mark.parametrize("name", sorted(EXPECTED - {"modular_addition"}))
def test_splits_stay_disjoint_under_another_salt(name):
    calibration = drawn(name, "fresh", "calibration", 64, "one")
    evaluation = drawn(name, "fresh", "evaluation", 256, "two")
    assert not prompts(calibration) & prompts(evaluation)


@pytest.mark.parametrize(("name", "stratum"), CASES)
def test_pairs_differ_and_named_positions_are_the_announced_ones(name, stratum):
    examples = drawn(name, stratum)
    assert set(examples.positions) == set(task_generators()[name].positions)
    assert np.array_equal(examples.positions["END"], examples.read)
    assert (examples.answers != examples.foils).all()
    assert (examples.tokens != examples.counterfactual).any(axis=1).all()
    assert examples.tokens.min() >= 0
    assert examples.counterfactual.min() >= 0
    assert examples.clusters is None or examples.clusters.shape == examples.answers.shape


@pytest.mark.parametrize(("name", "stratum"), CASES)
def test_drawing_256_prompts_is_quick(name, stratum):
    seconds = []
    for salt in "abcde":
        start = time.perf_counter()
        drawn(name, stratum, salt=salt)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < MAX_SECONDS
