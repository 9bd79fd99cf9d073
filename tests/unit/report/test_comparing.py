"""Two runs compared: what appeared, vanished, flipped, got worse, and what moved behind it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mecheval.cli import main
from pytest_mecheval.evidence.decision import Estimate
from pytest_mecheval.report.comparing import Change, compare
from pytest_mecheval.report.decisions import bundle_document, json_text
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.vocabulary import Tier, Verdict

Build = Callable[..., Any]


def report(*outcomes: Outcome, **fields: Any) -> BundleReport:
    return BundleReport("b", "h", "c", "ch", "salt", outcomes, **fields)


def test_equal_reports_have_nothing_to_say(made: Build, decision: Build) -> None:
    found = compare(report(made("a", decision())), report(made("a", decision())))
    assert (found.claims, found.run, found.unchanged) == ((), (), 1)


VERDICTS = ["SUPPORTED", "INCONCLUSIVE", "NOT_TESTABLE", "VACUOUS", "REFUTED"]
WORSE = {
    ("SUPPORTED", "INCONCLUSIVE"), ("SUPPORTED", "NOT_TESTABLE"), ("SUPPORTED", "VACUOUS"),
    ("SUPPORTED", "REFUTED"), ("INCONCLUSIVE", "NOT_TESTABLE"), ("INCONCLUSIVE", "VACUOUS"),
    ("INCONCLUSIVE", "REFUTED"), ("NOT_TESTABLE", "VACUOUS"), ("NOT_TESTABLE", "REFUTED"),
}  # fmt: skip


@pytest.mark.parametrize("old", VERDICTS)
@pytest.mark.parametrize("new", VERDICTS)
def test_which_way_is_worse(made: Build, decision: Build, old: str, new: str) -> None:
    before, after = (report(made("a", decision(Verdict(word)))) for word in (old, new))
    found = compare(before, after)
    assert bool(found.worse) is ((old, new) in WORSE)
    assert [each.change for each in found.claims] == ([] if old == new else [Change.FLIPPED])


def test_claims_that_come_and_go(made: Build, decision: Build, unchecked: Build) -> None:
    refuted = decision(Verdict.REFUTED, code="no effect")
    old = report(made("kept", decision()), made("lost", decision()), made("red", refuted))
    new = report(made("kept", decision()), made("new", refuted), unchecked=(unchecked("said"),))
    found = {each.claim: each for each in compare(old, new).claims}
    assert {claim: (each.change, each.worse) for claim, each in found.items()} == {
        "lost": (Change.VANISHED, True),
        "red": (Change.VANISHED, False),
        "new": (Change.APPEARED, False),
        "said": (Change.APPEARED, False),
    }
    assert found["red"].before == "REFUTED (no effect)"
    assert found["said"].after == "untested"


def test_a_supported_claim_moved_to_the_untested_ones_is_worse(
    made: Build, decision: Build, unchecked: Build
) -> None:
    found = compare(report(made("a", decision())), report(unchecked=(unchecked("a"),)))
    assert [(each.before, each.after) for each in found.worse] == [("SUPPORTED", "untested")]


def test_what_moved_behind_an_unchanged_verdict(
    made: Build, decision: Build, record: Build
) -> None:
    old = replace(made("a", decision()), records=(record("a"), record("b"), record("c")))
    estimate = Estimate(2.5, 2.4, 2.6, 0.01, 256, "nats", "betting")
    new = replace(
        made("a", decision(threshold=0.1, tier=Tier.T2, estimate=estimate)),
        records=(record("a"), record("b", "1"), record("d")),
        quote="Ablating head 1.6 hurts",
        line=50,
        spec={"components": ["a1.h6"], "value": "zero", "metric": "loss"},
        operationalised=("value",),
    )
    (change,) = compare(report(old), report(new)).claims
    assert (change.change, change.worse) == (Change.MOVED, False)
    assert change.moved == (
        'text: "Ablating head 1.6 destroys induction", now "Ablating head 1.6 hurts"',
        "place: logs/documentation.md:41, now logs/documentation.md:50",
        "spec.metric: nothing, now loss",
        "spec.min_drop: 0.5, now nothing",
        "spec.value: resample, now zero",
        "operationalised: [], now ['value']",
        "threshold: 0.5, now 0.1",
        "tier: T3, now T2",
        "evidence: 1 of 3 records no longer used, 1 others used",
        "evidence: 1 records hold other numbers at the same address",
        "estimate: 2.131, now 2.5 nats",
    )


def test_what_moved_for_all_claims() -> None:
    old = report(versions={"numpy": "1", "torch": "2"})
    new = replace(
        old, bundle_hash="other", claims_hash="other", salt="pepper", sandbox="none",
        versions={"numpy": "2"}, sources={"model": {"sha256": "x"}, "tasks": {}},
    )  # fmt: skip
    assert compare(old, new).run == (
        "bundle: its files changed",
        "claim file: changed",
        "sources.model: nothing, now {'sha256': 'x'}",
        "salt: salt, now pepper",
        "sandbox: , now none",
        "version.numpy: 1, now 2",
        "version.torch: 2, now nothing",
    )


def test_the_command(made: Build, decision: Build, tmp_path: Path, capsys: Any) -> None:
    refuted = decision(Verdict.REFUTED, code="not special")
    for name, each in {"good": decision(), "bad": refuted}.items():
        text = json_text(bundle_document(report(made("a", each))))
        (tmp_path / f"{name}.json").write_text(text)
    good, bad = str(tmp_path / "good.json"), str(tmp_path / "bad.json")
    assert main(["diff", good, bad]) == 1
    assert capsys.readouterr().out == (
        "a: flipped, worse: SUPPORTED -> REFUTED (not special)\n"
        "1 claims changed, 0 did not; 1 got worse\n"
    )
    assert main(["diff", bad, good]) == 0
    assert main(["diff", good, good]) == 0
    assert main(["diff", good, str(tmp_path / "none.json")]) == 4
