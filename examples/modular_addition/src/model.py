"""The model under study: one transformer block without LayerNorm, built and loaded without network."""

import json
from pathlib import Path

from safetensors.torch import load_file
from transformer_lens import TransformerBridge, TransformerBridgeConfig

ROOT = Path(__file__).resolve().parents[1]


def build(seed=0):
    """A freshly initialised model with the shape in model/config.json."""
    config = json.loads((ROOT / "model" / "config.json").read_text())
    config["seed"] = seed
    return TransformerBridge.boot_native(TransformerBridgeConfig(**config))


def load(path=ROOT / "model" / "model.safetensors"):
    """The trained model, fp32, in evaluation mode."""
    model = build()
    weights = {name: tensor.float() for name, tensor in load_file(path).items()}
    model.load_state_dict(weights)
    return model.eval()
