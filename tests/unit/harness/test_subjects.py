"""A model is tested before it is measured; whose fault a failed test is, is said."""

import dataclasses
import json

import pytest
import torch
from measuring import random_checkpoint
from safetensors.torch import save_file

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.harness.subjects import load_tested
from pytest_mecheval.wire import Attention, DataRef, Job, ModelRef, PlanStep, Slice


def job(folder, tensors, settings):
    config, weights = folder / "config.json", folder / "model.safetensors"
    config.write_text(json.dumps(dict(settings)))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, weights)
    step = PlanStep(Slice("repeated", "evaluation"), Attention("a0.h0", "END", "END"))
    return Job(step, ModelRef("transformer_lens", "", str(config), str(weights)), DataRef(), "")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_the_bundles_fault(tmp_path, value):
    checkpoint = random_checkpoint()
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    tensors["blocks.0.attn.k.weight"].view(-1)[0] = value
    with pytest.raises(SubjectError, match=r"infinite or no numbers: .*attn\.k"):
        load_tested(job(tmp_path, tensors, checkpoint.settings), "cpu")


def test_sound_weights_pass(tmp_path):
    checkpoint = random_checkpoint()
    loaded = load_tested(job(tmp_path, checkpoint.tensors, checkpoint.settings), "cpu")
    assert dataclasses.asdict(loaded.subject.shape)["n_layers"] >= 1
    assert torch.is_inference_mode_enabled() is False
