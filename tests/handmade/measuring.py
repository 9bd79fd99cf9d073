"""Measuring in tests: one model, one set of prompts, one way to run them; and small random models."""

import numpy as np
import torch

from pytest_mecheval.harness.engine import Engine, Request
from pytest_mecheval.harness.fast import FastRunner
from pytest_mecheval.harness.hooked import HookRunner
from pytest_mecheval.harness.weights import OPTIONAL, Checkpoint, expected_shapes
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.wire import Intervention

CALIBRATION = 64


class Bench:
    """One model on one set of prompts through one runner."""

    def __init__(self, subject, runner, examples, calibration):
        d_head = int(subject.library.output_matrix(0).shape[1])
        self.subject = subject
        self.engine = Engine(
            runner, subject.shape, d_head, examples, lambda: calibration, subject.device
        )

    def values(self, metric="logit_diff", /, *components, **how):
        """Values of one intervention, shape (prompts,)."""
        edit = self.engine.resolve(Intervention(components, **how))
        with torch.inference_mode():
            return self.engine.measure([Request(edit, (metric,))])[0][metric]

    def all_values(self, requests):
        """Values of many (intervention, metrics) pairs."""
        resolved = [Request(self.engine.resolve(edit), metrics) for edit, metrics in requests]
        with torch.inference_mode():
            return self.engine.measure(resolved)


def runner_of(subject, path):
    """The runner of that name."""
    if path == "fast":
        return FastRunner(subject.kernel)
    return HookRunner(subject.library, stubs=path == "stub")


def random_checkpoint(**settings):
    """A small random model with every weight large enough to matter."""
    shape = {"n_layers": 4, "d_model": 32, "n_ctx": 16, "d_head": 8, "n_heads": 4, "d_vocab": 30}
    full = shape | dict(OPTIONAL) | {"d_mlp": 64, "act_fn": "gelu_new", "d_vocab_out": 30}
    full |= settings
    generator = torch.Generator().manual_seed(5)
    tensors = {
        name: torch.randn(size, generator=generator) * 0.3
        + (1.0 if "ln" in name and name.endswith("weight") else 0.0)
        for name, size in expected_shapes(full).items()
    }
    return Checkpoint(full, tensors)


def random_prompts(n, seed, length=12, vocab=30):
    """Random pairs, read at different positions, with a named position in the middle."""
    rng = np.random.default_rng(seed)
    answers = rng.integers(0, vocab, n)
    return Examples(
        rng.integers(0, vocab, (n, length)),
        rng.integers(0, vocab, (n, length)),
        answers,
        (answers + 1 + rng.integers(0, vocab - 1, n)) % vocab,
        rng.integers(length - 3, length, n),
        {"MID": rng.integers(2, length - 3, n), "LAST": np.full(n, length - 1)},
    )
