"""Documents are strict JSON, lossless, inert and the same on every run."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.evidence.decision import Control, Decision, Estimate, Shams
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.report.decisions import bundle_document, decision_document, json_text
from pytest_mecheval.report.jsonable import plain_json
from pytest_mecheval.report.outcome import (
    BundleReport,
    Outcome,
    RecordUse,
    State,
    merged_provenance,
    outcome,
)
from pytest_mecheval.report.reading import read_document
from pytest_mecheval.vocabulary import Dimension, Rung, Tier, Verdict

Build = Callable[..., Any]
NUMBERS = st.floats()
TEXTS = st.text(st.characters(), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
DECISIONS = st.builds(
    Decision,
    verdict=st.sampled_from(Verdict),
    code=TEXTS,
    measured=TEXTS,
    needed=TEXTS,
    rung=st.sampled_from(Rung),
    estimate=st.none()
    | st.builds(Estimate, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(0), TEXTS, TEXTS),
    threshold=st.none() | NUMBERS,
    controls=st.lists(st.builds(Control, TEXTS, NUMBERS), max_size=3).map(tuple),
    shams=st.none()
    | st.builds(Shams, st.integers(0), st.integers(0), st.lists(TEXTS, max_size=2).map(tuple)),
    p_value=st.none() | NUMBERS,
    tier=st.sampled_from(Tier),
    notes=st.lists(TEXTS, max_size=3).map(tuple),
)
OUTCOMES = st.builds(
    Outcome,
    claim=TEXTS,
    kind=TEXTS,
    dimension=st.sampled_from(Dimension),
    file=TEXTS,
    line=st.integers(1),
    quote=TEXTS,
    spec=st.dictionaries(TEXTS, JSON, max_size=3).map(plain_json),
    decision=DECISIONS,
    headline=st.booleans(),
    operationalised=st.lists(TEXTS, max_size=2).map(tuple),
    records=st.lists(
        st.builds(
            RecordUse,
            address=TEXTS,
            content=TEXTS,
            step=st.fixed_dictionaries(
                {"slice": st.just({"task": "t", "n": 3}), "probe": st.just({})}
            ),
        ),
        max_size=2,
        unique_by=lambda record: record.address,
    ).map(tuple),
    unavailable=TEXTS,
    subject=st.dictionaries(TEXTS, JSON, max_size=3).map(plain_json),
    isolation=st.lists(st.just({"backend": "bubblewrap"}), max_size=1).map(tuple),
    provenance=st.dictionaries(TEXTS, JSON, max_size=3).map(plain_json),
)


@settings(max_examples=50, deadline=None)
@given(OUTCOMES)
def test_a_document_read_back_is_the_outcome(made: Outcome) -> None:
    text = json_text(decision_document(made))
    read = read_document(json.loads(text))
    # repr tells NaN from numbers and -0.0 from 0.0, where == does not.
    assert repr(read.decision) == repr(made.decision)
    assert replace(read, decision=None) == replace(made, decision=None)
    assert text.isascii()
    assert not set(text) & set("<>&")


@pytest.mark.parametrize("state", [State.ERROR, State.NOT_RUN])
def test_claims_without_a_decision_read_back_too(made: Build, state: State) -> None:
    sample = made(problem="crash" if state is State.ERROR else "")
    document = json.loads(json_text(decision_document(sample)))
    assert document["verdict"] == str(state)
    assert read_document(document) == sample


def test_strict_readers_meet_no_nan(made: Build, decision: Build) -> None:
    estimate = Estimate(math.nan, -math.inf, math.inf, 0.01, 0, "nats", "betting")
    text = json_text(decision_document(made("x", decision(estimate=estimate))))

    def refuse(word: str) -> None:
        raise AssertionError(word)

    document = json.loads(text, parse_constant=refuse)
    assert document["estimate"]["value"] == "NaN"
    assert document["estimate"]["lower"] == "-Infinity"


def test_a_document_of_another_format_is_refused(made: Build, decision: Build) -> None:
    document = decision_document(made("x", decision())) | {"format": 99}
    with pytest.raises(ValueError, match="format 99, need 2"):
        read_document(document)


@pytest.fixture
def report(made: Build, decision: Build, unchecked: Build) -> BundleReport:
    outcomes = (
        made("b-refuted", decision(Verdict.REFUTED, code="no effect", p_value=1.0)),
        made("a-supported", decision(p_value=0.001)),
        made("d-later"),
        made("c-lost", problem="worker gw0 crashed"),
    )
    return BundleReport(
        "induction_heads",
        "ab" * 32,
        "induction_heads.claims.yaml",
        "cd" * 32,
        "salt-1",
        outcomes,
        (unchecked(),),
        {"pytest-mecheval": "0.1.0"},
    )


def test_a_bundle_document_says_everything(report: BundleReport) -> None:
    document = bundle_document(report)
    assert [body["claim"] for body in document["decisions"]] == [
        "a-supported",
        "b-refuted",
        "c-lost",
        "d-later",
    ]
    assert [body["verdict"] for body in document["decisions"]] == [
        "SUPPORTED",
        "REFUTED",
        "error",
        "not run",
    ]
    assert document["coverage"] == {"tested": 2, "stated": 5}
    assert document["scores"]["reproducibility"]["share"] == 0.5
    assert document["scores"]["coherence"]["share"] is None
    assert document["family"]["supported"] == ["a-supported"]
    assert document["family"]["adjusted"]["a-supported"] == 0.002
    assert document["salt"] == "salt-1"
    assert document["bundle"]["sha256"] == "ab" * 32
    (untested,) = document["untested"]
    assert (untested["claim"], untested["reason"]) == ("elegance", "no operational meaning")
    assert untested["quote"]["line"] == 6
    assert document["tiers"] == {"T3": 2, "T2": 0, "T1": 0, "T0": 0}


def test_what_claims_share_is_written_once(made: Build, decision: Build, record: Build) -> None:
    shared = {
        "records": (record("a"), record("b")),
        "subject": {"claimed": ["a1.h6"]},
        "isolation": ({"backend": "landlock"},),
    }
    outcomes = tuple(replace(made(name, decision()), **shared) for name in ("one", "two"))
    document = bundle_document(BundleReport("b", "", "", "", "", outcomes))
    assert sorted(document["records"]) == ["a" * 64, "b" * 64]
    assert [len(document[name]) for name in ("subjects", "isolations")] == [1, 1]
    assert "task" not in document["records"]["a" * 64]["step"]["slice"]
    assert [each["evidence"][0] for each in document["decisions"]] == [
        {"address": "a" * 64, "task": "repeated"}
    ] * 2


def test_bytes_are_the_same_apart_from_the_run_block(report: BundleReport) -> None:
    first, second = report.outcomes[0], report.outcomes[1]
    slow = replace(
        first, provenance={"seconds": 9.5, "torch": "2.13.0", "inner": {"threads": 2, "x": 1}}
    )
    fast = replace(
        first, provenance={"seconds": 0.5, "torch": "2.13.0", "inner": {"threads": 1, "x": 1}}
    )
    one = bundle_document(replace(report, outcomes=(slow, second)), {"seconds": 10.0})
    two = bundle_document(replace(report, outcomes=(second, fast)), {"seconds": 1.0})
    assert one["run"] == {
        "seconds": 10.0,
        "provenance": {"b-refuted": {"seconds": 9.5, "inner": {"threads": 2}}},
    }
    assert one.pop("run") != two.pop("run")
    assert json_text(one) == json_text(two)
    assert one["decisions"][1]["provenance"] == {"torch": "2.13.0", "inner": {"x": 1}}


def test_provenance_of_many_measurements_is_told_once(evidence: Evidence) -> None:
    assert merged_provenance(evidence) == {
        "measurements": 5,
        "torch": "2.13.0",
        "seconds": 0.25,
        "controls": {"placebo": 0.0},
    }


def test_an_outcome_takes_its_records_and_operationalisation(
    claim: Build, check: Any, decision: Build, evidence: Evidence
) -> None:
    addresses = dict(zip(evidence.measurements, ("f2", "a1", "f2", ""), strict=False))
    kept = Evidence(
        {
            step: replace(evidence[step], address=address, content=f"c{number}")
            for number, (step, address) in enumerate(addresses.items())
        }
    )
    made = outcome(
        claim(operationalised=("value", "metric"), headline=True),
        check,
        decision(),
        evidence=kept,
    )
    assert made.evidence == ("a1", "f2")
    assert [record.content for record in made.records] == ["c0", "c1", "c2"]
    assert made.records[0].step["slice"]["task"] == "repeated"
    assert made.operationalised == ("metric", "value")
    assert made.headline
    assert made.provenance["torch"] == "2.13.0"
