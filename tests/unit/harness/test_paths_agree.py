"""Fast path, stubbed path and plain hooks give the same numbers on a random model with MLP and LayerNorm."""

import numpy as np
import pytest
import torch
from measuring import CALIBRATION, Bench, random_checkpoint, random_prompts, runner_of

from pytest_mecheval.harness import engine as engine_module
from pytest_mecheval.harness.adapter import Activations as At
from pytest_mecheval.harness.loading import from_checkpoint
from pytest_mecheval.vocabulary import Metric
from pytest_mecheval.wire import Intervention

METRICS = tuple(metric.value for metric in Metric)
CLOSE = 1e-4
EVERYTHING = ("a0", "a1", "a2", "a3", "m0", "m1", "m2", "m3")
EDITS = [
    Intervention(()),
    Intervention((), base="counterfactual"),
    Intervention(("a1.h2",), "zero"),
    Intervention(("a0.h0", "a2.h3"), "counterfactual"),
    Intervention(("m1",), "mean"),
    Intervention(("a2.h0", "a2.h3"), "mean", base="counterfactual"),
    Intervention(("r2",), "counterfactual"),
    Intervention(("r2", "a0.h1", "m2"), "counterfactual"),
    Intervention(("a1", "m1", "a3"), "counterfactual", positions="MID"),
    Intervention(("input",), "clean", "counterfactual", positions="LAST"),
    Intervention(("a3.h1",), "counterfactual"),
    Intervention(("m3",), "zero"),
    Intervention(("m3",), "counterfactual", positions="LAST"),
    Intervention(("a2.h1",), "clean", "counterfactual"),
    Intervention(EVERYTHING, "unchanged"),
    Intervention(("a1.h1",), "zero", joint="with_partners"),
    Intervention(("a1.h1", "a1.h3", "m2"), "counterfactual", rotation=3),
    Intervention(("r1",), "counterfactual", positions="MID", rotation=2),
    Intervention(("a3",), "counterfactual", positions="LAST", rotation=1),
    Intervention(("a0.h1",), "counterfactual", receivers=("a2.h1.q", "a3.h0.k", "a2.h3.v")),
    Intervention(("m0", "r1"), "counterfactual", receivers=("a3.h0.q", "a1.h2")),
    Intervention(("a0.h1",), "counterfactual", positions="MID", receivers=("a2.h1",)),
    Intervention(("a0",), "zero", receivers=("a3.h1.v",), rotation=4),
]
VARIANTS = {
    "LN": {},
    "LNPre": {"normalization_type": "LNPre"},
    "attention only": {"attn_only": True, "normalization_type": None},
    "relu": {"act_fn": "relu"},
    "attn_scale": {"attn_scale": 2.0, "act_fn": "gelu"},
}


def measured(subject, path, edits, metrics=METRICS, n=10):
    bench = Bench(
        subject, runner_of(subject, path), random_prompts(n, 1), random_prompts(CALIBRATION, 2)
    )
    return bench.all_values([(edit, metrics) for edit in edits])


def largest_difference(ours, theirs):
    """As a share of the largest value, because models without LayerNorm have large logits."""
    pairs = [(a[name], b[name]) for a, b in zip(ours, theirs, strict=True) for name in a]
    return max(np.abs(a - b).max() / max(1.0, np.abs(b).max()) for a, b in pairs)


@pytest.fixture(scope="module")
def plain(random_subject):
    return measured(random_subject, "hooks", EDITS)


@pytest.mark.parametrize("path", ["fast", "stub"])
def test_every_way_to_run_gives_the_numbers_of_plain_hooks(random_subject, plain, path):
    found = measured(random_subject, path, EDITS)
    for edit, ours, theirs in zip(EDITS, found, plain, strict=True):
        for name in METRICS:
            np.testing.assert_allclose(
                ours[name], theirs[name], atol=CLOSE, err_msg=f"{edit} {name}"
            )


def test_the_edits_under_test_do_something(plain):
    clean = plain[0]["logit_diff"]
    inactive = {0, EDITS.index(Intervention(EVERYTHING, "unchanged"))}
    for index, (edit, found) in enumerate(zip(EDITS, plain, strict=True)):
        if index not in inactive:
            assert np.abs(found["logit_diff"] - clean).max() > 100 * CLOSE, edit


