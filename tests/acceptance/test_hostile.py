"""Hostile bundles: the host stays untouched, nothing passes, nothing hangs, and the report says what was tried."""

import os
import time
from pathlib import Path

import pytest
from auditing import Audited, exhaustive, expected
from hostile_files import CANARY, Host, copy, plant_special_files

from pytest_mecheval.sandbox.backends import available

BACKENDS = [backend.name for backend in available()]
pytestmark = pytest.mark.skipif(not BACKENDS, reason="no sandbox works on this machine")

BUNDLES = ("hostile_verdict", "hostile_host", "hostile_files")
EVERYWHERE = "hostile_host"
"""Attacked on every backend in every run of the tests; the others on the first, and on all by `make test-all`."""
CASES = [
    pytest.param(
        name, backend, marks=[] if name == EVERYWHERE or backend == BACKENDS[0] else [exhaustive]
    )
    for name in BUNDLES
    for backend in BACKENDS
]
SCRIPT_SECONDS = 12
"""Longest a script may run here; only `never_ends.py` needs more than two."""
SESSION_SECONDS = 120
ATTEMPTED = {
    "hostile_verdict": {
        "blindfold": "sys.settrace",
    },
    "hostile_host": {
        "read-secrets": "open outside",
        "write-outside": "open outside",
        "reach-network": "socket.",
        "touch-processes": "os.kill",
        "leave-daemon": "os.fork",
        "many-processes": "os.fork",
    },
    "hostile_files": {"native-code": "native.so: native code, left out of the run"},
}
"""What the notes of a claim must name; the rest cannot be known, or is no attempt to get out."""


class Attack:
    """One run of the product on one hostile bundle with one backend."""

    def __init__(self, name: str, backend: str, folder) -> None:
        self.name, self.backend, self.folder = name, backend, folder
        bundle = copy(name, folder)
        self.marker = folder / "host_was_touched"
        self.host = Host(folder, bundle)
        if name == "hostile_files":
            plant_special_files(bundle, self.host.secret, self.marker)
            self.host.before = self.host.files()
        work = folder / "run"
        work.mkdir()
        began = time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in self.host.environment.items():
                patch.setenv(variable, value)
            self.run = Audited(
                str(bundle),
                work,
                f"--mecheval-sandbox={backend}",
                f"--mecheval-script-seconds={SCRIPT_SECONDS}",
            )
        self.seconds = time.monotonic() - began
        self.victim_lives = self.host.victim.poll() is None
        self.left_over = self.host.left_over()
        self.host.close()


# One test per attack: workers would each repeat the run if its promises were tests of their own.
@pytest.mark.parametrize(("name", "backend"), CASES)
def test_hostile_bundle(name, backend, tmp_path):
    attack = Attack(name, backend, tmp_path)
    no_claim_is_supported_and_each_falls_for_its_reason(attack)
    the_run_fails_and_does_not_hang(attack)
    files_of_the_host_are_untouched(attack)
    processes_and_listeners_of_the_host_are_untouched(attack)
    no_secret_gets_into_any_output(attack)
    the_report_says_what_was_attempted(attack)
    the_report_says_which_isolation_was_in_force(attack)


def no_claim_is_supported_and_each_falls_for_its_reason(attack):
    wanted = expected(f"fixtures/{attack.name}")
    decisions = {d["claim"]: d for d in attack.run.document["decisions"]}
    found = {claim: (d["verdict"], d.get("code", "")) for claim, d in decisions.items()}
    for claim, truth in wanted.items():
        verdict, code = found[claim]
        allowed = truth["verdict"] if isinstance(truth["verdict"], list) else [truth["verdict"]]
        assert verdict in allowed, claim
        assert truth.get("code", code) == code, claim
    assert set(found) == set(wanted)
    assert "SUPPORTED" not in {verdict for verdict, _ in found.values()}


def the_run_fails_and_does_not_hang(attack):
    assert attack.run.process.returncode == 1, attack.run.process.stdout[-3000:]
    assert attack.seconds < SESSION_SECONDS


def files_of_the_host_are_untouched(attack):
    after = attack.host.files()
    changed = {
        path
        for path in after.keys() | attack.host.before.keys()
        if after.get(path) != attack.host.before.get(path)
    }
    assert not changed
    assert not attack.marker.exists()
    assert not os.path.lexists(Path(os.__file__).with_name("hostile_marker.pth"))


def processes_and_listeners_of_the_host_are_untouched(attack):
    assert attack.victim_lives
    assert attack.left_over == []
    assert attack.host.heard == []


def no_secret_gets_into_any_output(attack):
    assert CANARY not in attack.run.process.stdout + attack.run.process.stderr
    for path in (attack.folder / "run").rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def the_report_says_what_was_attempted(attack):
    notes = {d["claim"]: " | ".join(d["notes"]) for d in attack.run.document["decisions"]}
    for claim, said in ATTEMPTED[attack.name].items():
        assert said in notes[claim], claim


def the_report_says_which_isolation_was_in_force(attack):
    assert attack.backend in {
        isolation["backend"] for isolation in attack.run.document["isolations"].values()
    }


def test_every_vector_is_named():
    for name in BUNDLES:
        assert all(truth["vector"] for truth in expected(f"fixtures/{name}").values())
