"""A whole ablation claim, from evidence to verdict: errors at its threshold, power beyond it."""

import numpy as np
import pytest

from pytest_mecheval.checks.kinds.ablation import AblationSpec, decide, plan
from pytest_mecheval.checks.worked import SUBJECT
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import AblationValue, Metric, Verdict
from pytest_mecheval.wire import Run

pytestmark = pytest.mark.calibration

ALPHA = 0.01
REPETITIONS = 400
MIN_DROP = 2.0
CLEAN = 5.0

NOISE = {
    "normal": lambda rng, n: rng.normal(0.0, 1.5, n),
    "right tail": lambda rng, n: rng.exponential(1.5, n) - 1.5,
    "left tail": lambda rng, n: 1.5 - rng.exponential(1.5, n),
    "clipped": lambda rng, n: np.where(rng.random(n) < 0.2, 4.0, -1.0),
}


def spec(**fields):
    return AblationSpec(
        task="repeated",
        components=("a1.h1",),
        value=AblationValue.RESAMPLE,
        positions="all",
        metric=Metric.LOGIT_DIFF,
        **fields,
    )


def verdict(seed, noise, effect, claim, controls=0.0):
    """The verdict when the claimed head costs `effect` on average and every other head `controls`."""
    rng = np.random.default_rng(seed)
    base = {"calibration": rng.normal(CLEAN, 0.5, 64), "evaluation": rng.normal(CLEAN, 0.5, 256)}
    arrays = {}
    for step in plan(claim, SUBJECT):
        assert isinstance(step.probe, Run)
        edit, n = step.probe.intervention, step.slice.n
        clean = base[step.slice.split]
        if not edit.components:
            values = clean if edit.base == "clean" else -clean
        elif len(edit.components) > 1:
            values = -clean
        elif edit.components == claim.components and edit.joint != "partners_only":
            values = clean - effect - noise(rng, n)
        else:
            values = clean - controls - noise(rng, n)
        arrays[step] = Measurement(values)
    return decide(claim, SUBJECT, Evidence(arrays)).verdict


@pytest.mark.parametrize("name", NOISE)
def test_an_effect_on_its_threshold_is_supported_or_refuted_at_most_alpha(name, at_most):
    verdicts = [
        verdict(seed, NOISE[name], MIN_DROP, spec(min_drop=MIN_DROP)) for seed in range(REPETITIONS)
    ]
    assert verdicts.count(Verdict.SUPPORTED) / REPETITIONS <= at_most(ALPHA, REPETITIONS)
    assert verdicts.count(Verdict.REFUTED) / REPETITIONS <= at_most(ALPHA, REPETITIONS)


@pytest.mark.parametrize("name", NOISE)
def test_an_effect_of_twice_its_threshold_is_supported(name):
    claim = spec(min_drop=MIN_DROP)
    verdicts = [verdict(seed, NOISE[name], 2 * MIN_DROP, claim) for seed in range(60)]
    assert verdicts.count(Verdict.SUPPORTED) >= 57


def test_a_head_no_better_than_its_controls_is_not_called_special(at_most):
    claim = spec(special=True)
    verdicts = [
        verdict(seed, NOISE["normal"], 4.0, claim, controls=3.9) for seed in range(REPETITIONS // 2)
    ]
    assert verdicts.count(Verdict.SUPPORTED) / len(verdicts) <= at_most(ALPHA, len(verdicts))
