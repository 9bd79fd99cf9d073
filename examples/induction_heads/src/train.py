"""Train the model from scratch: `python src/train.py` (one thread, fixed seed, about two CPU minutes).

Writes model/model.safetensors (fp16) and results/training.json. Same machine type, same bits.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import torch
from data import make_batch, predictable
from model import ROOT, build
from safetensors.torch import save_file

SEED = 0
STEPS = 1700
BATCH = 64
LR = 3e-3
WARMUP = 100
LASSO = 0.03
LASSO_START = (500, 800)  # per layer: layer 1 is thinned out once layer 0 has settled
LASSO_RAMP = 200
LASSO_EASE, EASED = 1050, 0.1  # layer 0 is thin by then; pressing on would only shrink what is left


def head_norms(model):
    """Per head of both layers: norm of its value and output weights together, shape (2 * n_heads,)."""
    heads, size = model.cfg.n_heads, model.cfg.d_head
    weights = model.state_dict(keep_vars=True)
    norms = []
    for layer in range(model.cfg.n_layers):
        value = weights[f"blocks.{layer}.attn.v.weight"].view(heads, size, -1)
        bias = weights[f"blocks.{layer}.attn.v.bias"].view(heads, size)
        out = weights[f"blocks.{layer}.attn.o.weight"].view(-1, heads, size)
        square = value.pow(2).sum((1, 2)) + bias.pow(2).sum(1) + out.pow(2).sum((0, 2))
        norms.append((square + 1e-12).sqrt())
    return torch.cat(norms)


def penalty_weights(step, n_heads):
    """How strongly each head's norm is penalised at this step, shape (2 * n_heads,), 0 to 1."""
    ramps = [min(1.0, max(0.0, (step - start) / LASSO_RAMP)) for start in LASSO_START]
    if step >= LASSO_EASE:
        ramps[0] = EASED
    return torch.tensor(ramps).repeat_interleave(n_heads)


def learning_rate(step, steps, peak):
    """Linear warm-up, then cosine to zero."""
    if step < WARMUP:
        return peak * (step + 1) / WARMUP
    return peak * 0.5 * (1 + np.cos(np.pi * (step - WARMUP) / (steps - WARMUP)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--lr", type=float, default=LR)
    parser.add_argument("--lasso", type=float, default=LASSO)
    parser.add_argument("--out", default=str(ROOT / "model" / "model.safetensors"))
    parser.add_argument("--log", default=str(ROOT / "results" / "training.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    model = build(seed=args.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, betas=(0.9, 0.98))
    history, began = [], time.process_time()
    for step in range(args.steps):
        tokens, periods = make_batch(BATCH, rng)
        mask = torch.from_numpy(predictable(periods))
        tokens = torch.from_numpy(tokens)
        logits = model.original_model(tokens)[:, :-1][mask]
        loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:][mask])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr)
        optimizer.zero_grad()
        penalty = penalty_weights(step, model.cfg.n_heads) @ head_norms(model)
        (loss + args.lasso * penalty).backward()
        optimizer.step()
        if step % 100 == 0 or step == args.steps - 1:
            history.append({"step": step, "loss": round(loss.item(), 5)})
            norms = " ".join(f"{x:.2f}" for x in head_norms(model).tolist())
            print(step, f"{loss.item():.4f}", norms, f"{time.process_time() - began:.0f}s", flush=True)

    weights = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, args.out)
    record = {"seed": args.seed, "steps": args.steps, "batch": BATCH, "lasso": args.lasso, "history": history}
    Path(args.log).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
