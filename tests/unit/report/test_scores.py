"""Shares, exact intervals, coverage and Holm, against numbers worked out by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from pytest_mecheval.report.scores import coverage, dimension_scores, family
from pytest_mecheval.vocabulary import Dimension, Verdict

Build = Callable[..., Any]


def test_inconclusive_counts_against_and_not_testable_does_not_count(
    made: Build, decision: Build
) -> None:
    verdicts = [
        Verdict.SUPPORTED,
        Verdict.REFUTED,
        Verdict.INCONCLUSIVE,
        Verdict.VACUOUS,
        Verdict.NOT_TESTABLE,
    ]
    outcomes = [made(f"c{i}", decision(verdict)) for i, verdict in enumerate(verdicts)]
    outcomes += [made("lost", problem="crash"), made("later")]
    scores = {score.dimension: score for score in dimension_scores(outcomes)}
    assert list(scores) == list(Dimension)
    score = scores[Dimension.REPRODUCIBILITY]
    assert (score.supported, score.decided, score.share) == (1, 4, 0.25)
    # Clopper-Pearson for 1 of 4: lower 1 - .975^(1/4), upper from a table.
    assert score.lower == pytest.approx(1 - 0.975 ** (1 / 4))
    assert score.upper == pytest.approx(0.80588, abs=1e-5)
    assert scores[Dimension.COHERENCE].share is None
    assert (scores[Dimension.COHERENCE].lower, scores[Dimension.COHERENCE].upper) == (0.0, 1.0)
    assert coverage(outcomes, untested=3).tested == 4
    assert coverage(outcomes, untested=3).stated == 10


def test_all_supported_still_has_a_lower_bound(made: Build, decision: Build) -> None:
    outcomes = [made(f"c{i}", decision()) for i in range(3)]
    score = dimension_scores(outcomes)[1]
    assert (score.share, score.upper) == (1.0, 1.0)
    assert score.lower == pytest.approx(0.025 ** (1 / 3))


def test_holm_over_every_claim_with_a_p_value(made: Build, decision: Build) -> None:
    outcomes = [
        made("a", decision(p_value=0.01)),
        made("b", decision(p_value=0.03)),
        made("c", decision(Verdict.REFUTED, p_value=0.9)),
        made("d", decision(p_value=None)),
        made("e"),
    ]
    found = family(outcomes)
    # Sorted 0.01, 0.03, 0.9 times 3, 2, 1.
    assert found.adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.9})
    assert (found.supported, found.not_supported) == (("a",), ("b",))
    assert found.sentence == (
        "1 of 2 supported claims with a p-value stay supported at family level 0.05 "
        "(Holm over 3 p-values); not: b"
    )


def test_a_p_value_that_is_no_number_is_no_evidence(made: Build, decision: Build) -> None:
    found = family([made("a", decision(p_value=float("nan")))])
    assert found.not_supported == ("a",)


def test_nothing_at_all() -> None:
    assert [score.decided for score in dimension_scores([])] == [0, 0, 0]
    assert coverage([]).share is None
    assert "no family-wise statement" in family([]).sentence
