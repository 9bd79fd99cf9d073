"""Forward passes over all inputs with edits at heads and the MLP, and one score per input."""

import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from data import all_pairs, counterfactuals
from model import ROOT, load

PARTS = ("a0.h0", "a0.h1", "a0.h2", "a0.h3", "m0")
HEADS_HOOK, MLP_HOOK, PATTERN_HOOK = "blocks.0.attn.hook_z", "blocks.0.hook_mlp_out", "blocks.0.attn.hook_pattern"


class Study:
    """The trained model, every input, one counterfactual each, and the unedited activations."""

    def __init__(self):
        torch.set_num_threads(1)
        self.model = load()
        tokens, answers = all_pairs()
        other = counterfactuals()
        self.tokens, self.answer = torch.from_numpy(tokens), torch.from_numpy(answers)
        self.other_tokens = torch.from_numpy(other)
        self.foil = self.other_tokens[:, :2].sum(1) % 31
        self.rows = torch.arange(len(tokens))
        self.clean_logits, self.clean = self.run(self.tokens)
        self.other_logits, self.other = self.run(self.other_tokens)

    def run(self, tokens, hooks=()):
        """Logits at `=`, shape (n, vocab), and the activations of heads and MLP."""
        seen = {}

        def keeper(name):
            def keep(value, hook):
                seen[name] = value.detach().clone()

            return (name, keep)

        keep = [keeper(name) for name in (HEADS_HOOK, MLP_HOOK, PATTERN_HOOK)]
        with torch.no_grad():
            logits = self.model.run_with_hooks(tokens, fwd_hooks=[*hooks, *keep])
        return logits[:, -1], seen

    def edited(self, parts, value, base="clean", position=slice(None)):
        """Logits with parts (names as in PARTS) replaced.

        value: zero | mean (over all inputs, per position) | resample (counterfactual run) | clean.
        """

        def new(name, shape_of):
            if value == "zero":
                return torch.zeros_like(shape_of)
            if value == "mean":
                return self.clean[name].mean(0, keepdim=True).expand_as(shape_of)
            return (self.other if value == "resample" else self.clean)[name]

        heads = [int(part[-1]) for part in parts if part.startswith("a")]

        def write_heads(z, hook):
            z, fresh = z.clone(), new(HEADS_HOOK, z)
            for head in heads:
                z[:, position, head] = fresh[:, position, head]
            return z

        def write_mlp(out, hook):
            out = out.clone()
            out[:, position] = new(MLP_HOOK, out)[:, position]
            return out

        hooks = [(HEADS_HOOK, write_heads)] if heads else []
        hooks += [(MLP_HOOK, write_mlp)] if "m0" in parts else []
        return self.run(self.tokens if base == "clean" else self.other_tokens, hooks)[0]

    def logit_diff(self, logits):
        """Answer logit minus foil logit, nats, shape (n,)."""
        return logits[self.rows, self.answer] - logits[self.rows, self.foil]

    def summary(self, logits):
        """Mean logit difference, accuracy and loss."""
        return {
            "logit_diff": round(self.logit_diff(logits).mean().item(), 3),
            "accuracy": round((logits.argmax(-1) == self.answer).float().mean().item(), 4),
            "loss": round(torch.nn.functional.cross_entropy(logits, self.answer).item(), 6),
        }


def save(name, record):
    """Write results/NAME.json and print it."""
    text = json.dumps(record, indent=1)
    (ROOT / "results" / f"{name}.json").write_text(text + "\n")
    print(name, text)
