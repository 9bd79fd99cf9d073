"""CPU time of traced against plain runs: forwards, ablation sweeps and full caches, three model sizes.

Every figure comes from a process of its own, traced and plain in turn; printed are medians of paired
ratios. Within a process the first round is not counted: hashing all weights once is printed apart.

    python benchmarks/tracer_overhead.py
    python benchmarks/tracer_overhead.py --only tiny --pairs 5
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TRACER = Path(__file__).resolve().parents[1] / "pytest_mecheval" / "sandbox" / "tracer"
LIMITS = {"tiny": (1.6, 1.6, 2.5), "torch": (1.6, 1.6, 2.5), "large": (1.25, 1.25, 2.5)}
"""Promised ratios per model: forwards, sweep, cache."""
WORKLOADS = ("forwards", "sweep", "cache")
TINY = {"d_model": 64, "d_head": 8, "n_heads": 8, "n_layers": 2, "n_ctx": 48, "d_vocab": 64}
LARGE = {"d_model": 768, "d_head": 64, "n_heads": 12, "n_layers": 12, "n_ctx": 64, "d_vocab": 5000}
ROUNDS = {"tiny": 12, "torch": 30, "large": 3}
SHAPES = {"tiny": (16, 24), "torch": (16, 24), "large": (4, 16)}
FORWARDS = {"tiny": 20, "torch": 40, "large": 2}


def lens_model(config: dict[str, Any], attn_only: bool) -> Any:
    """A randomly initialised transformer_lens bridge."""
    from transformer_lens import TransformerBridge, TransformerBridgeConfig

    settings = {**config, "attn_only": attn_only, "act_fn": "gelu", "seed": 0}
    settings |= {"d_mlp": 4 * config["d_model"], "normalization_type": None if attn_only else "LN"}
    return TransformerBridge.boot_native(TransformerBridgeConfig(**settings)).eval()


def lens_work(name: str) -> tuple[Any, dict[str, Callable[[], object]]]:
    """The three workloads on a transformer_lens model."""
    import torch

    model = lens_model(TINY, True) if name == "tiny" else lens_model(LARGE, False)
    tokens = torch.randint(0, model.cfg.d_vocab, SHAPES[name])
    heads = range(model.cfg.n_heads if name == "tiny" else 2)
    layers = (0, 1) if name == "tiny" else (5,)

    def zero(z: Any, hook: Any, head: int) -> Any:  # noqa: ARG001
        z[:, :, head] = 0.0
        return z

    def sweep() -> None:
        for layer in layers:
            for head in heads:
                hook = (
                    f"blocks.{layer}.attn.hook_z",
                    lambda z, hook, head=head: zero(z, hook, head),
                )
                model.run_with_hooks(tokens, fwd_hooks=[hook])

    return model, {
        "forwards": lambda: [model(tokens) for _ in range(FORWARDS[name])],
        "sweep": sweep,
        "cache": lambda: model.run_with_cache(tokens),
    }


def torch_work() -> tuple[Any, dict[str, Callable[[], object]]]:
    """The same on a torch encoder, with plain forward hooks."""
    import torch

    layer = torch.nn.TransformerEncoderLayer(64, 4, 256, batch_first=True)
    embed, encoder = torch.nn.Embedding(64, 64), torch.nn.TransformerEncoder(layer, 2)
    model = torch.nn.Sequential(embed, encoder, torch.nn.Linear(64, 64)).eval()
    tokens = torch.randint(0, 64, SHAPES["torch"])
    parts = [part for part in model.modules() if isinstance(part, torch.nn.Linear)]

    def hooked(chosen: list[Any], hook: Any) -> None:
        handles = [part.register_forward_hook(hook) for part in chosen]
        model(tokens)
        for handle in handles:
            handle.remove()

    def zero(_module: Any, _inputs: Any, output: Any) -> Any:
        output = output.clone()
        output[:, :, :8] = 0.0
        return output

    def cache() -> None:
        seen = []
        hooked(parts, lambda _m, _i, output: seen.append(output.clone()))

    return model, {
        "forwards": lambda: [model(tokens) for _ in range(FORWARDS["torch"])],
        "sweep": lambda: [hooked([part], zero) for part in parts],
        "cache": cache,
    }


def child(name: str) -> None:
    """Measure one model in this process; prints CPU seconds per workload as JSON."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    model, work = torch_work() if name == "torch" else lens_work(name)
    found: dict[str, Any] = {}
    with torch.no_grad():
        begin = time.process_time()
        tokens = torch.zeros(1, 2, dtype=torch.long)
        model(tokens)
        found["first"] = time.process_time() - begin
        for label, once in work.items():
            once()
            once()
            times = []
            for _ in range(ROUNDS[name]):
                begin = time.process_time()
                once()
                times.append(time.process_time() - begin)
            found[label] = min(times)
    found["memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def measured(name: str, traced: bool, folder: Path) -> dict[str, float]:
    """One child process, traced or not."""
    ledger = folder / "ledger.jsonl"
    front = [sys.executable, "-I", str(TRACER), str(ledger), "--root", str(folder), "--"]
    command = [*(front if traced else [sys.executable]), __file__, "--child", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    found["ledger_kib"] = ledger.stat().st_size / 1024 if traced else 0.0
    return found


def compare(name: str, pairs: int) -> None:
    """Print one model's figures."""
    with tempfile.TemporaryDirectory() as place:
        runs = [
            (measured(name, False, Path(place)), measured(name, True, Path(place)))
            for _ in range(pairs)
        ]
    print(f"{name}: batch {SHAPES[name][0]} x {SHAPES[name][1]}, {pairs} pairs of processes")
    for label, limit in zip(WORKLOADS, LIMITS[name], strict=True):
        plain = statistics.median(run[0][label] for run in runs) * 1000
        traced = statistics.median(run[1][label] for run in runs) * 1000
        ratios = [run[1][label] / run[0][label] for run in runs]
        middle = statistics.median(ratios)
        print(
            f"  {label:<9}{plain:9.2f} -> {traced:9.2f} CPU ms   {middle:.2f}x "
            f"({min(ratios):.2f} to {max(ratios):.2f}), promised {limit}x"
            f"{'' if middle <= limit else '   EXCEEDED'}"
        )
    extra = statistics.median(run[1]["first"] - run[0]["first"] for run in runs) * 1000
    memory = statistics.median(run[1]["memory_mib"] - run[0]["memory_mib"] for run in runs)
    print(
        f"  first forward +{extra:.0f} CPU ms (hash of all weights), memory {memory:+.0f} MiB, "
        f"ledger {runs[0][1]['ledger_kib']:.0f} KiB"
    )


def main() -> None:
    """Measure the models named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a model's name")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.child)
        return
    for name in LIMITS:
        if chosen.only in name:
            compare(name, chosen.pairs)


if __name__ == "__main__":
    main()
