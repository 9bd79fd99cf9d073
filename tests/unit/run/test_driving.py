"""A bundle's own module driven in the sandbox: the numbers agree with plain torch, and nothing hostile gets through."""

import importlib.util
import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from pytest_mecheval.batches import Batch
from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.bundle.subject import ModelSection
from pytest_mecheval.harness.interventions import rotation_matrix
from pytest_mecheval.harness.metrics import Readout, from_logits
from pytest_mecheval.run.driving import batch as driving
from pytest_mecheval.run.driving import edits
from pytest_mecheval.run.driving.batch import Driver
from pytest_mecheval.run.driving.group import Group, drawn
from pytest_mecheval.run.driving.scores import score
from pytest_mecheval.run.sources import OwnCode, Sources, Task, model_source
from pytest_mecheval.sandbox.backends import available
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.tasks.drawing import draw
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.vocabulary import Metric, ModelShape, Tier
from pytest_mecheval.wire import (
    Attention,
    Attribution,
    DataRef,
    Intervention,
    Job,
    ModelRef,
    PlanStep,
    Run,
    Slice,
    record_path,
)

FIXTURES = Path(__file__).parents[3] / "fixtures"
DATA = DataRef(generator="induction", parameters={"vocab": 16, "length": 16, "periods": [4, 7]})
WHERE = Slice("repeated", "evaluation", n=48)
SIZE = {"layers": 2, "heads": 4, "width": 40}
needs_sandbox = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")
QUICK = Limits(cpu_s=60, wall_s=60)


class Driven:
    """What came of measuring some probes on a bundle's module."""

    def __init__(self, root, store, probes, sites=SIZE, limits=QUICK, entry="src/model.py:load"):
        bundle = discover(root)
        section = ModelSection(loader="python", entry=entry, sites=sites)
        model = model_source(bundle.root, section, OwnCode(bundle.digest))
        assert not model.unavailable
        sources = Sources(bundle.root, model, {"repeated": Task(DATA)}, "salt")
        self.jobs = [sources.job(PlanStep(WHERE, probe)) for probe in probes]
        self.store, self.failures = store / "store", store / "failures"
        Driver(Batch(tuple(self.jobs), self.store, self.failures), limits).run()

    def record(self, index):
        return json.loads(record_path(self.store, self.jobs[index].address).read_text())

    def values(self, index):
        record = self.record(index)
        assert not record["unavailable"]
        return np.array(record["values"])

    def reason(self, index=0):
        """Why there is no value: the bundle's fault, or an error of ours."""
        address = self.jobs[index].address
        if record_path(self.store, address).exists():
            record = self.record(index)
            assert record["values"] == []
            return record["unavailable"]
        return json.loads((self.failures / f"{address}.json").read_text())["error"]


def edit(*components, metric="logit_diff", source="counterfactual", **how):
    return Run(Intervention(components, source, **how), metric)


def example_pairs(n=WHERE.n, split="evaluation"):
    return draw(DATA, Slice("repeated", split, n=n), "salt")


# ---- the fixture against matrix products on its weights


def truth_script():
    spec = importlib.util.spec_from_file_location("truth", FIXTURES / "measure_plain_truth.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EDITS = {
    "unedited": edit(source="unchanged"),
    "the other prompt": edit(source="unchanged", base="counterfactual"),
    "head zeroed": edit("a1.h3", source="zero"),
    "head resampled": edit("a1.h0"),
    "head by its mean": edit("a0.h2", source="mean"),
    "two heads of two layers": edit("a0.h1", "a1.h2"),
    "a layer at one position": edit("a1", positions="END"),
    "head at an earlier position": edit("a0.h0", positions="PREV_OCCURRENCE"),
    "MLP by its mean": edit("m0", source="mean"),
    "MLP and head": edit("a1.h1", "m1", source="zero"),
    "stream": edit("r1", positions="END"),
    "input": edit("input"),
    "clean into the other run": edit("a1", source="clean", base="counterfactual"),
    "mean into the other run": edit("m1", source="mean", base="counterfactual"),
}


