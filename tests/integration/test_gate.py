"""The gate on a small bundle of known truth: what passes, what blocks, and lies a run could tell about itself."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_bundle import HONEST_DOCUMENTATION, claims, write_bundle, write_claims

from pytest_mecheval.gate.canary import canary_reasons, claims_file, write_canary
from pytest_mecheval.gate.gating import _judge, _report, gate
from pytest_mecheval.gate.planning import plan_of
from pytest_mecheval.gate.policy import Policy
from pytest_mecheval.gate.running import Options

HONEST = ("needed", "attends")
"""Claims of the toy bundle that hold; `decoy` does not."""


def honest_claims():
    content = claims()
    content["claims"] = [claim for claim in content["claims"] if claim["id"] in HONEST]
    return content


def run_gate(folder: Path, *arguments: str, **variables: str):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
    return subprocess.run(  # noqa: S603 - our own command
        [str(Path(sys.executable).with_name("mecheval")), "gate", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    write_bundle(folder / "honest", honest_claims(), HONEST_DOCUMENTATION)
    write_bundle(folder / "flawed")
    return folder


@pytest.fixture(scope="module")
def honest(place):
    return run_gate(place, "honest", "--out", "honest-out")


@pytest.mark.parametrize("option", ["--evidence", "--out", "--allure"])
def test_a_file_where_a_folder_is_needed_is_a_usage_error_and_is_kept(place, option):
    (place / "notes.txt").write_text("kept")
    done = run_gate(place, "honest", "--out", "file-out", option, "notes.txt")
    assert done.returncode == 4
    assert (
        f"notes.txt: is a file where a folder is needed; name another one with {option}"
        in done.stderr
    )
    assert (place / "notes.txt").read_text() == "kept"


def test_a_folder_beside_the_bundle_is_not_inside_it(place):
    done = run_gate(place / "honest", ".", "--out", "../beside", "--claims", "../none.yaml")
    assert done.returncode == 4
    assert "none.yaml: no such claim file" in done.stderr
    done = run_gate(place / "honest", ".", "--out", "../honest/inside")
    assert "inside: lies inside the bundle" in done.stderr
    (place / "honest" / "way_out").symlink_to(place)
    done = run_gate(place, "honest", "--out", "honest/way_out/somewhere")
    (place / "honest" / "way_out").unlink()
    assert "somewhere: lies inside the bundle" in done.stderr


def test_an_honest_bundle_passes(place, honest):
    assert honest.returncode == 0, honest.stdout + honest.stderr
    assert honest.stdout.startswith("mecheval gate: PASSED")
    body = json.loads((place / "honest-out/gate.json").read_text())
    assert body["passed"] is True
    assert body["reasons"] == []
    assert body["verdicts"] == dict.fromkeys(HONEST, "SUPPORTED")
    assert body["decided_again"] == len(HONEST)
    assert not list((place / "honest-out").glob("canary*"))


def test_the_text_fits_one_screen(honest):
    lines = honest.stdout.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 120


@pytest.mark.usefixtures("honest")
def test_a_refuted_claim_blocks_and_is_named(place):
    evidence = place / "honest-out/evidence"
    done = run_gate(place, "flawed", "--out", "flawed-out", "--evidence", str(evidence))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "verdicts: 1 REFUTED: decoy" in done.stdout
    body = json.loads((place / "flawed-out/gate.json").read_text())
    assert [reason["code"] for reason in body["reasons"]] == ["verdicts"]


@pytest.mark.usefixtures("honest")
def test_a_policy_beside_the_bundle_is_used(place, tmp_path):
    policy = tmp_path / "strict.toml"
    policy.write_text("[gate]\ncoverage = 0.9\n[gate.minimum]\ngeneralizability = 0.5\n")
    done = run_gate(
        place, "honest", "--out", str(tmp_path / "out"), "--policy", str(policy),
        "--evidence", str(place / "honest-out/evidence"), "-n", "2",
        "--allure", str(tmp_path / "allure"),
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "coverage: 2 of 4 stated findings tested, at least 90% are demanded" in done.stdout
    assert "generalizability: nothing was tested, at least 50% is demanded" in done.stdout
    assert list((tmp_path / "allure").glob("*-result.json"))


@pytest.fixture(scope="module")
def finished(place, honest, tmp_path_factory):
    """A finished run with its canary, to be lied about."""
    assert honest.returncode == 0
    folder = tmp_path_factory.mktemp("finished")
    bundle = place / "honest"
    kept = folder / "kept"
    options = Options(out=folder / "out", evidence=place / "honest-out/evidence")
    options.out.mkdir()
    plan = plan_of(bundle, bundle.with_name("honest.claims.yaml"))
    canary = write_canary(folder / "own")
    from pytest_mecheval.gate.running import run_audit

    status = run_audit(plan, canary, options, folder)
    assert status == 1
    shutil.copytree(options.out, kept)
    return plan, canary, options, kept


@pytest.fixture
def lie(finished, tmp_path):
    """Judge a changed copy of the finished run; gives the codes of the reasons."""
    plan, canary, options, kept = finished

    def judged(change=None, status: int = 1, *, of: str = "honest") -> set[str]:
        out = tmp_path / "out"
        shutil.copytree(kept, out)
        folders = [out / "honest", out / canary.bundle.name]
        path = out / (of if of == "honest" else canary.bundle.name) / "decisions.json"
        document = json.loads(path.read_text())
        if change:
            change(document)
        path.write_text(json.dumps(document))
        judgement = _judge(plan, Policy(), options, canary, folders, status)
        assert judgement.passed is not bool(judgement.reasons)
        return {reason.code for reason in judgement.reasons}

    return judged


def test_the_truth_passes(lie):
    assert lie() == set()


def test_exit_status_alone_is_never_believed(lie):
    assert lie(status=0) == {"run"}


@pytest.mark.parametrize("status", [2, 3, 4, 5, -9])
def test_a_run_without_an_end_fails(lie, status):
    assert lie(status=status) == {"run"}


def test_a_dropped_case_fails(lie):
    assert {"plan"} <= lie(lambda document: document["decisions"].pop())


def test_a_case_nobody_planned_fails(lie):
    def add(document):
        document["decisions"].append({**document["decisions"][0], "claim": "made-up"})

    assert "plan" in lie(add)


def test_a_verdict_that_the_evidence_does_not_give_fails(lie):
    def edit(document):
        document["decisions"][0]["verdict"] = "REFUTED"

    assert "evidence" in lie(edit)


def test_scores_that_do_not_follow_fail(lie):
    def edit(document):
        document["coverage"]["tested"] += 1

    assert lie(edit) == {"evidence"}


def test_a_report_about_other_files_fails(lie):
    assert lie(lambda document: document["bundle"].update(sha256="0" * 64)) == {"identity"}


def test_a_report_about_other_claims_fails(lie):
    assert lie(lambda document: document["claims_file"].update(sha256="0" * 64)) == {"identity"}


def test_a_run_that_calls_everything_supported_is_given_away_by_the_canary(lie):
    def praise(document):
        for decision in document["decisions"]:
            decision["verdict"] = "SUPPORTED"

    assert lie(praise, of="canary") == {"canary"}


def test_no_report_fails(finished, tmp_path):
    plan, canary, options, _ = finished
    judgement = _judge(
        plan, Policy(), options, canary, [tmp_path / "none", tmp_path / "neither"], 0
    )
    assert {reason.code for reason in judgement.reasons} == {"run", "canary"}


def test_a_canary_has_other_names_each_time(tmp_path):
    first, second = write_canary(tmp_path / "a"), write_canary(tmp_path / "b")
    assert first.true_claim != second.true_claim
    assert plan_of(first.bundle, claims_file(first)).decided == {
        first.true_claim,
        first.false_claim,
    }
    assert canary_reasons(first, None)
    assert _report(tmp_path / "a")[0] is None


def test_leaving_a_false_statement_out_of_the_claim_file_does_not_help(tmp_path):
    write_bundle(tmp_path / "toy", honest_claims())
    done = run_gate(tmp_path, "toy", "--out", "out")
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "coverage: 2 of 5 stated findings tested (1 have no entry in the claim file)" in said


def test_a_bundle_that_changes_meanwhile_fails(tmp_path, monkeypatch):
    bundle = write_bundle(tmp_path / "toy", honest_claims())

    def change(plan, *_):
        (plan.bundle / "added.md").write_text("A new finding.\n")
        return 1

    monkeypatch.setattr("pytest_mecheval.gate.gating.run_audit", change)
    options = Options(out=tmp_path / "out", evidence=tmp_path / "evidence")
    judgement = gate(bundle, bundle.with_name("toy.claims.yaml"), Policy(), options)
    assert "identity" in {reason.code for reason in judgement.reasons}


class TestRefusals:
    """Input the gate does not work with: status 4, one message, nothing run."""

    def refused(self, folder: Path, *arguments: str) -> str:
        done = run_gate(folder, *arguments)
        assert done.returncode == 4, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    @pytest.fixture
    def toy(self, tmp_path) -> Path:
        return write_bundle(tmp_path / "toy", honest_claims())

    @pytest.mark.parametrize("option", ["--policy", "--claims", "--out", "--evidence", "--allure"])
    def test_places_inside_the_bundle(self, toy, option):
        (toy / "inner").write_text("[gate]\n")
        said = self.refused(toy.parent, "toy", option, "toy/inner")
        assert option in said
        assert "inside" in said

    def test_a_link_from_outside_into_the_bundle(self, toy):
        (toy / "inner.toml").write_text("[gate]\n")
        (toy.parent / "mecheval.toml").symlink_to(toy / "inner.toml")
        assert "judge itself" in self.refused(toy.parent, "toy")

    def test_the_default_policy_file_of_a_bundle_that_is_the_repository(self, toy):
        (toy / "mecheval.toml").write_text("[gate]\nmeasured = 0\n")
        assert "judge itself" in self.refused(toy, ".", "--out", "../out")

    def test_stale_claims(self, toy):
        with (toy / "logs/documentation.md").open("a") as document:
            document.write("One more finding.\n")
        assert "mecheval restamp" in self.refused(toy.parent, "toy")

    def test_an_output_folder_that_is_not_ours(self, toy):
        (toy.parent / "out").mkdir()
        (toy.parent / "out/thesis.tex").write_text("")
        assert "was not written by the gate" in self.refused(toy.parent, "toy", "--out", "out")
        assert (toy.parent / "out/thesis.tex").exists()

    def test_a_broken_policy(self, toy):
        (toy.parent / "mecheval.toml").write_text("[gate]\ncoverag = 1\n")
        assert "'coverag' (closest: coverage)" in self.refused(toy.parent, "toy")


def test_the_command_itself_must_be_isolated(tmp_path, monkeypatch, capsys):
    from pytest_mecheval import cli

    monkeypatch.chdir(tmp_path)
    write_claims(write_bundle(tmp_path / "toy"), claims())
    assert cli.main(["gate", "toy"]) == 4
    assert "start it as `mecheval gate`" in capsys.readouterr().err
