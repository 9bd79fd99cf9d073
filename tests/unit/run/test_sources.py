"""What is left of a model whose files cannot be used."""

import json

import pytest

from pytest_mecheval.bundle.subject import ModelSection
from pytest_mecheval.run.sources import Sources, model_source
from pytest_mecheval.wire import Attention, Document, PlanStep, Slice

CONFIG = {"n_layers": 2, "n_heads": 4, "d_model": 64, "d_head": 16, "d_vocab": 64, "n_ctx": 48}
CONFIG |= {"attn_only": True, "act_fn": "relu", "normalization_type": None}
NODES = PlanStep(Slice("", "evaluation", n=0), Document("results/nodes.json"))
LOOK = PlanStep(Slice("repeated", "evaluation"), Attention("a1.h1", "END", "END"))
SECTION = ModelSection(loader="transformer_lens", config="config.json", weights="model.safetensors")


def sources(folder, config):
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(b"\x10")
    return Sources(folder, model_source(folder, SECTION), {}, salt="")


def test_node_list_is_compared_with_the_stated_size_although_the_weights_are_broken(tmp_path):
    found = sources(tmp_path, json.dumps(CONFIG))
    assert found.model.ref is None
    assert found.model.shape is not None
    assert (found.model.shape.n_layers, found.model.shape.d_model) == (2, 64)
    assert found.unavailable([NODES]) == ""
    assert "model.safetensors" in found.unavailable([LOOK])


@pytest.mark.parametrize("config", ["{", "{}"])
def test_without_a_known_size_there_is_nothing_to_compare_a_node_list_with(tmp_path, config):
    found = sources(tmp_path, config)
    assert "config.json" in found.unavailable([NODES])


def test_without_a_stated_model_there_is_nothing_to_compare_a_node_list_with(tmp_path):
    found = Sources(tmp_path, model_source(tmp_path, None), {}, salt="")
    assert "states no model" in found.unavailable([NODES])
