"""Every case of the sandbox contract on every backend of this machine, as we run and as an ordinary user."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from pytest_mecheval.errors import UsageError
from pytest_mecheval.sandbox import landlock
from pytest_mecheval.sandbox.backends import choose
from pytest_mecheval.sandbox.capabilities import CAPABILITIES
from pytest_mecheval.sandbox.confinement import Confinement
from pytest_mecheval.sandbox.contract import CASES, ContractBroken
from pytest_mecheval.sandbox.variables import scrubbed
from pytest_mecheval.sandbox.view import interpreter_paths

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the backends need Linux")

ROOT = Path(__file__).parents[2]
ORDINARY = 54321
"""A user id that owns nothing."""
OLD_ABI = 4
"""Linux 6.7 to 6.9, on which Landlock cannot confine signals."""
SECONDS = 180


@cache
def working(name):
    try:
        return choose(name), ""
    except UsageError as error:
        return None, str(error)


def backend(name):
    if name == "landlock, old kernel":
        working("landlock")[0] or pytest.skip(working("landlock")[1])
        return landlock.backend(abi=OLD_ABI)
    found, why = working(name)
    return found or pytest.skip(why)


def by_name(cases):
    return [pytest.param(case, id=case.name.replace(" ", "-").replace("/", "")) for case in cases]


def hold(case, sandbox, request):
    """A listed gap must really be one: the case then has to fail."""
    reason = dict(sandbox.isolation.gaps).get(case.capability)
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=ContractBroken))
    case.hold(sandbox)


@pytest.mark.parametrize("case", by_name(CASES))
@pytest.mark.parametrize("name", ["bubblewrap", "landlock"])
def test_backend_keeps_the_contract(name, case, request):
    hold(case, backend(name), request)


@pytest.mark.parametrize(
    "case",
    by_name(
        case
        for case in CASES
        if case.capability.startswith(("signals", "own signals", "tracing", "limits", "nothing"))
    ),
)
def test_older_kernels_keep_the_contract(case, request):
    hold(case, backend("landlock, old kernel"), request)


@pytest.mark.parametrize("case", by_name(case for case in CASES if case.control))
def test_without_isolation_the_attack_succeeds(case):
    """The case can fail: unconfined, its attacker gets through."""
    with pytest.raises(ContractBroken):
        case.hold(choose("none"))


@pytest.mark.parametrize(
    "case",
    by_name(
        case
        for case in CASES
        if case.capability not in choose("none").isolation.gap_names and "linux" in sys.platform
    ),
)
def test_limits_and_supervision_need_no_isolation(case):
    case.hold(choose("none"))


def test_every_capability_is_tried():
    assert {case.capability for case in CASES} == set(CAPABILITIES)


def test_names_of_cases_are_unique():
    assert len({case.name for case in CASES}) == len(CASES)


def test_most_attacks_are_shown_to_work_without_isolation():
    assert sum(case.control for case in CASES) >= 12


@cache
def as_ordinary_user(name):
    """Lines of the contract's own command, run by a user who owns nothing here."""
    python = next(
        (
            path
            for path in (sys.executable, "/usr/bin/python3")
            if not os.path.realpath(path).startswith("/root/") and Path(path).exists()
        ),
        None,
    )
    if python is None or not Path("/usr/bin/setpriv").exists():
        return None, "no interpreter that an ordinary user can start, or no setpriv"
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [
            *("/usr/bin/setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"),
            *(python, "-B", "-m", "pytest_mecheval.sandbox.contract", name),
        ],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    if not lines:
        return None, f"could not be started as user {ORDINARY}: {done.stderr.strip()[-300:]}"
    return {line[1]: line[2] for line in lines if len(line) == 3}, ""


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests above already run as an ordinary user")
@pytest.mark.parametrize("name", ["bubblewrap", "landlock"])
def test_an_ordinary_user_is_protected_as_well(name):
    backend(name)
    results, why = as_ordinary_user(name)
    if results is None:
        pytest.skip(why)
    assert set(results) == {case.name for case in CASES}
    assert not {name: said for name, said in results.items() if said.startswith("BROKEN")}
    # What root lacks, an ordinary user has: the kernel counts processes.
    assert results["exact process limit"] == "holds"


_TORCH = """
import torch
model = torch.nn.Linear(64, 64)
loss = (model(torch.ones(8, 64)) ** 2).sum()
loss.backward()
torch.save(model.state_dict(), "weights.pt")
loaded = torch.load("weights.pt", weights_only=True)
print("same", torch.equal(loaded["weight"], model.weight), bool(model.weight.grad.abs().sum() > 0))
"""


@pytest.mark.parametrize("name", ["bubblewrap", "landlock"])
def test_torch_imports_and_runs(name, tmp_path):
    scratch = tmp_path / "scratch"
    confinement = Confinement(
        argv=(sys.executable, "-c", _TORCH),
        scratch=scratch,
        read_only=interpreter_paths(),
        environment=scrubbed(scratch),
    )
    outcome = backend(name).run(confinement, tmp_path / "logs")
    assert outcome.succeeded, (outcome.notes, outcome.stderr.read_text()[-2000:])
    assert outcome.stdout.read_text().strip() == "same True True"
