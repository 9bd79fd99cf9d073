"""Engine results equal numbers computed on paper from the hand-made weights, through every runner.

With `GAIN` g the clean logit difference is g (1 - 0.3 + 0.5): induction, negative and primary head
copy the answer, the backup is silent. All other numbers follow from the docstring of handmade_model.
"""

import handmade_model as handmade
import numpy as np
import pytest
import torch

from pytest_mecheval.harness.reading import attention_mass, direct_attribution
from pytest_mecheval.wire import Intervention

G, NEGATIVE, HALF, T = handmade.GAIN, handmade.NEGATIVE, handmade.HALF, handmade.CONTEXT
CLEAN = G * (1 + NEGATIVE + HALF)
CLOSE = 1e-4
UNIFORM = 1 / T
"""Attention on each key when no key matches."""


def test_unedited_runs(bench):
    np.testing.assert_allclose(bench.values(), CLEAN, atol=CLOSE)
    np.testing.assert_allclose(bench.values(base="counterfactual"), -CLEAN, atol=CLOSE)


@pytest.mark.parametrize(
    ("components", "drop"),
    [
        (("a1.h0",), G),
        (("a1.h1",), 0.0),
        (("a1.h2",), NEGATIVE * G),
        (("a1.h3",), 0.0),
        (("a1.h4",), 0.0),
        (("a1.h3", "a1.h4"), HALF * G),
        (("a1.h3", "m1"), HALF * G),
        (("m1",), 0.0),
        (("m0",), 0.0),
        (("a1.h5",), 0.0),
        (("a0.h3",), 0.0),
        (("a1",), CLEAN),
        (("r1",), CLEAN),
        (("input",), CLEAN),
        (("a0.h0",), CLEAN * (1 - UNIFORM)),
        (("a0",), CLEAN * (1 - UNIFORM)),
        (("a0.h0", "a1.h0"), CLEAN - G * (NEGATIVE + HALF) * UNIFORM),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_zero_ablation(bench, components, drop):
    np.testing.assert_allclose(
        CLEAN - bench.values("logit_diff", *components, source="zero"), drop, atol=CLOSE
    )


@pytest.mark.parametrize(
    ("components", "drop"),
    [
        (("a1.h0",), 2 * G),
        (("a1.h1",), 0.0),
        (("a1.h2",), 2 * NEGATIVE * G),
        (("a1.h3",), HALF * G),
        (("a1.h4",), HALF * G),
        (("a1.h3", "a1.h4"), 2 * HALF * G),
        (("a0.h0",), 0.0),
        (("a1",), 2 * CLEAN),
        (("a0", "a1", "m0", "m1"), 2 * CLEAN),
        (("r1",), 2 * CLEAN),
        (("input",), 2 * CLEAN),
        (("a1.h5", "a0.h2"), 0.0),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_resampling(bench, components, drop):
    edited = bench.values("logit_diff", *components, source="counterfactual")
    np.testing.assert_allclose(CLEAN - edited, drop, atol=CLOSE)


def test_denoising_restores_what_the_heads_carry(bench):
    edited = bench.values("logit_diff", "a1.h0", source="clean", base="counterfactual")
    np.testing.assert_allclose(edited, -CLEAN + 2 * G, atol=CLOSE)
    whole = bench.values("logit_diff", "a1", source="clean", base="counterfactual")
    np.testing.assert_allclose(whole, CLEAN, atol=CLOSE)


def test_mean_is_per_position_over_the_calibration_prompts(bench):
    """At END head 1.0 holds the answer one-hot, so its mean holds the answers' frequencies."""
    calibration, examples = handmade.prompts(64, 1), bench.engine.examples
    frequency = np.bincount(calibration.answers, minlength=handmade.VOCAB) / 64
    expected = G * (frequency[examples.answers] - frequency[examples.foils])
    edited = bench.values("logit_diff", "a1.h0", source="mean")
    np.testing.assert_allclose(edited, CLEAN - G + expected, atol=CLOSE)


@pytest.mark.parametrize(
    ("component", "position", "drop"),
    [
        ("a1.h0", "END", 2 * G),
        ("a1.h0", "MATCH", 0.0),
        ("r1", "MATCH", 2 * CLEAN),
        ("input", "MATCH", 2 * CLEAN),
        ("r1", "COPIED", 0.0),
        ("r1", "END", 0.0),
    ],
)
def test_positions(bench, component, position, drop):
    edited = bench.values("logit_diff", component, source="counterfactual", positions=position)
    np.testing.assert_allclose(CLEAN - edited, drop, atol=CLOSE)


def test_zeroing_the_previous_token_head_at_one_position(bench):
    """Only the key at MATCH carries the match, so zeroing there equals zeroing everywhere."""
    there = bench.values("logit_diff", "a0.h0", source="zero", positions="MATCH")
    np.testing.assert_allclose(there, CLEAN * UNIFORM, atol=CLOSE)
    elsewhere = bench.values("logit_diff", "a0.h0", source="zero", positions="END")
    np.testing.assert_allclose(elsewhere, CLEAN, atol=CLOSE)


@pytest.mark.parametrize(
    ("receivers", "expected"),
    [
        (("a1.h0.k",), G * (UNIFORM + NEGATIVE + HALF)),
        (("a1.h0.q",), CLEAN),
        (("a1.h0.v",), CLEAN),
        (("a1.h0",), G * (UNIFORM + NEGATIVE + HALF)),
        (("a1.h1.k",), CLEAN),
        (("a1.h0.k", "a1.h2.k"), G * (UNIFORM + NEGATIVE * UNIFORM + HALF)),
        (("a0.h1",), CLEAN),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_path_patching(bench, receivers, expected):
    edited = bench.values("logit_diff", "a0.h0", source="zero", receivers=receivers)
    np.testing.assert_allclose(edited, expected, atol=CLOSE)


def test_partners_are_the_heads_with_the_same_pattern(bench):
    """Heads 1.0 to 1.4 attend alike; the most alike three, in order, are found for head 1.0."""
    edit = bench.engine.resolve(Intervention(("a1.h0",), source="zero", joint="with_partners"))
    assert set(edit.partners) <= {"a1.h1", "a1.h2", "a1.h3", "a1.h4"}
    assert len(edit.partners) == 3
    alone = Intervention(("a0.h0",), source="zero", joint="partners_only")
    assert bench.engine.resolve(alone).partners == ()
    np.testing.assert_allclose(
        bench.values("logit_diff", "a0.h0", source="zero", joint="partners_only"),
        CLEAN,
        atol=CLOSE,
    )


def test_a_turned_change_has_the_same_size_but_another_direction(bench):
    """The decoy changes nothing, however turned; head 1.0's change turned away loses most of its effect."""
    turned = bench.values("logit_diff", "a1.h1", source="counterfactual", rotation=0)
    np.testing.assert_allclose(turned, CLEAN, atol=CLOSE)
    effects = np.array(
        [CLEAN - bench.values("logit_diff", "a1.h0", source="zero", rotation=k) for k in range(12)]
    )
    assert np.abs(effects.mean(0)).max() < G / 2
    assert effects.std() > 0.01


def test_metrics(bench):
    logits = np.zeros(handmade.VOCAB)
    logits[0] = CLEAN
    logprob = CLEAN - np.log(np.exp(logits).sum())
    for metric, value in {
        "logprob": logprob,
        "loss": -logprob,
        "prob": np.exp(logprob),
        "accuracy": 1.0,
        "kl": 0.0,
    }.items():
        np.testing.assert_allclose(bench.values(metric), value, atol=CLOSE)
    np.testing.assert_allclose(bench.values("accuracy", "a1", source="zero"), 0.0)
    uniform = np.full(handmade.VOCAB, 1 / handmade.VOCAB)
    probs = np.exp(logits) / np.exp(logits).sum()
    kl = (probs * np.log(probs / uniform)).sum()
    np.testing.assert_allclose(bench.values("kl", "a1", source="zero"), kl, atol=CLOSE)


@pytest.mark.parametrize("head", ["a1.h0", "a1.h1", "a1.h2", "a1.h3", "a1.h4"])
def test_attention(bench, head):
    with torch.inference_mode():
        on_match = attention_mass(bench.engine, head, "END", "MATCH")
        on_copied = attention_mass(bench.engine, head, "END", "COPIED")
    np.testing.assert_allclose(on_match, 1.0, atol=1e-6)
    np.testing.assert_allclose(on_copied, 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("a1.h0", G),
        ("a1.h1", 0.0),
        ("a1.h2", NEGATIVE * G),
        ("a1.h3", HALF * G),
        ("a1.h4", 0.0),
        ("a1", CLEAN),
        ("m1", 0.0),
        ("a0.h0", 0.0),
        ("input", 0.0),
    ],
)
def test_direct_attribution(bench, component, expected):
    with torch.inference_mode():
        found = direct_attribution(bench.engine, bench.subject, component)
    np.testing.assert_allclose(found, expected, atol=CLOSE)
