"""Numbers beside each other, and numbers again: arithmetic decides, at the precision that is written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.kinds import consistency, reproduced_number, validation_strength
from pytest_mecheval.checks.worked import SUBJECT, ran_facts
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import Verdict


def consistent(relation, *numbers, n=None):
    spec = consistency.ConsistencySpec(relation=relation, numbers=numbers, n=n)
    assert consistency.CHECK.problems(spec, SUBJECT) == ()
    return consistency.CHECK.decide(spec, SUBJECT, Evidence({}))


@given(st.integers(-9999, 9999), st.integers(-9999, 9999), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_rounding_a_true_difference_is_never_refuted(a, b, places, change_places):
    first, second = a / 1000, b / 1000
    numbers = (f"{first:.{places}f}", f"{second:.{places}f}", f"{first - second:.{change_places}f}")
    assert consistent("difference", *numbers).verdict is not Verdict.REFUTED


@given(st.integers(1, 400), st.data(), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_a_true_mean_of_counts_is_never_refuted(n, data, places):
    right = data.draw(st.integers(0, n))
    assert (
        consistent("mean_of_counts", f"{right / n:.{places}f}", n=n).verdict is not Verdict.REFUTED
    )


@pytest.mark.parametrize(
    ("relation", "numbers", "verdict"),
    [
        ("difference", ("0.40", "-2.11", "2.52"), Verdict.SUPPORTED),
        ("difference", ("0.40", "-2.11", "-2.51"), Verdict.SUPPORTED),
        ("difference", ("0.40", "-2.11", "2.53"), Verdict.REFUTED),
        ("relative_change", ("4.0", "1.0", "-75%"), Verdict.SUPPORTED),
        ("relative_change", ("98.5%", "49.2%", "50%"), Verdict.SUPPORTED),
        ("ratio", ("5.0", "2.5", "2.0"), Verdict.SUPPORTED),
        ("ratio", ("5.0", "2.5", "2.4"), Verdict.REFUTED),
        ("sum", ("12", "30", "42"), Verdict.SUPPORTED),
        ("sum", ("12", "30", "52"), Verdict.REFUTED),
        ("within", ("0.9", "0.95", "0.86"), Verdict.REFUTED),
    ],
)
def test_relations(relation, numbers, verdict):
    assert consistent(relation, *numbers).verdict is verdict


def test_numbers_that_do_not_fit_the_relation_are_usage_errors():
    spec = consistency.ConsistencySpec(relation="difference", numbers=("1", "2"), n=3)
    found = consistency.CHECK.problems(spec, SUBJECT)
    assert found == (
        "difference takes 3 numbers (found 2)",
        "n belongs to mean_of_counts, which needs it",
    )


def again(number, *runs, label="accuracy"):
    spec = reproduced_number.ReproducedNumberSpec(
        entry="run.py", number=number, label=label, runs=len(runs)
    )
    steps = reproduced_number.CHECK.plan(spec, SUBJECT)
    measured = {
        step: Measurement(
            np.empty(0),
            facts=ran_facts(
                figures=[{"label": "test accuracy", "number": one} for one in numbers.split()]
            ),
        )
        for step, numbers in zip(steps, runs, strict=True)
    }
    return reproduced_number.CHECK.decide(spec, SUBJECT, Evidence(measured))


def test_rounding_is_half_a_unit_and_no_more():
    assert again("0.914", "0.9145", "0.9145").verdict is Verdict.SUPPORTED
    assert again("0.914", "0.91451", "0.91451").code == "another number"
    assert again("91.4%", "91.41%", "91.41%").verdict is Verdict.SUPPORTED
    assert again("91.4%", "91.41", "91.41").verdict is Verdict.SUPPORTED


def test_five_percent_off_is_named_and_refuted():
    decision = again("0.914", "0.92", "0.92")
    assert decision.code == "another number"
    assert decision.notes == ("within 5 percent, which is reported and not accepted",)


def test_of_several_numbers_with_one_label_the_best_counts_in_every_run():
    assert again("0.914", "0.5 0.914", "0.5 0.914").verdict is Verdict.SUPPORTED
    assert again("0.914", "0.5 0.914", "0.914 0.5").verdict is not Verdict.SUPPORTED
    assert again("0.914", "0.5 0.914", "0.914").code == "runs not comparable"


def test_words_that_name_a_second_number_like_it_prove_nothing():
    assert again("0.914", "0.914 0.95", "0.914 0.95").code == "words name several such numbers"
    assert again("0.914", "0.914 0.914", "0.914 0.914").verdict is Verdict.SUPPORTED
    assert again("0.914", "0.914 0.7", "0.914 0.7").verdict is Verdict.SUPPORTED
    assert again("0.914", "0.93 0.95", "0.93 0.95").code == "another number"


def test_a_validation_claim_names_file_names_and_others_together():
    spec = validation_strength.ValidationStrengthSpec(
        entry="v.py", claimed=("a0.h1",), others=("a0.h1", "a0.h1")
    )
    found = validation_strength.CHECK.problems(spec, SUBJECT)
    assert len(found) == 3
    assert "go together" in found[0]


def decoys(claimed, others):
    spec = validation_strength.ValidationStrengthSpec(
        entry="v.py", nodes="nodes.json", claimed=claimed, others=others
    )
    steps = validation_strength.CHECK.plan(spec, SUBJECT)
    return [dict(s.probe.decoy.names) for s in steps if s.probe.decoy is not None]


def test_decoys_are_different_sets_of_components():
    assert decoys(("h1", "h2"), ("h0", "h3")) == [
        {"h1": "h0", "h2": "h3"},
        {"h1": "h0"},
        {"h1": "h3"},
    ]
    assert decoys(("h1",), ("h0", "h2", "h3", "h4")) == [{"h1": "h0"}, {"h1": "h2"}, {"h1": "h3"}]
    assert decoys(("h1",), ("h0",)) == [{"h1": "h0"}]


def test_a_single_passing_decoy_decides_nothing():
    spec = validation_strength.ValidationStrengthSpec(
        entry="v.py", passed="OK", nodes="nodes.json", claimed=("h1",), others=("h0",)
    )
    said = {"none": ["OK"], "shuffle": ["no"]}
    measured = {
        step: Measurement(
            np.empty(0),
            facts=ran_facts(
                lines=said[step.probe.sham], sham_applied=True, files=[["nodes.json", "read"]]
            ),
        )
        for step in validation_strength.CHECK.plan(spec, SUBJECT)
    }
    decision = validation_strength.CHECK.decide(spec, SUBJECT, Evidence(measured))
    assert (decision.verdict, decision.code) == (Verdict.INCONCLUSIVE, "too few shams")


@pytest.mark.parametrize(
    "text", ["1e999", "-1e999", "0e400", "1e-400", "9" * 400, "0." + "0" * 400]
)
def test_numbers_beyond_double_precision_are_no_measurements(text):
    with pytest.raises(ValidationError, match="too large, or too fine"):
        reproduced_number.ReproducedNumberSpec(entry="run.py", number=text, label="x")


@pytest.mark.parametrize(
    ("given", "instead", "hardly"),
    [
        (["3.184"], ["3.187"], True),
        (["-3.184"], ["-3.187"], True),
        (["3.184"], ["3.150"], False),
        (["-3.184"], ["3.184"], False),
        (["3.184", "3.1841"], ["3.187", "0.2"], False),
        (["3.184"], ["nan"], False),
        (["3.184"], [], False),
    ],
)
def test_noise_on_a_typed_in_number_is_no_movement(given, instead, hardly):
    real, other = ran_facts(numbers=given), ran_facts(numbers=instead)
    assert ran.hardly_moves(real, other, given[0], 0.01) is hardly
