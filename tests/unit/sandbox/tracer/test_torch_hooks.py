"""Raw torch: what hooks, weight edits and replaced forwards leave in the ledger, by value."""

from pathlib import Path

import pytest
from traced_runs import Traced, run, write

from pytest_mecheval.sandbox.ledger_rows import Inputs

MODEL = """
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, width=16, heads=4):
        super().__init__()
        self.n_heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (
            part.view(b, t, self.n_heads, -1).transpose(1, 2)
            for part in self.qkv(x).split(d, 2)
        )
        z = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(z.transpose(1, 2).reshape(b, t, d))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.attn = Attention()
        self.mlp = nn.Linear(16, 16)
        self.head = nn.Linear(16, 11)

    def forward(self, ids):
        x = self.embed(ids)
        x = x + self.attn(x)
        x = x + self.mlp(x)
        return self.head(x)


def make():
    torch.manual_seed(3)
    return Model().eval()
"""

SCRIPT = """
import torch
from model import make

model = make()
tokens = torch.randint(0, 11, (6, 5))
other = torch.randint(0, 11, (6, 5))


def call(name, ids=tokens):
    with torch.no_grad():
        out = model(ids)
    print(f"{name} {float(out.sum()):.4f}")
    return out


def hooked(name, module, hook, pre=False, ids=tokens):
    handle = (module.register_forward_pre_hook if pre else module.register_forward_hook)(hook)
    call(name, ids)
    handle.remove()


seen = {}


def store(module, args, out):
    seen["mlp"] = out.clone()


def store_input(module, args):
    seen["z"] = args[0].clone()


hooked("cache", model.mlp, store)                                        # 0
other_mlp = None
hooked("cache other", model.mlp, store, ids=other)                       # 1
other_mlp = seen["mlp"]
hooked("zero returned", model.mlp, lambda m, a, o: torch.zeros_like(o))  # 2
hooked("identity", model.mlp, lambda m, a, o: o.clone())                 # 3


def in_place(module, args, out):
    out[:, 2] = 0.0


def data_write(module, args, out):
    out.data[:, :, 3] = 7.0


hooked("zero in place", model.mlp, in_place)                             # 4
hooked("data write", model.mlp, data_write)                              # 5
hooked("mean", model.mlp, lambda m, a, o: o.mean(0, keepdim=True).expand_as(o).clone())     # 6
hooked("scaled", model.mlp, lambda m, a, o: o * 0.5)                     # 7
hooked("patched", model.mlp, lambda m, a, o: other_mlp)                  # 8
hooked("own rows", model.mlp, lambda m, a, o: o[torch.tensor([1, 2, 3, 4, 5, 0])])          # 9
hooked("steer", model.mlp, lambda m, a, o: o + torch.linspace(1.0, 2.0, 16))               # 10


def head_two(module, args):
    z = args[0].clone()
    z[:, :, 8:12] = 0.0
    return (z,)


hooked("head", model.attn.c_proj, head_two, pre=True)                    # 11
hooked("noise", model.mlp, lambda m, a, o: o + torch.randn_like(o))      # 12


def one_position(module, args, out):
    out = out.clone()
    out[:, -1] = other_mlp[:, -1]
    return out


hooked("position", model.mlp, one_position)                              # 13
model.head.register_forward_hook(lambda m, a, o: None)
model.attn.register_forward_hook(lambda m, a, o: None).remove()          # never called
kept = model.mlp.weight.data.clone()
model.mlp.weight.data[4] = 0.0
call("weight zeroed")                                                    # 14
model.mlp.weight.data.copy_(kept)
call("weight restored")                                                  # 15
model.mlp.bias.detach().numpy()[1] += 1.0
call("numpy write")                                                      # 16
old = model.mlp.forward
model.mlp.forward = lambda x: old(x) * 0.0
call("replaced")                                                         # 17
model.mlp.forward = old
del model.mlp.forward
model.mlp._forward_hooks[999] = lambda m, a, o: torch.zeros_like(o)
call("registered behind the back")                                       # 18
"""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    folder = write(
        tmp_path_factory.mktemp("torch") / "bundle", {"model.py": MODEL, "main.py": SCRIPT}
    )
    return run(folder, "main.py")


def only_edit(traced: Traced, forward: int):
    (edit,) = [edit for edit in traced.ledger.edits if edit.forward == forward]
    return edit


def line_of(text: str) -> int:
    return next(
        number for number, line in enumerate(SCRIPT.lstrip("\n").split("\n"), 1) if text in line
    )


def test_run_is_complete_and_undisturbed(traced: Traced) -> None:
    assert traced.code == 0, traced.stderr
    assert traced.ledger.standing == "complete", traced.ledger.problems
    assert traced.ledger.faults == 0
    assert len(traced.ledger.forwards) == 19
    assert traced.stdout.splitlines()[0].startswith("cache ")


