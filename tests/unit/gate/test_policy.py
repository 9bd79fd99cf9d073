"""The policy file: defaults, mistakes, policies that could never fail, and each demand on its own."""

import dataclasses

import pytest

from pytest_mecheval.errors import UsageError
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.gate.judging import attempts, reasons, refuse_toothless, weighted_share
from pytest_mecheval.gate.policy import EVENTS, Policy, find_policy, read_policy
from pytest_mecheval.report.outcome import BundleReport, Outcome, State
from pytest_mecheval.vocabulary import Dimension, Rung, Tier, Verdict


def outcome(claim="a", verdict=Verdict.SUPPORTED, tier=Tier.T3, **fields) -> Outcome:
    decision = Decision(verdict, "", "measured", "needed", Rung.L2, tier=tier)
    body = {"kind": "ablation", "dimension": Dimension.REPRODUCIBILITY, "quote": "q", "spec": {}}
    return Outcome(claim=claim, file="f.md", line=1, decision=decision, **(body | fields))


def report(*outcomes: Outcome, unchecked=()) -> BundleReport:
    return BundleReport("b", "h", "c", "h", "s", outcomes, unchecked)


def codes(found: BundleReport, **demands) -> list[str]:
    return [reason.code for reason in reasons(found, Policy.model_validate(demands))]


def read(tmp_path, text: str) -> Policy:
    path = tmp_path / "mecheval.toml"
    path.write_text(text)
    return read_policy(path)


def test_no_file_gives_the_defaults(tmp_path):
    assert find_policy(None, tmp_path, tmp_path / "bundle") is None
    assert read_policy(None) == Policy()


