import pytest

from pytest_mecheval.checks.binding import bind
from pytest_mecheval.checks.stated_numbers import states
from pytest_mecheval.checks.worked import SUBJECT
from pytest_mecheval.claims.model import Claim


@pytest.mark.parametrize(
    ("quote", "number"),
    [
        ("Zeroing a1.h3 lowers it by 14.1 nats.", "14.1"),
        ("accuracy is 0.018.", "0.018"),
        ("(accuracy 1.000)", "1.000"),
        ("restores 98.9% of the gap", "98.9%"),
        ("restores 98.9 % of the gap", "98.9%"),
        ("a change of −0.004 nats", "-0.004"),  # noqa: RUF001
        ("a drop of 0.5", "-0.5"),
        ("8,192 prompts", "8192"),
        ("about 1.2e-3 nats", "1.2e-3"),
        ("about 1.2 × 10^-3 nats", "1.2x10^-3"),  # noqa: RUF001
        ("| 13.4, 0.042 |", "0.042"),
        ("as low as .05", "0.05"),
    ],
)
def test_figure_of_the_sentence(quote, number):
    assert states(quote, number)


@pytest.mark.parametrize(
    ("quote", "number"),
    [
        ("costs 14.2 nats", "1e1"),
        ("costs 14.2 nats", "14"),
        ("costs 14.2 nats", "14.20"),
        ("costs 114.2 nats", "14.2"),
        ("head a1.h3 matters", "3"),
        ("a mean mass of 0.997", "99.7"),
        ("it matters", "1.0"),
    ],
)
def test_figure_the_sentence_does_not_state(quote, number):
    assert not states(quote, number)


def bound(kind, spec, operationalised=()):
    quote = {"file": "logs/documentation.md", "line": 3, "text": "Accuracy is 0.98."}
    fields = {"id": "number", "kind": kind, "quote": quote, "spec": spec}
    claim = Claim.model_validate({**fields, "operationalised": operationalised})
    return bind([claim], SUBJECT.shape, SUBJECT.tasks)[1]


SPEC = {"task": "repeated", "quantity": "score", "metric": "accuracy"}


def test_claim_may_only_check_figures_it_quotes():
    assert bound("reported_number", {**SPEC, "number": "0.98"}) == ()
    (problem,) = bound("reported_number", {**SPEC, "number": "1e0"})
    assert "the quote does not state 1e0" in problem


def test_figures_inside_a_scope_count_too():
    inner = {**SPEC, "number": "1e0"}
    (problem,) = bound(
        "scope", {"check": "reported_number", "strata": ["new_lengths"], "spec": inner}
    )
    assert "the quote does not state 1e0" in problem


def test_figure_read_into_the_sentence_is_listed_as_such():
    assert bound("reported_number", {**SPEC, "number": "1e0"}, ["number"]) == ()