def test_reads_are_not_edits(traced: Traced) -> None:
    for forward in (0, 1, 3):  # caching, caching, returning an equal copy
        assert not [edit for edit in traced.ledger.edits if edit.forward == forward]
        row = traced.ledger.forwards[forward]
        assert row.edits == 0
        assert [traced.ledger.hooks[hook].site for hook in row.reads] == ["mlp.output"]


@pytest.mark.parametrize(
    ("forward", "kind", "returned"),
    [
        (2, "zero", True),
        (4, "zero", False),
        (5, "constant", False),
        (6, "mean", True),
        (7, "scaled", True),
        (8, "copy", True),
        (9, "permuted", True),
        (10, "added", True),
        (11, "zero", True),
        (12, "other", True),
        (13, "copy", True),
        (18, "zero", True),
    ],
)
def test_what_was_written(traced: Traced, forward: int, kind: str, returned: bool) -> None:
    edit = only_edit(traced, forward)
    assert (edit.kind, edit.returned) == (kind, returned)
    assert edit.delta_max is not None
    assert edit.delta_max > 0


def test_source_of_a_patch_is_the_forward_it_came_from(traced: Traced) -> None:
    assert only_edit(traced, 8).source == 1
    assert only_edit(traced, 13).source == 1
    assert only_edit(traced, 9).source in (0, 9)  # rows of this batch, which forward 0 saw too
    prompts = {row.id: set(row.rows) for row in traced.ledger.of(Inputs)}
    rows = [prompts[forward.inputs] for forward in traced.ledger.forwards]
    assert not rows[8] & rows[1]
    assert rows[8] == rows[0]
    assert len(rows[0]) == 6


def test_extent(traced: Traced) -> None:
    assert only_edit(traced, 4).positions == "2"
    assert only_edit(traced, 5).columns == "3"
    assert only_edit(traced, 5).value == 7.0
    assert only_edit(traced, 13).positions == "4"
    head = only_edit(traced, 11)
    assert (head.site, head.heads, head.columns) == ("attn.c_proj.input", "2", "8-11")
    assert only_edit(traced, 7).factor == pytest.approx(0.5)
    assert only_edit(traced, 4).share == pytest.approx(1 / 5, abs=1e-6)


def test_call_sites_name_file_and_line(traced: Traced) -> None:
    edit = only_edit(traced, 4)
    assert edit.calls[-1] == f"main.py:{line_of('zero in place')}"
    assert traced.ledger.hooks[edit.hook].function == f"main.py:{line_of('def in_place')} in_place"


def test_hook_never_called(traced: Traced) -> None:
    (never,) = traced.ledger.hooks_never_called
    assert never.calls == (f"main.py:{line_of('never called')}",)
    assert never.site == "attn.output"


def test_weight_edits_are_seen_by_value(traced: Traced) -> None:
    zeroed, restored, numpy_write = traced.ledger.weight_changes
    assert (zeroed.before, zeroed.changed, zeroed.optimizer) == (14, 1, False)
    assert (zeroed.tensors[0].name, zeroed.tensors[0].zero) == ("mlp.weight", True)
    assert zeroed.tensors[0].axes == ("4", "all")
    assert (restored.before, restored.tensors[0].restored) == (15, True)
    assert (numpy_write.before, numpy_write.tensors[0].name) == (16, "mlp.bias")
    assert numpy_write.tensors[0].axes == ("1",)


def test_replaced_forward(traced: Traced) -> None:
    (replaced,) = traced.ledger.replaced
    assert (replaced.what, replaced.site) == ("instance", "mlp")
    assert replaced.function.startswith(f"main.py:{line_of('model.mlp.forward = lambda')} ")


def test_outputs_tell_forwards_apart(traced: Traced) -> None:
    output = [row.output for row in traced.ledger.forwards]
    assert output[0] == output[3]
    assert len({output[index] for index in (0, 1, 2, 8, 12, 14)}) == 6
    assert output[15] == output[0]


def test_numbers_and_seeds_have_places(traced: Traced) -> None:
    first = traced.ledger.printed[0]
    assert first.calls[0] == f"main.py:{line_of('print(')}"
    assert first.after == 0
    assert first.numbers == (traced.stdout.splitlines()[0].split()[-1],)
    seed = traced.ledger.seeds[0]
    assert (seed.generator, seed.value) == ("torch", 3)
    assert seed.calls[0].startswith("model.py:")


def test_ledger_is_outside_the_bundle_and_the_bundle_is_untouched(traced: Traced) -> None:
    folder = traced.path.parent / "bundle"
    assert sorted(p.name for p in folder.iterdir() if p.name != "__pycache__") == [
        "main.py",
        "model.py",
    ]
    assert Path(traced.path).stat().st_mode & 0o077 == 0
