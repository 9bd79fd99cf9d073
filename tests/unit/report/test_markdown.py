"""The Markdown summary: worst first, short enough for a comment, everything a reviewer asks for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from pytest_mecheval.report.markdown import LONGEST, summary_markdown
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.vocabulary import Verdict

Build = Callable[..., Any]
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def table(text: str) -> list[list[str]]:
    """The cells of the first table, as a reader sees them."""
    rows: list[list[str]] = []
    for token in PARSER.parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append("".join(child.content for child in token.children or ()))
        elif token.type == "table_close":
            break
    return rows


@pytest.fixture
def report(made: Build, decision: Build, unchecked: Build) -> BundleReport:
    ran = replace(made("a-held", decision()), isolation=({"backend": "landlock"},))
    outcomes = (
        ran,
        made("b-open", decision(Verdict.INCONCLUSIVE, code="underpowered")),
        made("c-lost", problem="worker gw0 crashed"),
        made("d-fell", decision(Verdict.REFUTED, code="not special"), text="a | b *c* <i>"),
    )
    return BundleReport("heads", "ab" * 32, "x", "cd", "salt-1", outcomes, (unchecked(),))


def test_what_fell_comes_first_with_its_reason(report: BundleReport) -> None:
    text = summary_markdown(report)
    rows = table(text)
    assert [row[1] for row in rows[1:]] == ["d-fell", "c-lost", "b-open"]
    assert rows[1] == [
        "REFUTED (not special)",
        "d-fell",
        "ablation",
        "2.13 [1.91, 2.35] nats vs 0.5",
        "a | b *c* \u2039i> (logs/documentation.md:41)",
        "not special; needed: a drop above 0.5 nats, larger than any matched control's",
    ]
    assert text.index("d\\-fell") < text.index("a\\-held")


def test_the_numbers_of_the_bundle(report: BundleReport) -> None:
    text = summary_markdown(report).replace("\\", "")
    assert "**1 SUPPORTED, 1 REFUTED, 1 INCONCLUSIVE, 1 error**" in text
    assert "- reproducibility: 1 of 3 tested claims supported, 33% [1%, 91%]" in text
    assert "- coverage: 3 of 5 stated findings tested" in text
    assert "- measured by: 3 T3" in text
    assert "- isolation: the bundle's code ran under landlock" in text
    assert "salt salt-1" in text
    assert "Published checklist: 0 PASS, 4 FAIL, 18 NA" in text


def test_a_thousand_claims_fit_a_comment(made: Build, decision: Build) -> None:
    bad = tuple(
        made(f"claim-{n:04}", decision(Verdict.REFUTED), text="long " * 60) for n in range(1000)
    )
    text = summary_markdown(BundleReport("b", "", "", "", "", bad))
    assert len(text) <= LONGEST
    shown = len(table(text)) - 1
    assert shown > 50
    assert f"{1000 - shown} more are in decisions.json" in text


def test_sentences_without_a_test_are_listed_with_the_reason(report: BundleReport) -> None:
    text = summary_markdown(report)
    rows = table(text.partition("Without a test (1)</summary>")[2])[1:]
    assert [row[0] for row in rows] == [
        f"{each.quote} ({each.source})" for each in report.sorted_unchecked()
    ]
    assert [row[1] for row in rows] == [each.unavailable for each in report.sorted_unchecked()]
    assert "Without a test" not in summary_markdown(replace(report, unchecked=()))
