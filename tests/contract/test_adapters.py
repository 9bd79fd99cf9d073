"""What every installed transformer-lens must do for us: the same weights, the same numbers, any model class.

`make compat` runs this file (and the harness's unit tests) against several versions of the library.
"""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "handmade"))
import handmade_model as handmade
from measuring import Bench, random_checkpoint, random_prompts, runner_of

from pytest_mecheval.harness.adapter import Activations
from pytest_mecheval.harness.fast import FastRunner
from pytest_mecheval.harness.hooked import HookRunner
from pytest_mecheval.harness.loading import from_checkpoint, library_version
from pytest_mecheval.harness.selftest import battery, choose_runner
from pytest_mecheval.harness.weights import read_checkpoint

CLOSE = 1e-4
ARCHITECTURES = {
    "layer norm, gelu_new": {},
    "no norm, attention only": {"attn_only": True, "normalization_type": None},
    "layer norm without parameters": {"normalization_type": "LNPre"},
    "RMS norm, silu": {"normalization_type": "RMS", "act_fn": "silu"},
    "rotary": {
        "positional_embedding_type": "rotary",
        "rotary_dim": 8,
        "rotary_adjacent_pairs": True,
    },
    "gated MLP": {"gated_mlp": True, "act_fn": "silu", "normalization_type": "RMS"},
}


@pytest.fixture(params=ARCHITECTURES, scope="module")
def checkpoint(request):
    return random_checkpoint(**ARCHITECTURES[request.param])


@pytest.fixture(scope="module")
def subject(checkpoint):
    return from_checkpoint(checkpoint)


def test_the_class_is_the_one_this_version_has(subject):
    major, full = library_version()
    expected = "TransformerBridge" if major >= 4 else "HookedTransformer"
    assert type(subject.library.module).__name__ == expected
    assert subject.library.version == full


@torch.inference_mode()
def test_the_self_test_passes_and_a_fast_enough_runner_is_chosen(checkpoint, subject):
    runner, reason = choose_runner(subject)
    plain_family = checkpoint.settings["positional_embedding_type"] == "standard"
    plain_family = plain_family and not checkpoint.settings["gated_mlp"]
    assert runner.path == ("fast" if plain_family else "stub"), reason


def test_all_runners_agree(subject):
    edits = battery(subject.shape.n_layers, bool(subject.shape.d_mlp))
    names = {"middle": "MID"}
    examples = random_prompts(6, 1)
    examples.positions["middle"] = examples.positions[names["middle"]]
    found = {}
    for path in ("hooks", "stub", *(["fast"] if subject.kernel else [])):
        bench = Bench(subject, runner_of(subject, path), examples, examples)
        found[path] = bench.all_values([(edit, ("logit_diff", "kl")) for edit in edits])
    for path, values in found.items():
        for edit, ours, theirs in zip(edits, values, found["hooks"], strict=True):
            for metric in ours:
                scale = max(1.0, abs(theirs[metric]).max())
                assert abs(ours[metric] - theirs[metric]).max() <= CLOSE * scale, (path, edit)


def test_named_activations_have_the_documented_shapes(subject):
    tokens, shape = torch.arange(10).reshape(2, 5), subject.shape
    heads = (2, 5, shape.n_heads, 8)
    expected = {Activations.z(1): heads, Activations.pattern(1): (2, shape.n_heads, 5, 5)}
    expected |= {Activations.letter(1, letter): heads for letter in "qkv"}
    for name in (Activations.resid_pre, Activations.resid_post, Activations.attn_out):
        expected[name(1)] = (2, 5, shape.d_model)
    found, _ = subject.library.read(tokens, list(expected))
    assert {name: tuple(value.shape) for name, value in found.items()} == expected


@pytest.mark.parametrize("spelling", ["classic", "bridge"])
@torch.inference_mode()
def test_the_hand_made_model_loads_from_either_spelling(tmp_path, spelling):
    tensors = handmade.classic_tensors() if spelling == "classic" else handmade.bridge_tensors()
    files = handmade.write(tmp_path, tensors)
    subject = from_checkpoint(read_checkpoint(files.config, files.weights))
    runner, reason = choose_runner(subject)
    assert isinstance(runner, FastRunner), reason
    examples = handmade.prompts(8)
    for chosen in (runner, HookRunner(subject.library, stubs=True)):
        bench = Bench(subject, chosen, examples, examples)
        clean = handmade.GAIN * (1 + handmade.NEGATIVE + handmade.HALF)
        assert abs(bench.values() - clean).max() < CLOSE
        ablated = bench.values("logit_diff", "a1.h0", source="zero")
        assert abs(clean - ablated - handmade.GAIN).max() < CLOSE


def test_stubs_leave_the_model_as_it_was(subject):
    tokens = torch.arange(12).reshape(2, 6)
    before = subject.library.run(tokens)
    trace = HookRunner(subject.library, stubs=False).trace(tokens)
    entry = dict(enumerate(trace.resid_pre))
    with subject.library.stubbed(entry, 2):
        torch.testing.assert_close(subject.library.run(tokens), before)
    with pytest.raises(ZeroDivisionError), subject.library.stubbed(entry, 3):
        raise ZeroDivisionError
    torch.testing.assert_close(subject.library.run(tokens), before, atol=0, rtol=0)
