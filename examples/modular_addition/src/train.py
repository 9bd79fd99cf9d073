"""Train the model from scratch: `python src/train.py` (one thread, fixed seed, about a CPU minute).

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

import torch
from data import all_pairs, train_mask
from model import ROOT, build
from safetensors.torch import save_file

SEED = 0
STEPS = 4500
COOL_DOWN = 1500  # last steps, over which the learning rate falls linearly to zero
LR = 3e-3
WEIGHT_DECAY = 1.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", default=str(ROOT / "model" / "model.safetensors"))
    parser.add_argument("--log", default=str(ROOT / "results" / "training.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)

    tokens, answers = (torch.from_numpy(array) for array in all_pairs())
    seen = torch.from_numpy(train_mask())
    model = build(seed=args.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98)
    )
    history, start = [], time.process_time()
    for step in range(args.steps + 1):
        if step % 500 == 0:
            with torch.no_grad():
                logits = model.original_model(tokens)[:, -1]
            right = (logits.argmax(-1) == answers).float()
            row = {
                "step": step,
                "train_accuracy": round(right[seen].mean().item(), 4),
                "test_accuracy": round(right[~seen].mean().item(), 4),
                "test_loss": round(
                    torch.nn.functional.cross_entropy(logits[~seen], answers[~seen]).item(), 6
                ),
            }
            history.append(row)
            print(row, f"{time.process_time() - start:.0f}s", flush=True)
        if step == args.steps:
            break
        logits = model.original_model(tokens[seen])[:, -1]
        loss = torch.nn.functional.cross_entropy(logits, answers[seen])
        for group in optimizer.param_groups:
            group["lr"] = LR * min(1.0, (args.steps - step) / COOL_DOWN)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    weights = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, args.out)
    record = {"seed": args.seed, "steps": args.steps, "weight_decay": WEIGHT_DECAY, "history": history}
    Path(args.log).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