def test_a_full_file(tmp_path):
    policy = read(
        tmp_path,
        '[gate]\nblock = ["REFUTED", "NOT_TESTABLE"]\ncoverage = 1\ntested = 3\nmeasured = 2\n'
        'isolation = "bubblewrap"\nforbid = ["socket.connect"]\n'
        "[gate.minimum]\ncoherence = 0.5\n[gate.weights]\nheadline = 5\nsupporting = 0.5\n",
    )
    assert policy.block == ("REFUTED", "NOT_TESTABLE")
    assert (policy.coverage, policy.tested, policy.measured) == (1.0, 3, 2)
    assert (policy.minimum.coherence, policy.minimum.generalizability) == (0.5, 0.0)
    assert (policy.weights.headline, policy.weights.supporting) == (5.0, 0.5)
    assert (policy.isolation, policy.forbid) == ("bubblewrap", ("socket.connect",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gate]\ncoverag = 0.5\n", "unknown field 'coverag' (closest: coverage)"),
        ("[gate.minimum]\nreproducability = 1\n", "(closest: reproducibility)"),
        ("[gates]\n", "'gates': the policy is one table [gate] (closest: gate)"),
        ("gate = 3\n", "the policy is one table [gate]"),
        ('[gate]\nblock = ["SUPPORTED"]\n', "block[0]"),
        ("[gate]\ncoverage = 1.5\n", "less than or equal to 1"),
        ("[gate]\ncoverage = nan\n", "coverage"),
        ("[gate]\ntested = -1\n", "greater than or equal to 0"),
        ("[gate]\ntested = true\n", "must be a whole number"),
        ('[gate]\nisolation = "none"\n', "must be 'bubblewrap' or 'landlock'"),
        ('[gate]\nforbid = ["socket.conect"]\n', "(closest: socket.connect)"),
        ("[gate\n", "not TOML"),
        ("[gate]\ncoverage = 1\ncoverage = 0\n", "not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, text, said):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert str(tmp_path / "mecheval.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("demands", "passing"),
    [
        ({"block": [], "measured": 0}, "REFUTED"),
        ({"block": ["REFUTED"], "measured": 0}, "INCONCLUSIVE"),
        ({"block": ["REFUTED", "INCONCLUSIVE"], "measured": 0, "tested": 7}, "VACUOUS"),
        ({"measured": 0, "tested": 0, "coverage": 0}, "NOT_TESTABLE"),
    ],
)
def test_a_policy_that_can_never_fail_is_refused(demands, passing):
    with pytest.raises(UsageError, match=f"can never fail.*all {passing} would pass"):
        refuse_toothless(Policy.model_validate(demands), "policy")


@pytest.mark.parametrize(
    "demands",
    [
        {},
        {"block": []},
        {"measured": 0},
        {"block": [], "measured": 0, "minimum": {"coherence": 0.01}},
        {"block": ["REFUTED", "VACUOUS", "INCONCLUSIVE", "NOT_TESTABLE"], "measured": 0, "tested": 0, "coverage": 0},
    ],
)  # fmt: skip
def test_a_policy_that_can_fail_is_accepted(demands):
    refuse_toothless(Policy.model_validate(demands), "policy")


def test_what_is_supported_and_measured_passes():
    assert codes(report(outcome())) == []


@pytest.mark.parametrize("verdict", [Verdict.REFUTED, Verdict.VACUOUS, Verdict.INCONCLUSIVE])
def test_one_blocking_verdict_is_enough(verdict):
    found = report(outcome(), outcome("b", verdict))
    assert codes(found) == ["verdicts"]
    assert codes(found, block=[]) == []


def test_untestable_statements_block_only_on_demand():
    unchecked = outcome("c", state=State.NOT_RUN)
    found = report(
        outcome(), outcome("b"), unchecked=(dataclasses.replace(unchecked, decision=None),)
    )
    assert codes(found) == []
    assert codes(found, block=["NOT_TESTABLE"]) == ["verdicts"]
    assert codes(found, coverage=0.7) == ["coverage"]


def test_testimony_does_not_carry_a_bundle():
    told = report(outcome(tier=Tier.T1), outcome("b", tier=Tier.T1))
    assert codes(told) == ["measured"]
    assert codes(told, measured=0) == []


def test_structure_does_not_carry_a_bundle():
    assert codes(report(outcome(kind="structure"))) == ["measured"]


def test_number_of_tested_claims():
    assert codes(report(outcome()), tested=2) == ["tested"]


def test_headline_claims_weigh_more():
    found = report(outcome(headline=True), outcome("b", Verdict.REFUTED))
    policy = Policy.model_validate({"block": []})
    assert weighted_share(found.outcomes, policy) == pytest.approx(3 / 4)
    demand = {"minimum": {"reproducibility": 0.7}, "block": []}
    assert codes(found, **demand) == []
    assert codes(found, **demand, weights={"headline": 1.0}) == ["minimum"]


def test_a_demanded_dimension_must_have_been_tested():
    assert codes(report(outcome()), minimum={"coherence": 0.1}) == ["minimum"]


@pytest.mark.parametrize(
    ("backend", "confined", "least", "passes"),
    [
        ("bubblewrap", True, "bubblewrap", True),
        ("landlock", True, "landlock", True),
        ("landlock", True, "bubblewrap", False),
        ("none", False, "landlock", False),
        ("landlock", False, "landlock", False),
        ("bubblewrap; rm", True, "landlock", False),
    ],
)
def test_weakest_isolation(backend, confined, least, passes):
    found = report(outcome(isolation=({"backend": backend, "confined": confined},)))
    assert codes(found, isolation=least) == ([] if passes else ["isolation"])


def test_forbidden_attempts():
    told = {"attempts": ["socket.connect x (run.py:3)", "open outside /etc/passwd (run.py:4)"]}
    found = report(outcome(provenance=told))
    assert codes(found) == []
    assert codes(found, forbid=["open outside"]) == ["attempts"]
    assert codes(found, forbid=["os.kill"]) == []
    both = outcome(provenance={"attempts": [["a 1"], ["a 1", "b 2"]]})
    assert attempts(both) == ("a 1", "b 2")


def test_events_are_those_of_the_ledger():
    from pytest_mecheval.sandbox.tracer import audit

    assert set(EVENTS) == {*audit.ATTEMPTS, *audit.CODE_ONLY, "open outside"}


def test_what_the_claim_file_passes_over_counts_as_untested():
    found = report(outcome())
    assert reasons(found, Policy(coverage=0.5), unlisted=1) == ()
    (reason,) = reasons(found, Policy(coverage=0.5), unlisted=2)
    assert reason.code == "coverage"
    assert "1 of 3 stated findings tested (2 have no entry in the claim file)" in reason.text
