"""A true number is rarely refuted, and a number a fifth off is never supported, at n = 1 024 prompts."""

import numpy as np
import pytest

from pytest_mecheval.checks.kinds.reported_number import NUMBER_N, ReportedNumberSpec, decide, plan
from pytest_mecheval.checks.worked import SUBJECT
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import Metric, Verdict

pytestmark = pytest.mark.calibration

REPETITIONS = 300
THEIR_N = 512
ALPHA = 0.01

POPULATIONS = {
    "normal": lambda rng, n: rng.normal(14.0, 3.5, n),
    "skewed": lambda rng, n: 11.0 + rng.exponential(3.0, n),
    "left tail": lambda rng, n: 16.0 - rng.exponential(2.0, n),
}
MEAN = 14.0


def verdict(rng, draw, number):
    spec = ReportedNumberSpec(
        task="repeated", number=number, quantity="score", metric=Metric.LOGIT_DIFF, n=THEIR_N
    )
    steps = plan(spec, SUBJECT)
    measured = {
        step: Measurement(draw(rng, step.slice.n if step.slice.n == NUMBER_N else 64))
        for step in steps
    }
    return decide(spec, SUBJECT, Evidence(measured)).verdict


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_number_measured_honestly_on_other_prompts_is_rarely_refuted(name, at_most):
    draw = POPULATIONS[name]
    refuted = 0
    for seed in range(REPETITIONS):
        rng = np.random.default_rng(seed)
        theirs = draw(rng, THEIR_N).mean()
        refuted += verdict(rng, draw, f"{theirs:.1f}") is Verdict.REFUTED
    assert refuted / REPETITIONS <= at_most(ALPHA, REPETITIONS)


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("inflation", [0.8, 1.2])
def test_a_number_a_fifth_off_is_refuted(name, inflation):
    draw = POPULATIONS[name]
    verdicts = {
        verdict(np.random.default_rng(seed), draw, f"{inflation * MEAN:.1f}") for seed in range(15)
    }
    assert verdicts == {Verdict.REFUTED}


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_true_number_is_supported(name):
    draw = POPULATIONS[name]
    supported = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        theirs = draw(rng, THEIR_N).mean()
        supported += verdict(rng, draw, f"{theirs:.1f}") is Verdict.SUPPORTED
    assert supported >= 57
