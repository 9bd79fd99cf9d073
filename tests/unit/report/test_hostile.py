"""Every artefact survives every hostile text, in every place where a bundle can put one."""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile_texts import SENTENCES
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from pytest_mecheval.evidence.decision import Control, Estimate
from pytest_mecheval.report.artefacts import ARTEFACTS
from pytest_mecheval.report.checklist_table import ITEMS
from pytest_mecheval.report.columns import display_width
from pytest_mecheval.report.comparing import compare
from pytest_mecheval.report.decisions_model import DecisionsDocument
from pytest_mecheval.report.failure import COLUMNS, outcome_text
from pytest_mecheval.report.markdown import LONGEST
from pytest_mecheval.report.outcome import BundleReport
from pytest_mecheval.report.terminal import write_summary
from pytest_mecheval.vocabulary import Verdict

SUBSET = json.loads((Path(__file__).parent / "sarif_subset.json").read_text())
Build = Callable[..., Any]
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
OWN_HTML = re.compile(r"</?details>|</?summary>")
LOG_COMMAND = re.compile(r"^\s*(::[a-zA-Z]|##(\[|vso|teamcity))")


@pytest.fixture(params=SENTENCES)
def report(request: Any, made: Build, decision: Build, unchecked: Build) -> BundleReport:
    """A report in which everything that a bundle can write is the hostile text."""
    text = SENTENCES[request.param]
    estimate = Estimate(1.0, 0.5, 1.5, 0.01, 9, text, text)
    fallen = decision(
        Verdict.REFUTED, code=text, measured=text, needed=text, notes=(text,), estimate=estimate,
        controls=(Control(text, 1.0),),
    )  # fmt: skip
    outcomes = (
        replace(
            made("fell", fallen, text=text, file=text), spec={"stratum": text}, kind="ablation"
        ),
        replace(made("held", decision(), text=text, file=text), operationalised=(text,)),
        made("lost", problem=text, text=text, file=text),
    )
    stated = replace(unchecked(reason=text), quote=text, file=text)
    return BundleReport(text, "ab", text, "cd", text, outcomes, (stated,), {"x": text}, text)


def content(report: BundleReport, name: str) -> str:
    text = ARTEFACTS[name](report)
    text.encode("utf-8")
    return text


def unseen(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in UNSEEN and c != "\n"}


def test_json_is_ascii_without_markup_and_gives_the_text_back(report: BundleReport) -> None:
    for name in ("decisions.json", "checklist.json", "results.sarif"):
        text = content(report, name)
        assert text.isascii()
        assert not set(text) & set("<>&\x1b\r\x00")
        assert not any(LOG_COMMAND.match(line) for line in text.splitlines())
        json.loads(text)
    document = json.loads(content(report, "decisions.json"))
    DecisionsDocument.model_validate(document | {"bundle": document["bundle"] | {"name": "b"}})
    assert document["decisions"][0]["quote"]["text"] == report.outcomes[0].quote


def test_sarif_stays_valid_and_plain(report: BundleReport) -> None:
    document = json.loads(content(report, "results.sarif"))
    assert list(Draft202012Validator(SUBSET).iter_errors(document)) == []
    (result,) = document["runs"][0]["results"]
    (notification,) = document["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    for message in (result["message"]["text"], notification["message"]["text"]):
        assert not unseen(message)
        assert not re.search(r"\]\(|\{\d+\}|<[a-zA-Z/!?]|://", message)
        assert len(message) < 5000
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert not uri.startswith("/")
    assert ".." not in uri.split("/")


def test_markdown_holds_nothing_but_our_own_table(report: BundleReport) -> None:
    text = content(report, "summary.md")
    assert not unseen(text)
    assert len(text) <= LONGEST
    assert not any(LOG_COMMAND.match(line) for line in text.splitlines())
    assert not re.search(r"(?i)@\w|#\d|\bgh-\d", text)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in [*tokens, *inline]}
    assert not kinds & {"link_open", "image", "code_inline", "fence", "code_block", "s_open", "hr"}
    assert not kinds & {"blockquote_open", "ordered_list_open", "html_inline", "em_open"}
    html = [token.content for token in tokens if token.type == "html_block"]
    assert [OWN_HTML.sub("", block).strip() for block in html] == [
        "Supported (1)",
        "",
        "Without a test (1)",
        "",
        "Published checklist: 0 PASS, 4 FAIL, 18 NA",
        "",
    ]
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h2"]
    rows = [index for index, token in enumerate(tokens) if token.type == "tr_open"]
    cells = [
        sum(t.type in ("td_open", "th_open") for t in tokens[start:end])
        for start, end in zip(rows, [*rows[1:], len(tokens)], strict=True)
    ]
    # Head and two rows, twice head and one row, and the checklist's head and rows.
    assert cells == [6] * 3 + [6] * 2 + [2] * 2 + [3] * (1 + len(ITEMS))


def test_terminal_text_stays_on_its_lines(report: BundleReport) -> None:
    lines: list[str] = []
    write_summary(report, lines.append)
    for outcome in report.outcomes:
        lines += outcome_text(outcome).splitlines()
    assert not unseen("".join(lines))
    assert max(map(display_width, lines)) <= COLUMNS
    assert not any(LOG_COMMAND.match(line) for line in lines)


def test_a_comparison_stays_on_its_lines(report: BundleReport, made: Build) -> None:
    other = replace(report, outcomes=(made("fell"), made("new")), salt="x", versions={})
    found = compare(other, report)
    lines = [*found.run, *(line for each in found.claims for line in each.moved)]
    assert len(lines) > 3
    assert not any(unseen(line) or LOG_COMMAND.match(line) for line in lines)
