"""Bundles whose own run decides: each defect turns red for its reason, its clean twin stays green."""

import os
from pathlib import Path

import pytest
from auditing import Audited, expected

from pytest_mecheval.sandbox.backends import available

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")

PAIRS = {
    "ablation_not_run": "ablation_run",
    "identity_patch": "mean_patch",
    "only_attention": "causal_test",
    "number_from_nowhere": "number_printed",
    "crashes_halfway": "runs_through",
    "hard_coded": "computed",
    "unseeded": "seeded",
    "cached_logits": "fresh_logits",
    "watched": "unwatched",
    "attention_hooked": "mlp_hooked",
    "stale_result": "fresh_result",
    "swallowed_exception": "right_module",
    "fewer_prompts": "all_prompts",
    "dropped_step": "kept_step",
    "other_weights": "stated_weights",
    "contradicts_output": "agrees_with_output",
    "same_prompts": "fresh_prompts",
    "membership_validation": "ablation_validation",
    "untested_function": "tested_function",
    "no_interval": "bootstrap_interval",
    "impossible_mean": "possible_mean",
    "silent_deviation": "disclosed_deviation",
    "one_row": "resampled_batch",
}


@pytest.fixture(scope="module", params=[*PAIRS, *PAIRS.values()])
def audited(request, tmp_path_factory):
    bundle = f"fixtures/{request.param}"
    return bundle, Audited(bundle, tmp_path_factory.mktemp(request.param))


def test_every_statement_comes_out_as_written_by_hand(audited):
    bundle, run = audited
    wanted = {claim: (t["verdict"], t.get("code", "")) for claim, t in expected(bundle).items()}
    found = {claim: (d["verdict"], d["code"]) for claim, d in run.decided.items()}
    assert {claim: found.get(claim) for claim in wanted} == wanted, run.process.stdout[-3000:]


def test_exit_status_tells_defect_from_twin(audited):
    bundle, run = audited
    assert run.process.returncode == (1 if bundle.removeprefix("fixtures/") in PAIRS else 0)


REPEATED = frozenset(
    {
        *("ablation_not_run", "ablation_run", "hard_coded", "computed", "crashes_halfway"),
        *("membership_validation", "ablation_validation", "watched", "same_prompts", "unseeded"),
    }
)
"""Repeated with workers in every run of the tests; all the others by `make test-all`."""


def test_workers_and_repetition_change_nothing_and_rerun_nothing(audited):
    bundle, run = audited
    if not os.environ.get("MECHEVAL_TEST_EXHAUSTIVE") and Path(bundle).name not in REPEATED:
        pytest.skip("shown on other bundles in every run, on this one by make test-all")
    store = run.folder / ".mecheval" / "evidence"
    written = {p: p.stat().st_mtime_ns for p in store.rglob("*.json")}
    before = {claim: (d["verdict"], d["code"]) for claim, d in run.decided.items()}
    again = Audited(bundle, run.folder, "-n", "2")
    assert {claim: (d["verdict"], d["code"]) for claim, d in again.decided.items()} == before
    assert {p: p.stat().st_mtime_ns for p in store.rglob("*.json")} == written


def test_reader_learns_which_isolation_was_in_force(audited):
    _, run = audited
    notes = [note for d in run.decided.values() for note in d["notes"]]
    assert any(note.startswith("the bundle's code ran under isolation: ") for note in notes)


def test_every_defect_is_planted():
    for bundle in PAIRS:
        assert any("planted" in truth for truth in expected(f"fixtures/{bundle}").values())
