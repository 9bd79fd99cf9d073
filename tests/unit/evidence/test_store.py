"""The store gives whole, verified records or says what is wrong."""

import json

import numpy as np
import pytest

from pytest_mecheval.evidence.store import DamagedRecord, EvidenceStore
from pytest_mecheval.wire import (
    DataRef,
    Intervention,
    Job,
    ModelRef,
    PlanStep,
    Record,
    Run,
    Slice,
    dump,
    write_atomically,
)

JOB = Job(
    PlanStep(Slice("t", "evaluation", n=3), Run(Intervention(()), "logit_diff")),
    ModelRef("transformer_lens", sha256="0" * 64),
    DataRef("induction"),
    salt="",
)


@pytest.fixture
def store(tmp_path):
    return EvidenceStore(tmp_path)


def put(store, **changes):
    record = Record(**{"address": JOB.address, "values": (1.0, 2.0, 3.0), **changes})
    write_atomically(store.path(JOB), dump(record))


def test_a_missing_record_is_none(store):
    assert store.read(JOB) is None
    assert not store.holds(JOB)


def test_a_whole_record_comes_back(store):
    put(store, clusters=(0, 0, 1), facts={"partners": ["a0.h1"]})
    record = store.read(JOB)
    assert np.array_equal(record.values, [1.0, 2.0, 3.0])
    assert record.facts == {"partners": ["a0.h1"]}
    assert store.holds(JOB)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"address": "f" * 64}, "holds the record of ffffffffffff"),
        ({"values": ()}, "holds no values"),
        ({"values": (1.0,) * 4}, "4 values where 3 were asked for"),
        ({"values": (1.0, "2", 3.0)}, "a value is not a number"),
        ({"values": (1.0, True, 3.0)}, "a value is not a number"),
        ({"clusters": (0, 1)}, "2 clusters for 3 values"),
        ({"clusters": (0, 1, "2")}, "a cluster is not a whole number"),
        ({"tolerance": float("nan")}, "its tolerance is not a number"),
        ({"tolerance": "0"}, "its tolerance is not a number"),
    ],
)
def test_a_record_that_contradicts_its_job_is_damaged(store, changes, problem):
    put(store, **changes)
    with pytest.raises(DamagedRecord, match=problem):
        store.read(JOB)


@pytest.mark.parametrize(
    "changes",
    [{"values": (), "unavailable": "no weights"}, {"values": (1.0,) * 9, "exhaustive": True}],
    ids=["unavailable", "exhaustive"],
)
def test_legitimate_other_lengths(store, changes):
    put(store, **changes)
    assert store.read(JOB) is not None


@pytest.mark.parametrize("cut", [0, 1, 30, -1])
def test_a_cut_file_is_damaged_and_can_be_discarded(store, cut):
    put(store)
    path = store.path(JOB)
    path.write_text(path.read_text()[:cut])
    with pytest.raises(DamagedRecord):
        store.read(JOB)
    store.discard(JOB)
    assert store.read(JOB) is None


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "[" * 100_000, json.dumps({"values": 3})])
def test_other_json_is_damaged(store, text):
    write_atomically(store.path(JOB), text)
    with pytest.raises(DamagedRecord):
        store.read(JOB)
