"""What a direct attribution says about its sign."""

import pytest

from pytest_mecheval.checks.kinds.attribution import CHECK
from pytest_mecheval.vocabulary import Verdict


@pytest.mark.parametrize(("negated", "side"), [(False, "for"), (True, "against")])
def test_the_side_that_counts_as_positive_is_named(negated, side):
    """`suppresses -0.97` would leave the reader to multiply signs."""
    example = CHECK.examples[0]
    spec = CHECK.negate(example.spec, example.subject) if negated else example.spec
    decision = CHECK.decide(spec, example.subject, example.evidence)
    assert decision.verdict is (Verdict.REFUTED if negated else Verdict.SUPPORTED)
    assert f"of the logit difference {side} the answer" in decision.measured
    assert f"of the logit difference {side} the answer" in decision.needed
    assert (decision.estimate.value < 0) is negated