def expected_diff(net, probe):
    """The same edit as writes of the hand-made forward pass."""
    pairs, cal = example_pairs(), example_pairs(64, "calibration")
    tokens = {
        "clean": torch.tensor(pairs.tokens),
        "counterfactual": torch.tensor(pairs.counterfactual),
    }
    cal_tokens = cal.tokens if probe.intervention.base == "clean" else cal.counterfactual
    own = net.run(tokens[probe.intervention.base])[1]
    source = probe.intervention.source
    if source in tokens:
        new = net.run(tokens[source])[1]
    elif source == "mean":
        kept = net.run(torch.tensor(cal_tokens))[1]
        new = {
            part: value.mean(0, keepdim=True).expand_as(own[part])
            for part, value in kept.items()
            if part[0] != "pattern"
        }
    else:
        new = {part: torch.zeros_like(value) for part, value in own.items()}
    parts = []
    for name in probe.intervention.components:
        if name == "input":
            parts.append(("r", 0))
        elif ".h" in name:
            parts.append(("z", int(name[1]), int(name[-1])))
        elif name[0] == "a":
            parts += [("z", int(name[1]), head) for head in range(4)]
        else:
            parts.append((name[0], int(name[1])))
    where = torch.ones(pairs.tokens.shape, dtype=torch.bool)
    if probe.intervention.positions != "all":
        column = pairs.positions[probe.intervention.positions]
        where = torch.arange(16)[None, :] == torch.tensor(column)[:, None]
    # A later part's own value depends on earlier writes, so unwritten positions are filled in order.
    writes = {}
    for part in sorted(parts, key=lambda part: (part[1], "rzm".index(part[0]))):
        current = net.run(tokens[probe.intervention.base], writes)[1][part]
        writes[part] = torch.where(where[..., None], new[part], current)
    logits = net.run(tokens[probe.intervention.base], writes)[0].double()
    row = np.arange(len(pairs.read))
    at = logits[row, pairs.read]
    return (at[row, pairs.answers] - at[row, pairs.foils]).numpy()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    probes = [
        *EDITS.values(),
        *(edit("a1.h3", metric=metric.value) for metric in Metric),
        *(Attention(f"a1.h{head}", "END", "INDUCTION_TARGET") for head in range(4)),
        edit("a1.h0", joint="with_partners"),
        edit("a1.h0", joint="partners_only"),
        edit("a0.h1", receivers=("a1.h0.k",)),
        Attribution("a1.h0"),
        edit("a1.h3", positions="NOWHERE"),
    ]
    return Driven(FIXTURES / "plain_torch", tmp_path_factory.mktemp("plain"), probes), probes


@needs_sandbox
@pytest.mark.parametrize("name", EDITS)
def test_every_edit_agrees_with_matrix_products_on_the_weights(plain, name):
    driven, _ = plain
    net = truth_script().Net()
    with torch.no_grad():
        wanted = expected_diff(net, EDITS[name])
    assert np.abs(driven.values(list(EDITS).index(name)) - wanted).max() < 2e-4


@needs_sandbox
def test_attention_is_what_the_softmax_returned(plain):
    driven, probes = plain
    pairs = example_pairs()
    with torch.no_grad():
        kept = truth_script().Net().run(torch.tensor(pairs.tokens))[1]
    rows = np.arange(len(pairs.read))
    for index, probe in enumerate(probes):
        if isinstance(probe, Attention):
            pattern = kept["pattern", 1, int(probe.head[-1])].numpy()
            wanted = pattern[rows, pairs.read, pairs.positions["INDUCTION_TARGET"]]
            assert np.abs(driven.values(index) - wanted).max() < 1e-5


@needs_sandbox
def test_partners_are_the_heads_that_look_alike(plain):
    driven, probes = plain
    at = [n for n, p in enumerate(probes) if isinstance(p, Run) and p.intervention.joint != "alone"]
    # All four heads of layer 1 attend to the induction target (see plain_torch.expected.yaml).
    assert set(driven.record(at[0])["facts"]["partners"]) == {"a1.h1", "a1.h2", "a1.h3"}
    whole, rest = (driven.values(index).mean() for index in at)
    assert whole < rest < driven.values(0).mean()


