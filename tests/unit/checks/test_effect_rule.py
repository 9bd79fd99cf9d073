import numpy as np
import pytest

from pytest_mecheval.checks.effect_rule import Claimed, rule
from pytest_mecheval.checks.inference import Inference
from pytest_mecheval.vocabulary import Verdict

N = 256


def effect(mean, sd=0.5, seed=0):
    return np.random.default_rng(seed).normal(mean, sd, N)


def claimed(mean, controls=(), needed=1.0, special=False):
    return Claimed(
        effect(mean),
        np.full(N, needed),
        {f"c{i}": effect(m, seed=i + 1) for i, m in enumerate(controls)},
        special,
    )


INFERENCE = Inference(clip=10.0)


@pytest.mark.parametrize(
    ("mean", "verdict", "code"),
    [
        (4.0, Verdict.SUPPORTED, ""),
        (0.4, Verdict.REFUTED, "too small"),
        (0.0, Verdict.REFUTED, "no effect"),
        (-4.0, Verdict.REFUTED, "opposite sign"),
        (1.02, Verdict.INCONCLUSIVE, "underpowered"),
    ],
)
def test_size_of_the_effect_decides(mean, verdict, code):
    ruling = rule(claimed(mean, controls=[0.0] * 6), INFERENCE)
    assert (ruling.verdict, ruling.code) == (verdict, code)


def test_half_of_six_shams_passing_is_vacuous_and_they_are_named():
    ruling = rule(claimed(4.0, controls=[4.0, 4.0, 4.0, 0.0, 0.0, 0.0]), INFERENCE)
    assert ruling.verdict is Verdict.VACUOUS
    assert ruling.shams.names == ("c0", "c1", "c2")


def test_five_shams_are_too_few_to_call_vacuous():
    ruling = rule(claimed(4.0, controls=[4.0] * 5), INFERENCE)
    assert ruling.verdict is Verdict.SUPPORTED
    assert ruling.shams.rate == 1.0


def test_special_needs_dominance_over_every_control_whatever_its_sign():
    assert rule(claimed(4.0, [0.5] * 6, special=True), INFERENCE).verdict is Verdict.SUPPORTED
    negative_rival = rule(claimed(4.0, [-4.2, 0, 0, 0, 0, 0], special=True), INFERENCE)
    assert (negative_rival.verdict, negative_rival.code) == (Verdict.REFUTED, "not special")


@pytest.mark.parametrize("rival", [3.9, -3.9])
@pytest.mark.parametrize("place", range(6))
def test_one_close_rival_among_the_controls_keeps_special_open(place, rival):
    controls = [0.0] * 6
    controls[place] = rival
    ruling = rule(claimed(4.0, controls, special=True), INFERENCE)
    assert (ruling.verdict, ruling.code) == (
        Verdict.INCONCLUSIVE,
        "not shown to exceed every control",
    )


def test_special_without_any_control_is_never_supported():
    ruling = rule(claimed(4.0, special=True), INFERENCE)
    assert (ruling.verdict, ruling.code) == (Verdict.INCONCLUSIVE, "no control to compare with")


def test_ninety_nine_controls_use_the_rank_test():
    many = [0.0] * 99
    ruling = rule(claimed(4.0, many, special=True), INFERENCE)
    assert ruling.verdict is Verdict.SUPPORTED
    assert ruling.p_value == pytest.approx(0.01)


def test_bound_within_numeric_noise_of_the_threshold_is_not_decided():
    values = claimed(4.0, [0.0] * 6)
    sharp = rule(values, INFERENCE)
    lower = INFERENCE.lower(values.effect - values.needed)
    noisy = rule(values, Inference(clip=10.0, tolerance=lower))
    assert sharp.verdict is Verdict.SUPPORTED
    assert (noisy.verdict, noisy.code) == (Verdict.INCONCLUSIVE, "numerical")


def test_whole_population_is_compared_exactly():
    whole = Inference(clip=10.0, exhaustive=True)
    just = Claimed(np.full(N, 1.001), np.full(N, 1.0))
    assert rule(just, whole).verdict is Verdict.SUPPORTED
    assert rule(Claimed(np.full(N, 0.999), np.full(N, 1.0)), whole).verdict is Verdict.REFUTED
