"""Poisoned edits reach exactly what the edit reaches; nothing else in the run changes."""

import pytest
from traced_runs import Trace, Traced

MODEL = """
import torch
torch.manual_seed(0)
lower, upper = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)
model = torch.nn.Sequential(lower, torch.nn.Identity(), upper)
x = torch.arange(32.0).reshape(8, 4)
"""
RETURNS = "lambda m, a, out: torch.cat([out[:, :1] * 0, out[:, 1:]], 1)"
IN_PLACE = "lambda m, a, out: out.__setitem__((slice(None), slice(0, 1)), 0.0)"
PRE = "lambda m, args: (torch.cat([args[0][:, :1] * 0, args[0][:, 1:]], 1),)"


def numbers(run: Traced) -> dict[str, str]:
    """`name value` lines of a run."""
    assert run.ledger.standing == "complete", (run.ledger.problems, run.stderr)
    assert not run.ledger.faults, run.ledger.problems
    return dict(line.split(" ", 1) for line in run.stdout.splitlines())


def script(register: str) -> str:
    return (
        MODEL
        + "with torch.no_grad():\n"
        + "    clean = model(x)\n"
        + f"    handle = {register}\n"
        + "    seen = []\n"
        + "    late = model[1].register_forward_hook(lambda m, a, out: seen.append(out.clone()))\n"
        + "    edited = model(x)\n"
        + "    handle.remove()\n"
        + "    after = model(x)\n"
        + "print('clean', clean.sum().item())\n"
        + "print('edited', edited.sum().item())\n"
        + "print('after', after.sum().item())\n"
        + "print('site', [round(v, 4) for v in seen[0][0].tolist()])\n"
        + "print('draw', torch.rand(1).item())\n"
    )


@pytest.mark.parametrize("kind", ["finite", "nan"])
@pytest.mark.parametrize(
    "register",
    [
        f"lower.register_forward_hook({RETURNS})",
        f"lower.register_forward_hook({IN_PLACE})",
        f"model[1].register_forward_pre_hook({PRE})",
    ],
)
def test_only_what_the_hook_changed_is_replaced(trace: Trace, register: str, kind: str) -> None:
    real = numbers(trace(script(register)))
    poisoned_run = trace(script(register), "--poison", kind)
    poisoned = numbers(poisoned_run)
    assert poisoned["edited"] != real["edited"]
    assert (poisoned["clean"], poisoned["after"]) == (real["clean"], real["after"])
    assert poisoned["draw"] == real["draw"], "the noise must not come from the bundle's generators"
    before, now = eval(real["site"]), eval(poisoned["site"], {"nan": float("nan")})  # noqa: S307
    assert now[1:] == before[1:], "elements the hook left alone stay"
    assert now[0] != before[0] == 0.0
    assert abs(now[0]) > 100 or kind == "nan"
    assert poisoned_run.ledger.end is not None
    assert poisoned_run.ledger.end.totals["poisoned"] == 1


def test_sites_not_named_are_left_alone(trace: Trace) -> None:
    text = script(f"lower.register_forward_hook({RETURNS})")
    real = numbers(trace(text))
    assert numbers(trace(text, "--poison", "finite", "--poison-site=2")) == real
    assert numbers(trace(text, "--poison", "finite", "--poison-site=0"))["edited"] != real["edited"]


def test_nothing_to_poison_where_hooks_only_read(trace: Trace) -> None:
    text = script("lower.register_forward_hook(lambda m, a, out: out)")
    real, poisoned = trace(text), trace(text, "--poison", "nan")
    assert numbers(poisoned) == numbers(real)
    assert poisoned.ledger.end is not None
    assert "poisoned" not in poisoned.ledger.end.totals


def test_a_cached_activation_is_not_poisoned_itself(trace: Trace) -> None:
    """A patch returns the cached tensor: writing into it would poison the cache, not the edit."""
    text = (
        MODEL
        + "cache = []\nwith torch.no_grad():\n"
        + "    h = lower.register_forward_hook(lambda m, a, out: cache.append(out.clone()))\n"
        + "    model(x)\n    h.remove()\n"
        + "    h = lower.register_forward_hook(lambda m, a, out: cache[0])\n"
        + "    edited = model(x + 1)\n"
        + "print('cache', cache[0].sum().item())\nprint('edited', edited.sum().item())\n"
    )
    real, poisoned = numbers(trace(text)), numbers(trace(text, "--poison", "finite"))
    assert poisoned["cache"] == real["cache"]
    assert poisoned["edited"] != real["edited"]
