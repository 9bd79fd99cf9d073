"""A plain PyTorch bundle, honest and flawed, through the whole product: the bundle's own module, driven in the sandbox."""

import pytest
from auditing import Audited, expected

from pytest_mecheval.sandbox.backends import available

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")
HONEST, FLAWED = "fixtures/plain_torch", "fixtures/plain_torch_flawed"


@pytest.fixture(scope="module", params=[HONEST, FLAWED])
def audited(request, tmp_path_factory):
    return request.param, Audited(request.param, tmp_path_factory.mktemp("own"), "-n", "0")


def test_every_claim_comes_out_as_written_by_hand(audited):
    bundle, run = audited
    wanted = {claim: (t["verdict"], t.get("code", "")) for claim, t in expected(bundle).items()}
    found = {claim: (d["verdict"], d["code"]) for claim, d in run.decided.items()}
    assert found == wanted, run.process.stdout[-3000:]


def test_exit_status_tells_defect_from_twin(audited):
    bundle, run = audited
    assert run.process.returncode == (1 if bundle == FLAWED else 0)
    assert "Traceback" not in run.process.stdout


def test_every_measured_decision_says_whose_module_was_driven_and_how_confined(audited):
    bundle, run = audited
    for claim, decision in run.decided.items():
        if decision["code"] == "no such component":
            continue
        assert decision["tier"] == "T2", claim
        (note,) = [note for note in decision["notes"] if "own module" in note]
        assert "TinyTransformer (src/model.py:load), driven by us under isolation" in note
        recognised = "head blocks.{layer}.attn.out:input (recognised by us)" in note
        assert recognised == (bundle == HONEST)


def test_workers_and_repetition_change_nothing_and_measure_nothing(audited):
    bundle, run = audited
    store = run.folder / ".mecheval" / "evidence"
    written = {p: p.stat().st_mtime_ns for p in store.rglob("*.json")}
    before = {claim: (d["verdict"], d["code"]) for claim, d in run.decided.items()}
    again = Audited(bundle, run.folder, "-n", "2")
    assert {claim: (d["verdict"], d["code"]) for claim, d in again.decided.items()} == before
    assert {p: p.stat().st_mtime_ns for p in store.rglob("*.json")} == written


def test_every_defect_is_planted():
    wanted = expected(FLAWED)
    assert sum("planted" in truth for truth in wanted.values()) >= 8
    assert {t["verdict"] for t in wanted.values() if "planted" not in t} == {"SUPPORTED"}
    assert {t["verdict"] for t in expected(HONEST).values()} == {"SUPPORTED"}
