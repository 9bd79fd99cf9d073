"""Times one ablation sweep over all heads: ours, plain hooks per head, and the floor set by arithmetic.

Both sides run in this process, in turn, on the same prompts; printed are medians of paired ratios and
the CPU time of one thread. Start-up (imports) is printed on its own, because a child process pays it
once per batch, not per head.

    python benchmarks/sweep.py                 # tiny model and GPT-2-sized model
    python benchmarks/sweep.py --only tiny
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from pytest_mecheval.harness.engine import Engine, Request
from pytest_mecheval.harness.fast import FastRunner
from pytest_mecheval.harness.loading import Subject, from_checkpoint
from pytest_mecheval.harness.weights import OPTIONAL, Checkpoint, expected_shapes
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.wire import Intervention

GIGA = 1e9


@dataclass(frozen=True)
class Setting:
    """One model and one set of prompts."""

    name: str
    config: dict[str, object]
    prompts: int
    length: int
    layers: tuple[int, ...]
    """Layers swept; all of them unless the model is large."""
    pairs: int


SETTINGS = (
    Setting(
        "tiny, 4 prompts x 16",
        {"n_layers": 2, "d_model": 64, "n_ctx": 48, "d_head": 16, "n_heads": 4, "d_vocab": 64}
        | {"attn_only": True, "normalization_type": None},
        4,
        16,
        (0, 1),
        15,
    ),
    Setting(
        "tiny, 256 prompts x 24",
        {"n_layers": 2, "d_model": 64, "n_ctx": 48, "d_head": 8, "n_heads": 8, "d_vocab": 64}
        | {"attn_only": True, "normalization_type": None},
        256,
        24,
        (0, 1),
        9,
    ),
    Setting(
        "12 layers x 768, vocabulary 50257, 4 prompts x 16",
        {"n_layers": 12, "d_model": 768, "n_ctx": 128, "d_head": 64, "n_heads": 12}
        | {"d_vocab": 50257, "d_mlp": 3072, "act_fn": "gelu_new", "normalization_type": "LN"},
        4,
        16,
        (1, 4, 7, 10),
        3,
    ),
)


def checkpoint(config: dict[str, object]) -> Checkpoint:
    """A randomly initialised model, GPT-2's scale."""
    settings = dict(OPTIONAL) | config
    settings["d_mlp"] = settings["d_mlp"] or 4 * int(str(settings["d_model"]))
    settings["d_vocab_out"] = settings["d_vocab"]
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.ones(shape)
        if "ln" in name and name.endswith("weight")
        else torch.randn(shape, generator=generator) * 0.05
        for name, shape in expected_shapes(settings).items()
    }
    return Checkpoint(settings, tensors)


def prompts(setting: Setting) -> Examples:
    """Random pairs, read at the last position."""
    rng = np.random.default_rng(0)
    vocab = int(str(setting.config["d_vocab"]))
    size = (setting.prompts, setting.length)
    answers = rng.integers(0, vocab, setting.prompts)
    last = np.full(setting.prompts, setting.length - 1)
    return Examples(
        rng.integers(0, vocab, size),
        rng.integers(0, vocab, size),
        answers,
        (answers + 1) % vocab,
        last,
        {"END": last},
    )


def components(setting: Setting) -> list[str]:
    """All heads and, where there are any, the MLP of every swept layer."""
    heads = int(str(setting.config["n_heads"]))
    names = [f"a{layer}.h{head}" for layer in setting.layers for head in range(heads)]
    return names + ([] if setting.config.get("attn_only") else [f"m{i}" for i in setting.layers])


def ours(subject: Subject, examples: Examples, names: Sequence[str]) -> np.ndarray:
    """The sweep as the harness does it, clean run included; (components, prompts)."""
    if subject.kernel is None:
        raise SystemExit("the fast path refused the model; nothing to time")
    with torch.inference_mode():
        engine = Engine(
            FastRunner(subject.kernel),
            subject.shape,
            subject.kernel.d_head,
            examples,
            lambda: examples,
        )
        requests = [
            Request(engine.resolve(Intervention((name,), "zero")), ("logit_diff",))
            for name in names
        ]
        return np.stack([found["logit_diff"] for found in engine.measure(requests)])


def plain(subject: Subject, examples: Examples, names: Sequence[str]) -> np.ndarray:
    """The sweep as people write it: `no_grad`, one `run_with_hooks` per component."""
    tokens = torch.from_numpy(examples.tokens)
    rows = torch.arange(len(tokens))
    answers, foils = torch.from_numpy(examples.answers), torch.from_numpy(examples.foils)
    found = []
    with torch.no_grad():
        for name in names:
            layer = int(name[1:].split(".")[0])

            def zero_head(value, hook, head=name):  # noqa: ARG001
                value[:, :, int(head.split("h")[1])] = 0.0
                return value

            def zero_mlp(value, hook):  # noqa: ARG001
                return torch.zeros_like(value)

            where = f"blocks.{layer}." + ("attn.hook_z" if name[0] == "a" else "hook_mlp_out")
            hook = zero_head if name[0] == "a" else zero_mlp
            logits = subject.library.module.run_with_hooks(tokens, fwd_hooks=[(where, hook)])
            last = logits[:, -1]
            found.append((last[rows, answers] - last[rows, foils]).numpy())
    return np.stack(found)


