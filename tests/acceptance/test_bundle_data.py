"""Prompts from a bundle's own function: honest ones decide claims, unusable ones say why, in a real run of the product."""

import pytest
from auditing import Audited, expected

from pytest_mecheval.sandbox.backends import available

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")

HONEST, FLAWED = "fixtures/own_prompts", "fixtures/own_prompts_flawed"


@pytest.fixture(scope="module", params=[HONEST, FLAWED])
def audited(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param.rpartition("/")[2])
    return request.param, Audited(request.param, folder, "-n", "2")


def decisions(run):
    return {d["claim"]: d for d in run.document["decisions"]}


def test_every_claim_comes_out_as_written_by_hand(audited):
    bundle, run = audited
    wanted = {claim: truth["verdict"] for claim, truth in expected(bundle).items()}
    found = {claim: d["verdict"] for claim, d in decisions(run).items()}
    assert {claim: found.get(claim) for claim in wanted} == wanted, run.process.stdout[-3000:]
    assert run.process.returncode == (0 if bundle == HONEST else 1)


def test_the_reader_is_told_why_and_on_what(audited):
    bundle, run = audited
    for claim, truth in expected(bundle).items():
        decision = decisions(run)[claim]
        said = [str(decision["measured"]), *map(str, decision["notes"])]
        assert any(truth.get("says", "") in text for text in said), (claim, said)


def test_measured_claims_carry_their_tier_and_the_isolation(audited):
    _, run = audited
    for decision in run.decided.values():
        assert decision["tier"] == "T2"
        assert any("was called under isolation: " in note for note in decision["notes"])


def test_functions_are_called_once_and_the_second_run_says_the_same(audited):
    bundle, run = audited
    store = run.folder / ".mecheval" / "evidence"
    written = {p: p.stat().st_mtime_ns for p in store.rglob("*.json*")}
    before = {claim: (d["verdict"], d["code"]) for claim, d in decisions(run).items()}
    again = Audited(bundle, run.folder)
    assert {claim: (d["verdict"], d["code"]) for claim, d in decisions(again).items()} == before
    assert {p: p.stat().st_mtime_ns for p in store.rglob("*.json*")} == written
