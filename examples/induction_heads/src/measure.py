"""Forward passes with edits at attention heads, and one score per prompt."""

import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from data import make_prompts
from model import ROOT, load

SELECTION_SEED, EVALUATION_SEED = 11, 12
"""Heads are chosen on one set of prompts, every reported number comes from the other."""


class Study:
    """The trained model, a set of prompts, and the activations of its unedited runs on them."""

    def __init__(self, seed, n=128, **prompts):
        torch.set_num_threads(1)
        self.model = load()
        self.n_layers, self.n_heads = self.model.cfg.n_layers, self.model.cfg.n_heads
        data = make_prompts(n, np.random.default_rng(seed), **prompts)
        self.data = {name: torch.from_numpy(array) for name, array in data.items()}
        self.rows = torch.arange(n)
        # the model is causal: no token behind the last read position can change a prediction
        self.length = int(self.data["read"].max()) + 1
        self.clean_logits, self.clean = self.run(self.data["tokens"])
        self.other_logits, self.other = self.run(self.data["counterfactual"])
        self.mean = {name: value.mean(0, keepdim=True) for name, value in self.clean.items()}

    def run(self, tokens, hooks=(), store=True):
        """Logits at the read position, shape (n, vocab), and what every head wrote and looked at."""
        seen = {}

        def keep_as(name):
            def keep(value, hook):
                seen[name] = value.detach().clone()

            return (name, keep)

        names = [f"blocks.{layer}.attn.{name}" for layer in range(self.n_layers) for name in ("hook_z", "hook_pattern")]
        with torch.no_grad():
            keep = map(keep_as, names if store else [])
            logits = self.model.run_with_hooks(tokens[:, : self.length], fwd_hooks=[*hooks, *keep])
        return logits[self.rows, self.data["read"]], seen

    def edited(self, heads, value, base="clean"):
        """Logits with the z of the given (layer, head) pairs replaced.

        value: zero | mean (over the clean prompts, per position) | resample (from the counterfactual
        run) | clean (from the clean run).
        """
        source = {"mean": self.mean, "resample": self.other, "clean": self.clean}.get(value)
        hooks = []
        for layer in sorted({layer for layer, _ in heads}):
            name = f"blocks.{layer}.attn.hook_z"
            mine = [head for l, head in heads if l == layer]

            def write(z, hook, name=name, mine=mine):
                z = z.clone()
                z[:, :, mine] = 0.0 if source is None else source[name][:, :, mine]
                return z

            hooks.append((name, write))
        tokens = self.data["tokens" if base == "clean" else "counterfactual"]
        return self.run(tokens, hooks, store=False)[0]

    def path_patched(self, sender, receiver, side):
        """Logits when only one input (q, k or v) of the receiving head sees the sender's
        counterfactual output; layer 1 reads the residual stream directly, there is no LayerNorm."""
        layer, head = sender
        size = self.model.cfg.d_head
        weights = self.model.state_dict()
        columns = slice(head * size, (head + 1) * size)
        out = weights[f"blocks.{layer}.attn.o.weight"][:, columns]
        name = f"blocks.{layer}.attn.hook_z"
        moved = (self.other[name] - self.clean[name])[:, :, head] @ out.T
        to_layer, to_head = receiver
        rows = slice(to_head * size, (to_head + 1) * size)
        read = weights[f"blocks.{to_layer}.attn.{side}.weight"][rows]

        def write(value, hook):
            value = value.clone()
            value[:, :, to_head] += moved @ read.T
            return value

        hooks = [(f"blocks.{to_layer}.attn.hook_{side}", write)]
        return self.run(self.data["tokens"], hooks, store=False)[0]

    def logit_diff(self, logits):
        """Answer logit minus foil logit, nats, shape (n,)."""
        return logits[self.rows, self.data["answer"]] - logits[self.rows, self.data["foil"]]

    def accuracy(self, logits):
        """Share of prompts whose largest logit is the answer."""
        return (logits.argmax(-1) == self.data["answer"]).float().mean().item()

    def loss(self, logits):
        """Mean cross entropy of the answer, nats."""
        return torch.nn.functional.cross_entropy(logits, self.data["answer"]).item()

    def summary(self, logits):
        """Mean logit difference, accuracy and loss, rounded for the results files."""
        return {
            "logit_diff": round(self.logit_diff(logits).mean().item(), 4),
            "accuracy": round(self.accuracy(logits), 4),
            "loss": round(self.loss(logits), 4),
        }

    def heads(self):
        """Every (layer, head)."""
        return [(l, h) for l in range(self.n_layers) for h in range(self.n_heads)]


def save(name, record):
    """Write results/NAME.json and print it."""
    text = json.dumps(record, indent=1)
    (ROOT / "results" / f"{name}.json").write_text(text + "\n")
    print(name, text)