def cpu_seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """CPU seconds of one call, and what it returned."""
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def floor_seconds(setting: Setting, names: Sequence[str], rate: float) -> tuple[float, float]:
    """FLOP of the sweep with every reuse we know, in GFLOP, and the seconds they take at `rate`.

    Counted per position: projections 2 d^2 each, MLP 4 d d_mlp; attention's own products are left out
    (under 1 % here). The last layer counts at the read position only, except keys and values.
    """
    width = int(str(setting.config["d_model"]))
    layers = int(str(setting.config["n_layers"]))
    attn_only = bool(setting.config.get("attn_only"))
    mlp = 0 if attn_only else 4 * width * 4 * width
    tokens, reads = setting.prompts * setting.length, setting.prompts

    def block(layer: int) -> float:
        if layer < layers - 1:
            return tokens * (8 * width**2 + mlp)
        return tokens * 4 * width**2 + reads * (4 * width**2 + mlp)

    total = sum(block(layer) for layer in range(layers))  # the clean run
    for name in names:
        start = int(name[1:].split(".")[0])
        positions = tokens if start < layers - 1 else reads
        own = positions * mlp if name[0] == "a" else 0
        total += own + sum(block(layer) for layer in range(start + 1, layers))
    return total / GIGA, total / GIGA / rate


def sgemm_rate(width: int, rows: int) -> float:
    """Measured GFLOP/s of a (rows, width) x (width, 4 width) product, one thread."""
    a, b = torch.randn(rows, width), torch.randn(width, 4 * width)
    repeats = max(3, int(2e10 / (8 * rows * width**2)))
    a @ b
    times = []
    for _ in range(3):
        begin = time.process_time()
        for _ in range(repeats):
            a @ b
        times.append(time.process_time() - begin)
    return repeats * 8 * rows * width**2 / min(times) / GIGA


def compare(setting: Setting) -> None:
    """Print one setting's figures."""
    subject = from_checkpoint(checkpoint(setting.config))
    examples, names = prompts(setting), components(setting)
    ours(subject, examples, names)
    plain(subject, examples, names[:2])
    mine, theirs, ratios = [], [], []
    deviation = 0.0
    for _ in range(setting.pairs):
        fast, fast_values = cpu_seconds(lambda: ours(subject, examples, names))
        slow, slow_values = cpu_seconds(lambda: plain(subject, examples, names))
        mine.append(fast)
        theirs.append(slow)
        ratios.append(slow / fast)
        deviation = max(deviation, float(np.abs(fast_values - slow_values).max()))
    rate = sgemm_rate(int(str(setting.config["d_model"])), setting.prompts * setting.length * 13)
    gflop, floor = floor_seconds(setting, names, rate)
    print(f"{setting.name}: {len(names)} ablations in layers {setting.layers}")
    print(f"  plain run_with_hooks (no_grad)  {statistics.median(theirs):8.3f} CPU s")
    print(f"  this harness                    {statistics.median(mine):8.3f} CPU s")
    print(
        f"  speed-up {statistics.median(ratios):.1f}x (median of {setting.pairs} pairs, "
        f"{min(ratios):.1f} to {max(ratios):.1f}), largest difference {deviation:.1e}"
    )
    print(
        f"  floor {gflop:.3g} GFLOP at {rate:.0f} GFLOP/s = {floor:.3f} s; "
        f"this harness is at {floor / statistics.median(mine):.0%} of it"
    )


def start_up() -> None:
    """Print CPU seconds of a fresh interpreter importing what a harness child needs."""
    steps = {
        "interpreter and numpy": "import numpy",
        "torch": "import torch",
        "transformer_lens": "import transformer_lens",
        "everything a harness child imports": "import pytest_mecheval.harness.subjects, transformer_lens",
    }
    print("start-up of a fresh process, CPU s (median of 3)")
    for label, code in steps.items():
        program = f"import time; {code}; print(time.process_time())"
        runs = [
            float(
                subprocess.run(  # noqa: S603 - our own interpreter
                    [sys.executable, "-c", program], capture_output=True, text=True, check=True
                ).stdout.split()[-1]
            )
            for _ in range(3)
        ]
        print(f"  {label:<36}{statistics.median(runs):6.2f}")


def main() -> None:
    """Run the settings named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a setting's name")
    parser.add_argument("--no-start-up", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for setting in SETTINGS:
        if chosen.only in setting.name:
            compare(setting)
    if not chosen.no_start_up:
        start_up()


if __name__ == "__main__":
    main()
