"""The self-test at load lets sound models pass, and catches hooks that lie and a kernel that differs."""

import dataclasses

import pytest
import torch
from measuring import random_checkpoint

from pytest_mecheval.errors import HarnessError
from pytest_mecheval.harness.adapter import Activations
from pytest_mecheval.harness.fast import FastRunner
from pytest_mecheval.harness.hooked import HookRunner
from pytest_mecheval.harness.loading import from_checkpoint
from pytest_mecheval.harness.selftest import check_hooks, choose_runner


@pytest.fixture
def subject():
    return from_checkpoint(random_checkpoint(n_layers=3))


@torch.inference_mode()
def chosen(subject):
    return choose_runner(subject)


def test_a_sound_model_takes_the_fast_path(subject):
    runner, reason = chosen(subject)
    assert isinstance(runner, FastRunner)
    assert reason == ""


def test_the_hand_made_model_takes_the_fast_path(handmade_subject):
    runner, reason = chosen(handmade_subject)
    assert (runner.path, reason) == ("fast", "")


def test_an_architecture_outside_the_family_takes_stubs():
    runner, reason = chosen(from_checkpoint(random_checkpoint(act_fn="solu")))
    assert runner.path == "stub"
    assert "act_fn = 'solu'" in reason


@pytest.mark.parametrize(
    ("field", "part"),
    [("w_q", "pattern"), ("w_o", "resid_mid"), ("w_v", "z"), ("b_in", "mlp")],
)
def test_a_kernel_that_differs_is_not_used(subject, field, part):
    layers = list(subject.kernel.layers)
    layers[1] = dataclasses.replace(layers[1], **{field: getattr(layers[1], field) * 1.01 + 0.01})
    subject.kernel = dataclasses.replace(subject.kernel, layers=tuple(layers))
    runner, reason = chosen(subject)
    assert runner.path == "stub"
    assert reason == f"the kernel's {part} of layer 1 differs from the library's"


def test_a_wrong_unembedding_is_noticed(subject):
    subject.kernel = dataclasses.replace(subject.kernel, unembed=subject.kernel.unembed * 1.01)
    runner, reason = chosen(subject)
    assert runner.path == "stub"
    assert "effect of" in reason


@pytest.mark.parametrize(
    "hook",
    [
        Activations.z(1),
        Activations.mlp_out(1),
        Activations.resid_pre(1),
        Activations.letter(1, "v"),
        Activations.letter(1, "q"),
        Activations.letter(1, "k"),
        Activations.attn_out(1),
    ],
)
@torch.inference_mode()
def test_an_edit_without_effect_is_an_error_that_names_the_hook(subject, hook, monkeypatch):
    library = subject.library
    trace = HookRunner(library, stubs=False).trace(torch.arange(12).reshape(2, 6))
    honest = library.run

    def deaf(tokens, hooks=()):
        readers = [(name, function) for name, function in hooks if name != hook]
        ears = [
            (name, lambda v, f=function: (f(v.clone()), None)[1])
            for name, function in hooks
            if name == hook
        ]
        return honest(tokens, readers + ears)

    monkeypatch.setattr(library, "run", deaf)
    with pytest.raises(HarnessError, match=hook.replace(".", r"\.")) as caught:
        check_hooks(library, trace)
    assert library.version in str(caught.value)


def test_stubs_that_are_not_exact_are_not_used(subject, monkeypatch):
    subject.kernel, subject.fallback_reason = None, "told so"
    honest = subject.library.stubbed
    monkeypatch.setattr(
        subject.library,
        "stubbed",
        lambda entry, first: honest({key: value.flip(-1) for key, value in entry.items()}, first),
    )
    runner, reason = chosen(subject)
    assert runner.path == "hooks"
    assert reason.startswith("told so")


def test_an_unknown_hook_is_an_error(subject):
    with pytest.raises(HarnessError, match="hook_nowhere"):
        subject.library.read(torch.zeros(1, 3, dtype=torch.int64), ["blocks.0.hook_nowhere"])
