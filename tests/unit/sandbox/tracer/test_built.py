"""Models that code builds get their sham at the first forward that measures, unless they are trained."""

from traced_runs import Trace

MODEL = """
import torch
torch.manual_seed(0)
class Attn(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.n_heads = 4
        self.q, self.k, self.v, self.o = (torch.nn.Linear(8, 8, bias=False) for _ in range(4))
    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (f(x).view(b, t, 4, 2).transpose(1, 2) for f in (self.q, self.k, self.v))
        z = (q @ k.transpose(2, 3)).softmax(-1) @ v
        return self.o(z.transpose(1, 2).reshape(b, t, 8))
class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = Attn()
    def forward(self, x):
        return x + self.attn(x)
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block()])
    def forward(self, x):
        return self.blocks[0](x)
model = Model()
x = torch.randn(3, 5, 8)
"""
MEASURED = """
def effect(model, head):
    def zero(m, args):
        z = args[0].clone()
        z[:, :, 2 * head : 2 * head + 2] = 0
        return (z,)
    clean = model(x).abs().sum()
    handle = model.blocks[0].attn.o.register_forward_pre_hook(zero)
    found = (clean - model(x).abs().sum()).item()
    handle.remove()
    return found
with torch.no_grad():
    print('clean', f'{model(x).abs().sum().item():.3f}')
    for head in range(4):
        print('head', f'{effect(model, head):.3f}')
print('typed', 0.8642)
"""


def values(run) -> list[str]:
    assert run.ledger.standing == "complete", (run.ledger.problems, run.stderr)
    assert not run.ledger.faults, run.ledger.problems
    return [line.split()[1] for line in run.stdout.splitlines()]


def test_shuffled_at_the_first_forward(trace: Trace) -> None:
    real, sham = trace(MODEL + MEASURED), trace(MODEL + MEASURED, "--sham", "shuffle")
    assert (real.ledger.sham_applied, sham.ledger.sham_applied) == (False, True)
    assert not set(values(real)[:-1]) & set(values(sham)[:-1])
    assert values(real)[-1] == values(sham)[-1] == "0.8642"
    assert sham.ledger.weight_changes == ()


def test_permuted_heads_keep_clean_numbers_and_move_effects(trace: Trace) -> None:
    real, sham = trace(MODEL + MEASURED), trace(MODEL + MEASURED, "--sham", "headperm")
    (row,) = sham.ledger.shams
    (order,) = row.permutations.values()
    before, after = values(real), values(sham)
    assert before[0] == after[0]
    effects = [float(value) for value in before[1:5]]
    moved = [float(value) for value in after[1:5]]
    assert len(set(effects)) == 4
    for slot, head in enumerate(order):
        assert slot != head
        assert abs(moved[slot] - effects[head]) <= 0.0011
    copied = MODEL + "import copy\nmodel(x)\nmodel.eval()\nmodel(x)\nmodel = copy.deepcopy(model)\n"
    again = trace(copied + MEASURED, "--sham", "headperm")
    assert values(again) == after, "a copy of a changed model must not be changed once more"


def test_training_before_the_first_measurement_is_not_undone(trace: Trace) -> None:
    text = MODEL + (
        "optimizer = torch.optim.SGD(model.parameters(), 0.01)\n"
        "for _ in range(3):\n    optimizer.zero_grad()\n    model(x).pow(2).mean().backward()\n"
        "    optimizer.step()\nmodel.eval()\n"
    )
    real, sham = trace(text + MEASURED), trace(text + MEASURED, "--sham", "shuffle")
    assert sham.ledger.sham_applied
    assert values(real)[0] != values(sham)[0]


def test_training_after_it_takes_it_back(trace: Trace) -> None:
    text = MODEL + (
        "optimizer = torch.optim.SGD(model.parameters(), 0.01)\n"
        "for _ in range(3):\n    with torch.no_grad():\n        model(x)\n"
        "    optimizer.zero_grad()\n    model(x).pow(2).mean().backward()\n    optimizer.step()\n"
    )
    sham = trace(text + MEASURED, "--sham", "shuffle").ledger
    assert not sham.sham_applied
    assert "trained" in sham.shams[-1].reason


def test_weights_restored_from_memory_take_it_back(trace: Trace) -> None:
    text = MODEL + (
        "kept = {k: v.clone() for k, v in model.state_dict().items()}\n"
        "with torch.no_grad():\n    model(x)\nmodel.load_state_dict(kept)\n"
    )
    assert not trace(text + MEASURED, "--sham", "shuffle").ledger.sham_applied


def test_a_loaded_model_is_not_changed_twice(trace: Trace) -> None:
    text = MODEL + (
        "torch.save(model.state_dict(), 'w.pt')\nmodel = Model()\n"
        "model.load_state_dict(torch.load('w.pt', weights_only=True))\n"
    )
    sham = trace(text + MEASURED, "--sham", "headperm").ledger
    assert sum(row.applied for row in sham.shams) == 1
