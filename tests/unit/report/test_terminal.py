"""The final table, as a terminal of a given width shows it."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_mecheval.evidence.decision import Estimate
from pytest_mecheval.report.columns import display_width
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.terminal import WIDEST, write_summary
from pytest_mecheval.vocabulary import Dimension, Verdict

Build = Callable[..., Any]
PATHS = {
    "decisions": "mecheval-out/induction_heads/decisions.json",
    "tests": "mecheval-out/induction_heads/tests",
}


@pytest.fixture
def report(made: Build, decision: Build, unchecked: Build) -> BundleReport:
    small = Estimate(0.41, 0.2, 0.6, 0.01, 256, "nats", "betting")
    outcomes = (
        made("l1h6-necessary", decision()),
        made(
            "l1h3-special", decision(Verdict.REFUTED, code="not special", estimate=small), line=43
        ),
        made(
            "new-lengths",
            decision(Verdict.INCONCLUSIVE, code="underpowered", p_value=0.2),
            dimension=Dimension.GENERALIZABILITY,
            kind="scope",
        ),
        made("lost", problem="worker gw0 crashed", dimension=Dimension.COHERENCE, kind="structure"),
    )
    return BundleReport(
        "induction_heads", "ab", "x.claims.yaml", "cd", "salt-1", outcomes, (unchecked(),)
    )


def lines_of(report: BundleReport, **options: Any) -> list[str]:
    lines: list[str] = []
    write_summary(report, lines.append, **options)
    return lines


def test_the_table_at_100_columns(report: BundleReport) -> None:
    assert lines_of(report, paths=PATHS) == [
        "mecheval: induction_heads (1 SUPPORTED, 1 REFUTED, 1 INCONCLUSIVE, 1 error)",
        "",
        "verdict       claim           kind       measured vs threshold          sentence",
        "------------------------------------------------------------------------------------------------",
        "error         lost            structure  -                              logs/documentation.md:41",
        "              worker gw0 crashed",
        "REFUTED       l1h3-special    ablation   0.41 [0.2, 0.6] nats vs 0.5    logs/documentation.md:43",
        "              not special; needed: a drop above 0.5 nats, larger than any matched control's",
        "SUPPORTED     l1h6-necessary  ablation   2.13 [1.91, 2.35] nats vs 0.5  logs/documentation.md:41",
        "INCONCLUSIVE  new-lengths     scope      2.13 [1.91, 2.35] nats vs 0.5  logs/documentation.md:41",
        "              underpowered; needed: a drop above 0.5 nats, larger than any matched control's",
        "",
        "coherence         no claim tested",
        "reproducibility   1 of 2 tested claims supported, 50% [1%, 99%] (exact 95% interval)",
        "generalizability  0 of 1 tested claims supported, 0% [0%, 98%] (exact 95% interval)",
        "coverage          3 of 5 stated findings tested (60%); without a test: 1 (see summary.md)",
        "measured by       3 T3 (our prompts and interventions)",
        "family-wise       1 of 1 supported claims with a p-value stay supported at family level 0.05 (Holm",
        "                  over 3 p-values)",
        "salt              salt-1",
        "decisions         mecheval-out/induction_heads/decisions.json",
        "tests             mecheval-out/induction_heads/tests",
    ]


@pytest.mark.parametrize("width", [30, 45, 60, 72, 80, 88, 100, 250])
def test_every_width_shows_every_verdict_and_number_in_full(
    report: BundleReport, width: int
) -> None:
    lines = lines_of(report, width=width)
    assert max(map(display_width, lines)) <= min(width, WIDEST)
    text = "\n".join(lines)
    for word in ("SUPPORTED", "REFUTED", "INCONCLUSIVE", "error"):
        assert word in text
    assert re.sub(r"\s+", " ", text).count("2.13 [1.91, 2.35] nats vs 0.5") == 2


def test_colour_only_when_asked_for_and_only_on_the_verdict(report: BundleReport) -> None:
    assert not any("\x1b" in line for line in lines_of(report))
    for width in (100, 40):
        plain = lines_of(report, width=width)
        painted = lines_of(report, width=width, color=True)
        assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in painted] == plain
        text = "\n".join(painted)
        assert re.search(r"\x1b\[31mREFUTED *\x1b\[0m", text)
        assert re.search(r"\x1b\[32mSUPPORTED *\x1b\[0m", text)


def test_hostile_names_stay_on_their_line(made: Build, decision: Build) -> None:
    outcome = made(
        "x", decision(code="\x1b[2K\n::error::"), file="a\x1b[1A\u202e/\r\n" + "b" * 500 + ".md"
    )
    lines = lines_of(BundleReport("evil\x1b]0;t\x07", "", "", "", "s", (outcome,)), width=80)
    assert not any(set(line) & set("\x1b\n\r\u202e\x07") for line in lines)
    assert max(map(display_width, lines)) <= 80


def test_a_bundle_without_claims() -> None:
    lines = lines_of(BundleReport("empty", "", "", "", "s", ()))
    assert lines[0] == "mecheval: empty (no claims)"
    assert "coverage          0 of 0 stated findings tested" in lines


def test_notes_about_the_bundle_are_shown_and_bounded(report):
    lines = []
    notes = tuple(f"logs/a.md:{number}: hidden characters" for number in range(9))
    write_summary(dataclasses.replace(report, notes=notes), lines.append)
    shown = [line for line in lines if line.startswith("note ")]
    assert len(shown) == 7
    assert "3 more in decisions.json" in shown[-1]


def test_claims_that_were_not_run_are_counted_but_fill_no_rows(
    report: BundleReport, made: Build
) -> None:
    left_out = tuple(made(f"deselected-{number}") for number in range(40))
    before = lines_of(report)
    after = lines_of(dataclasses.replace(report, outcomes=(*report.outcomes, *left_out)))
    assert "40 not run" in after[0]
    assert not any("deselected" in line for line in after)
    assert [line for line in before if "SUPPORTED" in line][1:] == [
        line for line in after if "SUPPORTED" in line
    ][1:]
