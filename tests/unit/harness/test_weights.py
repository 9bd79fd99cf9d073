"""Weight files in every spelling load to the same model; broken ones are refused with one clear sentence."""

import json

import handmade_model as handmade
import numpy as np
import pytest
import torch
from measuring import random_checkpoint
from safetensors.torch import save_file

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.harness.loading import from_checkpoint
from pytest_mecheval.harness.weights import classic_state_dict, read_checkpoint, read_settings


def config_of(checkpoint, folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(dict(checkpoint.settings) | changes))
    return path


def saved(tensors, folder):
    path = folder / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


@pytest.fixture(scope="module")
def checkpoint():
    return random_checkpoint()


def raw_names(tensors):
    """The names of the wrapped modules, as `named_parameters` of a bridge spells them."""
    renamed = {}
    for name, tensor in tensors.items():
        for new, old in (("tok_embed", "embed"), ("pos", "pos_embed"), ("head", "unembed")):
            name = f"{new}.weight" if name == f"{old}.weight" else name
        name = name.replace("blocks.", "layers.").replace(
            "ln_final.", "ln_out._original_component."
        )
        renamed[name.replace("mlp.in.", "mlp.fc_in.").replace("mlp.out.", "mlp.fc_out.")] = tensor
    return renamed


@pytest.mark.parametrize("spelling", ["bridge", "classic", "raw", "fp16"])
def test_every_spelling_gives_the_same_tensors(checkpoint, tmp_path, spelling):
    tensors = dict(checkpoint.tensors)
    if spelling == "classic":
        tensors = classic_state_dict(checkpoint)
        tensors["blocks.0.attn.mask"] = torch.ones(16, 16, dtype=torch.bool)
        tensors["blocks.0.attn.IGNORE"] = torch.tensor(-1e5)
    elif spelling == "raw":
        tensors = raw_names(tensors)
    elif spelling == "fp16":
        tensors = {name: tensor.half() for name, tensor in tensors.items()}
    read = read_checkpoint(config_of(checkpoint, tmp_path), saved(tensors, tmp_path))
    assert read.tensors.keys() == checkpoint.tensors.keys()
    for name, tensor in checkpoint.tensors.items():
        assert read.tensors[name].dtype == torch.float32
        torch.testing.assert_close(
            read.tensors[name], tensor, atol=1e-3 if spelling == "fp16" else 0, rtol=0
        )


def test_hand_made_spellings_agree(tmp_path):
    """The test's own conversion and ours were written apart from each other."""
    classic = handmade.write(tmp_path / "classic")
    bridge = handmade.write(tmp_path / "bridge", handmade.bridge_tensors())
    ours, theirs = (read_checkpoint(f.config, f.weights) for f in (classic, bridge))
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name in ours.tensors:
        torch.testing.assert_close(ours.tensors[name], theirs.tensors[name], atol=0, rtol=0)


def test_both_models_of_a_checkpoint_share_memory(checkpoint, tmp_path):
    read = read_checkpoint(config_of(checkpoint, tmp_path), saved(checkpoint.tensors, tmp_path))
    subject = from_checkpoint(read)
    file_backed = read.tensors["blocks.0.mlp.in.weight"].data_ptr()
    assert subject.kernel.layers[0].w_in.data_ptr() == file_backed
    library = {p.data_ptr() for p in subject.library.module.parameters()}
    assert file_backed in library


def test_missing_biases_are_zero(checkpoint, tmp_path):
    tensors = {name: t for name, t in checkpoint.tensors.items() if not name.endswith("bias")}
    read = read_checkpoint(config_of(checkpoint, tmp_path), saved(tensors, tmp_path))
    assert not read.tensors["unembed.bias"].any()


def drop(tensors):
    del tensors["blocks.1.attn.k.weight"]


def add(tensors):
    tensors["blocks.9.attn.k.weight"] = torch.zeros(2, 2)


def reshape(tensors):
    tensors["embed.weight"] = torch.zeros(31, 32)


def integers(tensors):
    tensors["embed.weight"] = torch.zeros(30, 32, dtype=torch.int64)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (drop, "model.safetensors: lacks blocks.1.attn.k.weight"),
        (add, "model.safetensors: holds blocks.9.attn.k.weight"),
        (reshape, r"embed.weight has shape \(31, 32\), the configuration says \(30, 32\)"),
        (integers, "embed.weight holds torch.int64"),
    ],
)
def test_damaged_weights_are_refused(checkpoint, tmp_path, damage, text):
    tensors = dict(checkpoint.tensors)
    damage(tensors)
    with pytest.raises(SubjectError, match=text):
        read_checkpoint(config_of(checkpoint, tmp_path), saved(tensors, tmp_path))


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x80\x04pickle"])
def test_unreadable_weights_are_refused(checkpoint, tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(SubjectError, match="cannot be read as safetensors"):
        read_checkpoint(config_of(checkpoint, tmp_path), path)
    with pytest.raises(SubjectError, match="cannot be read as safetensors"):
        read_checkpoint(config_of(checkpoint, tmp_path), tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "must hold one JSON object"),
        ('{"n_layers": 2}', "whole numbers needed for d_model, n_ctx, d_head, n_heads, d_vocab"),
    ],
)
def test_unreadable_configurations_are_refused(tmp_path, text, problem):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(SubjectError, match=problem):
        read_settings(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_attn_scale", False),
        ("parallel_attn_mlp", True),
        ("attn_scores_soft_cap", 30.0),
        ("n_layers", 0),
    ],
)
def test_settings_that_mean_different_things_are_refused(checkpoint, tmp_path, key, value):
    with pytest.raises(SubjectError, match=key):
        read_settings(config_of(checkpoint, tmp_path, **{key: value}))


def test_the_library_refusing_a_configuration_is_the_subjects_fault():
    with pytest.raises(SubjectError, match="refuses this configuration"):
        from_checkpoint(random_checkpoint(act_fn="no_such_function"))


def test_logits_of_the_hand_made_model_are_those_of_numpy(handmade_subject):
    """An independent forward pass, a few lines of numpy."""
    tensors, examples = handmade.classic_tensors(), handmade.prompts(5)
    x = tensors["embed.W_E"][examples.tokens] + tensors["pos_embed.W_pos"]
    future = np.triu(np.ones((handmade.CONTEXT, handmade.CONTEXT), bool), 1)
    for layer in range(2):
        w = {x: tensors[f"blocks.{layer}.attn.W_{x}"] for x in "QKVO"}
        q, k, v = (np.einsum("ntm,hmd->nhtd", x, w[letter]) for letter in "QKV")
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(handmade.WIDTH_OF_HEAD)
        scores[..., future] = -np.inf
        pattern = np.exp(scores - scores.max(-1, keepdims=True))
        z = pattern / pattern.sum(-1, keepdims=True) @ v
        x = x + np.einsum("nhtd,hdm->ntm", z, w["O"])
        hidden = np.maximum(x @ tensors[f"blocks.{layer}.mlp.W_in"], 0)
        x = x + hidden @ tensors[f"blocks.{layer}.mlp.W_out"]
    ours = handmade_subject.library.run(torch.from_numpy(examples.tokens))
    np.testing.assert_allclose(ours, x @ tensors["unembed.W_U"], atol=1e-4)