@needs_sandbox
def test_what_a_plain_module_does_not_show_says_so(plain):
    driven, probes = plain
    first = len(probes) - 3
    assert "path patching needs queries" in driven.reason(first)
    assert "direct attribution needs" in driven.reason(first + 1)
    assert "no position 'NOWHERE'" in driven.reason(first + 2)


@needs_sandbox
def test_one_process_no_forward_twice_and_a_reader_learns_how(plain):
    driven, probes = plain
    note = driven.record(0)["provenance"]
    distinct = {p.intervention for p in probes[:-3] if isinstance(p, Run)}
    # clean, counterfactual; three controls with writes besides; calibration means (2) and patterns (1)
    assert note["forwards"] <= len(distinct) + 2 + 4 + 3
    assert "TinyTransformer (src/model.py:load), driven by us under isolation" in note["driven"]
    assert "head blocks.{layer}.attn.out:input (recognised by us)" in note["driven"]
    assert note["isolation"]["confined"]
    assert note["controls"]["placebo"] <= note["controls"]["tau"] < note["controls"]["positive"]


def test_answers_and_foils_are_never_sent(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(driving, "ask", lambda question, _: asked.append(question))
    Driven(FIXTURES / "plain_torch", tmp_path, [edit("a1.h3"), Attention("a1.h0", "END", "START")])
    (question,) = asked
    pairs = example_pairs()
    kinds = {name.split(".", 1)[1] for name in question.tensors}
    assert kinds == {"clean", "other", "read", *(f"at.{name}" for name in pairs.positions)}
    for array in question.tensors.values():
        assert not np.array_equal(array, pairs.answers)
        assert not np.array_equal(array, pairs.foils)


@needs_sandbox
def test_logits_that_do_not_fit_one_answer_come_in_several(monkeypatch, tmp_path):
    probes = [edit("a1.h3"), edit("m0"), edit("a0.h0")]
    whole = Driven(FIXTURES / "plain_torch", tmp_path / "one", probes)
    counted = []
    ask = driving.ask
    monkeypatch.setattr(driving, "ask", lambda *given: counted.append(1) or ask(*given))
    one_edit = 4 * 48 * 16
    monkeypatch.setattr(driving, "ANSWER_BYTES", 2 * 8 * one_edit)
    parts = Driven(FIXTURES / "plain_torch", tmp_path / "parts", probes)
    assert len(counted) == 2
    for index in range(3):
        assert np.array_equal(whole.values(index), parts.values(index))


@pytest.mark.parametrize(("placebo", "believed"), [(0, True), (2, False)])
def test_without_a_placebo_only_unedited_runs_are_believed(placebo, believed):
    shape = ModelShape(n_layers=2, n_heads=4, d_model=40, d_vocab=16, n_ctx=16)
    jobs = [
        Job(PlanStep(WHERE, probe), ModelRef("python"), DATA, "salt")
        for probe in (edit(source="unchanged"), edit("a1.h3"))
    ]
    group = Group(jobs, drawn(jobs[0]), shape)
    told = len(group.task("g0", "c0")["edits"])
    logits = np.random.default_rng(5).normal(size=(told, WHERE.n, 16)).astype(np.float32)
    logits[edits.PLACEBO] = logits[edits.CLEAN]
    states = np.zeros(told, dtype=np.int64)
    states[edits.PLACEBO] = placebo
    unedited, edited = group.records("g0", {"g0.logits": logits, "g0.states": states}, {})
    assert len(unedited.values) == WHERE.n
    assert bool(edited.values) is believed
    assert ("state sites.mlp" in edited.unavailable) is not believed


@pytest.mark.parametrize("metric", [metric.value for metric in Metric])
def test_metrics_are_the_harness_metrics(metric):
    rng = np.random.default_rng(3)
    logits, clean = rng.normal(size=(2, 20, 7)).astype(np.float32) * 4
    logits[0] = 1.0
    answers, foils = rng.integers(0, 7, 20), np.zeros(20, dtype=np.int64)
    answers[answers == 0] = 1
    pairs = Examples(
        *[np.zeros((20, 2), dtype=np.int64)] * 2, answers, foils, np.ones(20, dtype=np.int64)
    )
    readout = Readout(
        torch.tensor(pairs.read),
        torch.tensor(answers),
        torch.tensor(foils),
        torch.tensor(clean).double().log_softmax(-1),
    )
    theirs = from_logits(torch.tensor(logits).double().unsqueeze(0), readout, [metric])[metric][0]
    ours = score(metric, logits.astype(float), clean.astype(float), pairs)
    assert np.abs(ours - theirs.numpy()).max() < 1e-9


# ---- other ways to write a module

STYLES = """
import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, VOCAB = 8, 2, 16
torch.manual_seed(5)
QKV = torch.randn(2, 3, HEADS, WIDTH, WIDTH // HEADS) * 0.6
OUT = torch.randn(2, WIDTH, WIDTH) * 0.6
UP = torch.randn(2, WIDTH, WIDTH) * 0.6
EMBED, PLACE = torch.randn(VOCAB, WIDTH), torch.randn(16, WIDTH)
UNEMBED = torch.randn(WIDTH, VOCAB)

def parts(x, layer, head=None):
    found = torch.einsum("nlw,shwd->snhld", x, QKV[layer])
    return found if head is None else found[:, :, head]

class Sliced(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.out_proj = layer, nn.Linear(WIDTH, WIDTH, bias=False)
        self.out_proj.weight = nn.Parameter(OUT[layer])
    def forward(self, hidden):
        q, k, v = parts(hidden, self.layer)
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(z.transpose(1, 2).flatten(2)), None

class Mix(nn.Module):
    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

class Stacked(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.mix = layer, Mix()
    def forward(self, hidden):
        return self.mix(*parts(hidden, self.layer)).transpose(1, 2).flatten(2) @ OUT[self.layer].T, None

class OneHead(nn.Module):
    def __init__(self, layer, head):
        super().__init__()
        self.layer, self.head = layer, head
    def forward(self, hidden):
        q, k, v = (part.unsqueeze(1) for part in parts(hidden, self.layer, self.head))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)

class Apart(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.heads = layer, nn.ModuleList(OneHead(layer, h) for h in range(HEADS))
    def forward(self, hidden):
        return torch.cat([head(hidden) for head in self.heads], -1) @ OUT[self.layer].T, None

class Mlp(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
    def forward(self, x):
        return torch.tanh(x @ UP[self.layer])

class Block(nn.Module):
    def __init__(self, layer, style):
        super().__init__()
        self.self_attn, self.ffn = style(layer), Mlp(layer)
    def forward(self, x):
        x = x + self.self_attn(hidden=x)[0]
        return (x + self.ffn(x),)

class Net(nn.Module):
    def __init__(self, style):
        super().__init__()
        self.h = nn.ModuleList(Block(layer, style) for layer in range(2))
    def forward(self, tokens):
        x = EMBED[tokens] + PLACE[:tokens.shape[1]]
        for block in self.h:
            x = block(x)[0]
        return {"logits": x @ UNEMBED}

def sliced(): return Net(Sliced), {"a": "configuration"}
def stacked(): return Net(Stacked)
def apart(): return Net(Apart)
"""
SMALL = {"layers": 2, "heads": 2, "width": 8}
PROBES = [
    *(edit(f"a{layer}.h{head}") for layer in range(2) for head in range(2)),
    edit("a0.h1", source="mean", positions="END"),
    edit("a1", "m0", source="zero"),
    edit("m1", source="mean"),
    edit("r1", positions="END"),
    edit("a1.h0", source="clean", base="counterfactual"),
]


def written(folder, source):
    (folder / "src").mkdir(parents=True)
    (folder / "src/model.py").write_text(textwrap.dedent(source))
    return folder


@needs_sandbox
@pytest.mark.parametrize(
    ("style", "site"),
    [
        ("stacked", "h.{layer}.self_attn.mix:output"),
        ("apart", "h.{layer}.self_attn.heads.{head}:output"),
    ],
)
def test_the_same_model_written_in_another_style_gives_the_same_numbers(tmp_path, style, site):
    root = written(tmp_path / "bundle", STYLES)
    one = Driven(root, tmp_path / "one", PROBES, SMALL, entry="src/model.py:sliced")
    other = Driven(
        root, tmp_path / "other", PROBES, {**SMALL, "head": site}, entry=f"src/model.py:{style}"
    )
    clean = one.values(0)
    for index in range(len(PROBES)):
        assert np.abs(one.values(index) - other.values(index)).max() < 1e-5
    assert any(np.abs(one.values(index) - clean).max() > 0.1 for index in range(len(PROBES)))


@needs_sandbox
def test_sdpa_shows_its_weights_and_unseen_ones_are_said(tmp_path):
    root = written(tmp_path / "bundle", STYLES)
    look = [Attention("a1.h1", "END", "PREVIOUS"), edit("a1.h1")]
    seen = Driven(root, tmp_path / "one", look, SMALL, entry="src/model.py:sliced")
    assert 0 < seen.values(0).mean() < 1
    unseen = Driven(
        root,
        tmp_path / "other",
        [*look, edit("a0.h0", joint="with_partners")],
        {**SMALL, "head": "h.{layer}.self_attn.heads.{head}:output"},
        entry="src/model.py:apart",
    )
    assert "attention weights cannot be seen" in unseen.reason(0)
    assert "attention weights cannot be seen" in unseen.reason(2)
    assert len(unseen.values(1)) == WHERE.n


LINEAR = """
import torch
from torch import nn
class Attn(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(16, 16)
    def forward(self, x): return self.out(torch.tanh(x))
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = Attn()
    def forward(self, x): return x + self.attn(x)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.blocks = nn.Embedding(16, 16), nn.ModuleList([Block()])
    def forward(self, tokens): return self.blocks[0](self.embed(tokens))
def load(): return Net()
"""


@needs_sandbox
def test_a_turned_change_is_the_change_times_the_harness_matrix(tmp_path):
    root = written(tmp_path / "bundle", LINEAR)
    sites = {"layers": 1, "heads": 2, "width": 16, "mlp": "none"}
    probes = [edit(source="unchanged"), edit("a0.h1"), edit("a0.h1", rotation=3)]
    found = Driven(root, tmp_path, probes, sites)
    # Logits are the residual stream, so the change of logits is the change of the stream.
    pairs = example_pairs()
    torch.manual_seed(0)
    out, embed = None, None
    namespace: dict = {}
    exec(compile(LINEAR, "model", "exec"), namespace)  # noqa: S102 - the text above
    net = namespace["load"]()
    out, embed = net.blocks[0].attn.out, net.embed
    rows = np.arange(len(pairs.read))
    ids = [torch.tensor(side[rows, pairs.read]) for side in (pairs.tokens, pairs.counterfactual)]
    own, new = (torch.tanh(embed(one))[:, 8:] for one in ids)
    change = (new - own) @ out.weight[:, 8:].T
    for index, delta in ((1, change), (2, change @ rotation_matrix(3, 16))):
        wanted = (delta[rows, pairs.answers] - delta[rows, pairs.foils]).detach().numpy()
        got = found.values(index) - found.values(0)
        assert np.abs(got - wanted).max() < 1e-5


# ---- what goes wrong

GOOD = Path(FIXTURES / "plain_torch/src/model.py").read_text()
MODULE = """
import os, sys, time, torch
from torch import nn
class Attn(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(8, 8)
    def forward(self, x): return self.out(torch.cumsum(x, 1))
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.mlp = Attn(), nn.Linear(8, 8)
    def forward(self, x):
        x = x + self.attn(x)
        return x + self.mlp(x)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.unembed = nn.Embedding(16, 8), nn.Linear(8, 16)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.last(self.unembed(x), tokens)
    def last(self, logits, tokens): return logits
def load(): return Net()
"""
EIGHT = {"layers": 2, "heads": 2, "width": 8}


def last(body):
    return f"Net.last = lambda self, logits, tokens: {body}"


HOSTILE = {
    "leaves": (last("os._exit(0)"), "gave no answer: it ended with exit code 0"),
    "leaves by exception": (last("sys.exit(0)"), "SystemExit: 0"),
    "crashes": (last("__import__('ctypes').string_at(0)"), "gave no answer: ended by signal 11"),
    "prints a forged answer": (
        last('print(\'{"verdict": "SUPPORTED"}\', flush=True) or os._exit(0)'),
        "gave no answer: it ended with exit code 0",
    ),
    "too few tokens": (last("logits[:, 1:]"), "the model returns shape (48, 15, 16)"),
    "too few outputs": (last("logits[..., :3]"), "the model's outputs are 0 to 2"),
    "not a number": (
        last("logits * float('nan')"),
        "malformed measurement: g0.logits holds values",
    ),
    "infinite": (last("logits.where(logits < 1, torch.inf)"), "malformed measurement: g0.logits"),
    "text": (last("'SUPPORTED'"), "the model returns str, not logits"),
    "noise": (last("logits + torch.randn_like(logits)"), "placebo: writing the module's own"),
    "always the same": (last("logits * 0"), "answers clean and counterfactual prompts alike"),
    "no module": ("def load(): return {'weights': 1}", "returned dict, not a torch.nn.Module"),
    "not importable": ("import a_library_nobody_has", "ModuleNotFoundError: No module named"),
    "needs an argument": ("def load(path): return Net()", "TypeError: load() missing 1 required"),
    "a tensor that lies": (
        "class Liar(torch.Tensor):\n"
        "    def numpy(self): raise SystemExit(0)\n"
        "    def float(self): return self\n"
        "    def detach(self): return self\n" + last("logits.as_subclass(Liar)"),
        "",
    ),
    "an MLP that is thrown away": (
        "def forward(self, x):\n    self.mlp(x)\n    return x + self.attn(x)\nBlock.forward = forward",
        "noise written through sites.mlp into every layer changes no output",
    ),
    "attention never called": (
        "Attn.forward = lambda self, x: torch.cumsum(x, 1) @ self.out.weight.T",
        "module blocks.0.attn.out is never called in one forward pass",
    ),
    "a module called twice": (
        "Attn.forward = lambda self, x: self.out(self.out(torch.cumsum(x, 1)))",
        "module blocks.0.attn.out is called 2 times in one forward pass",
    ),
}


@needs_sandbox
@pytest.mark.parametrize(("change", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_module_that_does_not_play_along_gives_a_reason_and_no_number(tmp_path, change, reason):
    root = written(tmp_path / "bundle", MODULE + change + "\n")
    driven = Driven(root, tmp_path, [edit("a1.h0")], EIGHT)
    found = driven.reason()
    assert found
    assert reason in found
    assert "Traceback" not in found
    assert found.isprintable()


@needs_sandbox
def test_the_module_they_are_variants_of_is_measured(tmp_path):
    driven = Driven(written(tmp_path / "bundle", MODULE), tmp_path, [edit("a1.h0")], EIGHT)
    assert len(driven.values(0)) == WHERE.n


@needs_sandbox
def test_a_module_that_hangs_is_ended(tmp_path):
    root = written(tmp_path / "bundle", MODULE + last("time.sleep(300)"))
    limits = Limits(cpu_s=30, wall_s=6)
    assert (
        "gave no answer: wall: ended after"
        in Driven(root, tmp_path, [edit("a1.h0")], EIGHT, limits).reason()
    )


WRONG_SITES = {
    "no such module": (
        {"head": "blocks.{layer}.attn.outt"},
        "no module blocks.0.attn.outt; similar: blocks.0.attn.out",
    ),
    "more layers": ({"layers": 3}, "no module was recognised as the heads' output projection"),
    "fewer layers": (
        {"layers": 1, "mlp": "blocks.{layer}.mlp"},
        "sites.layers says 1, but there is a module blocks.1.mlp",
    ),
    "heads that do not divide": (
        {"heads": 3, "head": "blocks.{layer}.attn.out"},
        "cannot be cut into 3 heads, shape (48, 16, 8)",
    ),
    "another width": (
        {"width": 12, "mlp": "blocks.{layer}.mlp"},
        "activations 8 wide, sites.width says 12",
    ),
    "no heads there": (
        {"head": "none"},
        "no module was recognised as the heads' output projection",
    ),
}


@needs_sandbox
@pytest.mark.parametrize(("sites", "reason"), WRONG_SITES.values(), ids=WRONG_SITES.keys())
def test_sites_that_do_not_fit_the_module_are_named(tmp_path, sites, reason):
    root = written(tmp_path / "bundle", MODULE)
    assert reason in Driven(root, tmp_path, [edit("a0.h0")], EIGHT | sites).reason()


@needs_sandbox
def test_a_module_nothing_is_recognised_in_can_still_be_scored(tmp_path):
    root = written(
        tmp_path / "bundle", MODULE.replace("blocks", "_b").replace("nn.ModuleList", "list")
    )
    probes = [edit(source="unchanged"), edit("a0.h0"), edit("m0")]
    driven = Driven(root, tmp_path, probes, EIGHT)
    assert len(driven.values(0)) == WHERE.n
    assert driven.reason(1).endswith("state sites.head (its modules: embed, unembed)")
    assert "state sites.mlp" in driven.reason(2)


@needs_sandbox
def test_one_unreadable_task_leaves_the_others(tmp_path):
    root = written(tmp_path / "bundle", MODULE)
    bundle = discover(root)
    section = ModelSection(loader="python", entry="src/model.py:load", sites=EIGHT)
    model = model_source(bundle.root, section, OwnCode(bundle.digest))
    large = DataRef(
        generator="induction", parameters={"vocab": 64, "length": 16, "periods": [4, 7]}
    )
    tasks = {"repeated": Task(DATA), "large": Task(large)}
    sources = Sources(bundle.root, model, tasks, "salt")
    steps = [PlanStep(Slice(name, "evaluation", n=16), edit("a1.h0")) for name in tasks]
    jobs = [sources.job(step) for step in steps]
    Driver(Batch(tuple(jobs), tmp_path / "s", tmp_path / "f"), QUICK).run()
    records = [json.loads(record_path(tmp_path / "s", job.address).read_text()) for job in jobs]
    assert len(records[0]["values"]) == 16
    assert "IndexError: index out of range" in records[1]["unavailable"]


# ---- what the claim file says


def test_a_size_is_needed(tmp_path):
    written(tmp_path / "bundle", MODULE)
    section = ModelSection(loader="python", entry="src/model.py:load", sites={"heads": 2})
    model = model_source(tmp_path / "bundle", section)
    assert "add sites: {layers: ..., heads: ..., width: ...}" in model.unavailable
    assert "missing: layers, width" in model.unavailable


def test_a_configuration_file_gives_the_size(tmp_path):
    root = written(tmp_path / "bundle", MODULE)
    config = {"n_layers": 2, "n_heads": 2, "d_model": 8, "d_vocab": 16, "n_ctx": 16}
    (root / "config.json").write_text(json.dumps(config))
    section = ModelSection(loader="python", entry="src/model.py:load", config="config.json")
    model = model_source(root, section)
    assert (model.shape.n_layers, model.shape.n_heads, model.shape.d_model) == (2, 2, 8)
    assert model.tier is Tier.T2


def test_without_isolation_nothing_is_measured(tmp_path):
    root = written(tmp_path / "bundle", MODULE)
    section = ModelSection(loader="python", entry="src/model.py:load", sites=EIGHT)
    model = model_source(root, section, OwnCode("", "none"))
    assert model.ref is None
    assert "isolation is switched off" in model.unavailable


def test_another_site_or_another_file_is_another_measurement(tmp_path):
    root = written(tmp_path / "bundle", MODULE)

    def address(digest, **sites):
        section = ModelSection(loader="python", entry="src/model.py:load", sites=EIGHT | sites)
        model = model_source(root, section, OwnCode(digest))
        sources = Sources(root, model, {"repeated": Task(DATA)}, "salt")
        return sources.job(PlanStep(WHERE, edit("a0.h0"))).address

    assert address("1") == address("1")
    assert len({address("1"), address("2"), address("1", mlp="none")}) == 3


@pytest.mark.parametrize(
    "site", ["{layer", "blocks.{block}.attn", "a b", "x:both", "__import__('os')"]
)
def test_a_site_is_a_module_path(site):
    with pytest.raises(ValueError, match=r"must look like|only .layer. and .head."):
        ModelSection(loader="python", entry="src/model.py:load", sites=EIGHT | {"head": site})