def test_small_batches_change_nothing(random_subject, plain, monkeypatch):
    monkeypatch.setattr(engine_module, "TARGET_TOKENS", 36)
    assert largest_difference(measured(random_subject, "fast", EDITS), plain) < CLOSE


def test_without_room_for_caches_nothing_changes(random_subject, plain, monkeypatch):
    monkeypatch.setattr(engine_module, "CACHE_BYTES", 0)
    monkeypatch.setattr(engine_module, "TARGET_TOKENS", 36)
    assert largest_difference(measured(random_subject, "fast", EDITS), plain) < CLOSE


@pytest.mark.parametrize("name", VARIANTS)
def test_architectures(name):
    subject = from_checkpoint(random_checkpoint(**VARIANTS[name]))
    assert subject.kernel is not None, subject.fallback_reason
    edits = [
        edit
        for edit in EDITS
        if subject.shape.d_mlp or not any(part[0] == "m" for part in edit.components)
    ]
    fast, plain = (measured(subject, path, edits, ("logit_diff",)) for path in ("fast", "hooks"))
    assert largest_difference(fast, plain) < CLOSE


def test_outside_the_kernels_family_the_library_runs():
    subject = from_checkpoint(random_checkpoint(act_fn="solu"))
    assert subject.kernel is None
    assert "act_fn" in subject.fallback_reason
    stub, plain = (measured(subject, path, EDITS) for path in ("stub", "hooks"))
    assert largest_difference(stub, plain) < CLOSE


PATHS = [
    (("a0.h1",), "counterfactual", [(2, 1, "q")]),
    (("a0.h1", "m0"), "counterfactual", [(2, 1, "k"), (3, 0, "v")]),
    (("a1",), "zero", [(3, 2, "q"), (3, 2, "k")]),
    (("a2.h0",), "counterfactual", [(1, 0, "q")]),
]


@pytest.mark.parametrize(("senders", "source", "receivers"), PATHS)
@pytest.mark.parametrize("path", ["fast", "stub"])
def test_path_patching_equals_freezing_everything_by_hand(
    random_subject, path, senders, source, receivers
):
    examples = random_prompts(6, 3)
    edit = Intervention(
        senders, source, receivers=tuple(f"a{layer}.h{head}.{x}" for layer, head, x in receivers)
    )
    bench = Bench(random_subject, runner_of(random_subject, path), examples, examples)
    found = bench.all_values([(edit, ("logit_diff",))])[0]["logit_diff"]
    by_hand = frozen_path(random_subject.library, examples, senders, source, receivers)
    np.testing.assert_allclose(found, by_hand, atol=CLOSE)


@torch.inference_mode()
def frozen_path(library, examples, senders, source, receivers):
    """Path patching by its definition: run with the senders changed and every other head and MLP held
    at its clean value, note what the receivers read, then run clean with only that written."""
    clean, other = torch.from_numpy(examples.tokens), torch.from_numpy(examples.counterfactual)
    layers = range(library.shape.n_layers)
    names = [At.z(layer) for layer in layers] + [At.mlp_out(layer) for layer in layers]
    own, _ = library.read(clean, names)
    written, _ = library.read(other, names)
    held = {name: value.clone() for name, value in own.items()}
    for sender in senders:
        layer, _, head = sender[1:].partition(".h")
        name = At.mlp_out(int(layer)) if sender[0] == "m" else At.z(int(layer))
        new = torch.zeros_like(written[name]) if source == "zero" else written[name]
        if head:
            held[name][:, :, int(head)] = new[:, :, int(head)]
        else:
            held[name] = new
    read = {}

    def keep(name):
        return lambda value: read.__setitem__(name, value.clone())

    hooks = [(name, lambda _, value=value: value) for name, value in held.items()]
    hooks += [(At.letter(layer, x), keep((layer, x))) for layer, _, x in receivers]
    library.run(clean, hooks)

    def write(layer, head, x):
        def replace(value):
            new = value.clone()
            new[:, :, head] = read[layer, x][:, :, head]
            return new

        return replace

    logits = library.run(clean, [(At.letter(r[0], r[2]), write(*r)) for r in receivers])
    rows = torch.arange(len(clean))
    last = logits[rows, torch.from_numpy(examples.read)]
    answers, foils = torch.from_numpy(examples.answers), torch.from_numpy(examples.foils)
    return (last[rows, answers] - last[rows, foils]).numpy()
