"""The front page as text: what it says, what it refuses to be, how large it gets."""

import base64
import hashlib
import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hostile_texts import SENTENCES
from report import decided

from pytest_mecheval.evidence.decision import Control, Decision, Estimate
from pytest_mecheval.report.html.effect_chart import effect_chart
from pytest_mecheval.report.html.head_map import measured_heads
from pytest_mecheval.report.html.links import link_allure
from pytest_mecheval.report.html.page import LARGEST, summary_page, tally, verdict_title
from pytest_mecheval.report.html.share_curve import circuit_share
from pytest_mecheval.report.html.spread_chart import spread_rows
from pytest_mecheval.report.outcome import BundleReport, Outcome, State
from pytest_mecheval.report.ranking import worst_first
from pytest_mecheval.report.spread import STEPS, spread_of
from pytest_mecheval.sandbox.confinement import Isolation, Limits
from pytest_mecheval.vocabulary import Dimension, Rung, Tier, Verdict

VOID = {"meta", "link", "br", "img", "input", "hr"}
ALLOWED = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "svg",
    "symbol",
    "path",
    "circle",
    "rect",
    "use",
    "text",
    "tspan",
    "a",
    "header",
    "p",
    "h1",
    "h2",
    "h3",
    "ul",
    "ol",
    "li",
    "b",
    "span",
    "main",
    "section",
    "figure",
    "figcaption",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "form",
    "label",
    "input",
    "select",
    "option",
    "output",
    "div",
    "dl",
    "dt",
    "dd",
    "article",
    "blockquote",
    "cite",
    "code",
    "small",
    "em",
    "strong",
    "footer",
    "script",
}


class Page(HTMLParser):
    """Checks nesting while it reads; keeps tags, attributes, ids, texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def values(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]


def outcome(claim: str, verdict: Verdict | None = Verdict.SUPPORTED, **fields) -> Outcome:
    decision = verdict and Decision(
        verdict, "" if verdict is Verdict.SUPPORTED else "why", "measured so", "needed that", Rung.L2,
        Estimate(2.0, 1.5, 2.5, 0.01, 64, "nats", "betting"), 1.0, (Control("a0.h1", 0.2),), tier=Tier.T3,
    )  # fmt: skip
    base = {
        "kind": "ablation",
        "dimension": Dimension.REPRODUCIBILITY,
        "file": "doc.md",
        "line": 3,
        "quote": f"sentence of {claim}",
        "spec": {},
        "decision": decision,
        "state": State.DECIDED if verdict else State.ERROR,
        "problem": "" if verdict else "the child crashed",
    }
    return Outcome(claim=claim, **(base | fields))


def report_of(*outcomes: Outcome, **fields) -> BundleReport:
    return BundleReport("toy", "ab" * 32, "toy.claims.yaml", "cd" * 32, "salt", outcomes, **fields)


def test_it_says_verdict_dimensions_failures_reasons_and_trust() -> None:
    untested = outcome("elegant", quote="It is elegant", unavailable="no operational meaning")
    page = Page(
        summary_page(
            report_of(
                outcome("holds"),
                outcome("falls", Verdict.REFUTED),
                outcome("lost", None),
                unchecked=(replace(untested, decision=None, state=State.NOT_RUN),),
            )
        )
    )
    for said in (
        "1 of 2 tested findings is supported",
        "reproducibility 50%",
        "2 of 4 findings tested",
        "Weakest dimension: reproducibility, 1 of 2 supported (50%, exact 95% interval 1% to 99%).",
        "Not tested at all: coherence, generalizability.",
        "2 of 4 stated findings were tested.",
        "“sentence of falls”",
        "the child crashed",
        "no operational meaning",
        "not needed: none of the bundle's own code ran",
        "2 measured again by us on our own prompts (T3)",
        "REFUTED (why)",
        "doc.md:3",
    ):
        assert said in page.text, said


def test_it_needs_nothing_from_outside_and_names_its_own_script_and_style() -> None:
    text = summary_page(report_of(outcome("a"), outcome("b", Verdict.REFUTED)))
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert page.values("src") == []
    assert all(each.startswith("#") for each in page.values("href"))
    assert not re.search(
        r"url\(|@import|//[a-z]", re.search(r"<style>(.*?)</style>", text, re.S)[1]
    )
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv"))
    for name in ("style", "script"):
        body = re.search(rf"<{name}>(.*?)</{name}>", text, re.S)[1]
        found = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{found}'" in policy
    assert "default-src 'none'" in policy
    assert not [n for _, attrs in page.tags for n in attrs if n.startswith("on") or n == "style"]


def test_every_link_within_the_page_has_its_end_and_ids_are_unique() -> None:
    page = Page(summary_page(report_of(*(outcome(f"c{i}", Verdict.REFUTED) for i in range(20)))))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.values("href")} <= set(ids)
    assert {f"claim-c{i}" for i in range(20)} <= set(ids)


@pytest.mark.parametrize("name", SENTENCES)
def test_hostile_text_stays_text(name: str) -> None:
    text = SENTENCES[name]
    hostile = outcome(
        "fell",
        Verdict.REFUTED,
        quote=text,
        file=text,
        spec={"number": text},
        operationalised=(text,),
    )
    decision = replace(
        hostile.decision, code=text, measured=text, needed=text, notes=(text,),
        estimate=Estimate(1.0, 0.5, 1.5, 0.01, 9, text, text), controls=(Control(text, 1.0),),
    )  # fmt: skip
    lost = outcome("lost", None, problem=text, quote=text)
    report = BundleReport(text, text, text, text, text, (replace(hostile, decision=decision), lost), (),
                          {text: text}, text)  # fmt: skip
    shown = summary_page(report)
    page = Page(shown)
    plain = Page(summary_page(report_of(outcome("fell", Verdict.REFUTED), outcome("lost", None))))
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert [h for h in page.values("href") if not h.startswith("#")] == []
    attributes = {name for _, attrs in page.tags for name in attrs}
    assert attributes <= {name for _, attrs in plain.tags for name in attrs} | {"fill-opacity"}
    assert "javascript:alert" not in " ".join(page.values("href"))
    # Nor can a text become one of the places where links are put in later.
    linked = link_allure(shown, {f"{text}/x": "y"}, "index.html")
    assert len(re.findall('<a class="al"', linked)) == 0


def test_a_text_that_looks_like_a_marker_becomes_no_link() -> None:
    page = summary_page(report_of(outcome("a", quote="<!--allure:toy/a--><!--allure-report-->")))
    linked = link_allure(page, {"toy/a": "x y"}, "index.html")
    assert linked.count('class="al" href="index.html#x%20y"') == 2
    assert linked.count(">Allure report</a>") == 1


def test_a_thousand_claims_stay_below_a_megabyte_and_every_one_has_its_row() -> None:
    outcomes = tuple(decided(number) for number in range(1000))
    text = summary_page(report_of(*outcomes))
    assert 500_000 < len(text.encode()) <= LARGEST < 1_000_000
    page = Page(text)
    assert all(each.claim in text for each in outcomes)
    sections = [
        each for each in page.values("id") if each.startswith("claim-") and not each.endswith("-h")
    ]
    assert "more claims have no section here" in page.text
    # What fell keeps its section, what has none is supported or came later in the order.
    worst = worst_first(outcomes)[: len(sections)]
    assert {f"claim-{each.claim}" for each in worst} == set(sections)
    assert {href[1:] for href in page.values("href")} <= set(page.values("id"))


def test_the_worst_claims_come_first() -> None:
    far = replace(outcome("b-far", Verdict.REFUTED).decision, threshold=40.0)
    near = outcome("a-near", Verdict.REFUTED)
    order = worst_first(
        [
            outcome("ok", headline=True),
            outcome("open", Verdict.INCONCLUSIVE),
            near,
            outcome("b-far", Verdict.REFUTED, decision=far),
            outcome("vac", Verdict.VACUOUS),
            outcome("main", Verdict.INCONCLUSIVE, headline=True),
        ]
    )
    # near is off by 100 % of its threshold, far by 95 %
    assert [each.claim for each in order] == ["main", "a-near", "b-far", "vac", "open", "ok"]


@pytest.mark.parametrize(
    ("verdicts", "title"),
    [
        ([], "Nothing was tested"),
        ([None], "No verdict: the audit itself failed"),
        ([Verdict.SUPPORTED], "The only tested finding is supported"),
        ([Verdict.REFUTED], "The only tested finding is not supported"),
        ([Verdict.REFUTED, Verdict.VACUOUS], "None of 2 tested findings is supported"),
        ([Verdict.SUPPORTED] * 3, "All 3 tested findings are supported"),
        ([Verdict.SUPPORTED, Verdict.REFUTED, None], "1 of 2 tested findings is supported"),
    ],
)
def test_the_title_says_what_was_found(verdicts: list[Verdict | None], title: str) -> None:
    assert verdict_title([outcome(str(i), each) for i, each in enumerate(verdicts)]) == title


def test_the_tally_counts_everything_once() -> None:
    outcomes = [outcome("a"), outcome("b", Verdict.NOT_TESTABLE), outcome("c", None)]
    assert tally(outcomes) == [
        ("SUPPORTED", "supported", 1),
        ("error", "error", 1),
        ("NOT_TESTABLE", "not-testable", 1),
    ]


def test_missing_isolation_is_said_in_an_alarm() -> None:
    bad = {
        "backend": "none",
        "confined": False,
        "details": [],
        "guarantees": [],
        "gaps": {"links": "why"},
    }
    text = Page(summary_page(report_of(outcome("a", isolation=(bad,))))).text
    assert "No isolation. NONE: the bundle's code could read and change everything" in text
    good = bad | {"backend": "bubblewrap", "confined": True, "guarantees": ["a", "b"]}
    text = Page(summary_page(report_of(outcome("a", isolation=(good,))))).text
    assert "No isolation." not in text
    assert "2 of 3 guarantees of the sandbox contract" in text
    assert "links (why)" in text


def test_what_the_bundles_code_was_granted_is_said() -> None:
    isolation = Isolation("bubblewrap", ("files",), ()).described(Limits(cpu_s=120.0, wall_s=300.0))
    text = Page(summary_page(report_of(outcome("a", isolation=(isolation,))))).text
    user = f"uid {os.getuid()}"
    said = f"network none, gpu off, {user}, 120 s of CPU, 300 s, 4096 MiB of memory, 256 processes"
    assert said in text
    assert "every attempt to get out was refused" in text
    assert "timing and other side channels" in text


def pictured(kind: str) -> Outcome:
    """A decided claim of that kind from its worked examples."""
    return next(each for each in map(decided, range(60)) if each.kind == kind and each.tested)


def test_every_picture_shows_what_was_measured() -> None:
    heads = measured_heads(pictured("attention"))
    assert heads is not None
    assert heads.claimed.head == "a1.h1"
    assert heads.masses[1, 1] == pytest.approx(pictured("attention").decision.estimate.value)
    circuit = circuit_share(pictured("faithfulness"))
    assert circuit is not None
    assert 0 < circuit.inside < circuit.whole
    assert circuit.least == 0.8
    rows = spread_rows(pictured("ablation"))
    assert rows[0][0].startswith("clean run")
    assert all(spread.n > 0 for _, spread in rows)
    picture = str(effect_chart(pictured("ablation").decision))
    assert picture.count('class="ctl"') == len(pictured("ablation").decision.controls)
    assert 'class="thr"' in picture


def test_nothing_is_drawn_of_numbers_that_have_no_place_on_an_axis() -> None:
    decision = outcome("a").decision
    nan = replace(decision, estimate=Estimate(float("nan"), 0, 1, 0.01, 9, "nats", "x"))
    assert effect_chart(nan) is None
    wild = replace(decision, threshold=float("inf"), controls=(Control("a", float("-inf")),))
    assert "inf" not in str(effect_chart(wild)).lower().replace("aria-label", "").split(">", 1)[1]


def test_quantiles_are_those_of_the_values() -> None:
    spread = spread_of(np.append(np.arange(101.0), np.nan))
    assert spread.n == 101
    assert spread.quantiles == tuple(np.linspace(0, 100, STEPS + 1))
    assert (spread.mean, spread.middle_half) == (50, (25, 75))
    assert spread_of(np.array([np.nan])) is None


def test_what_limits_the_whole_run_stands_on_the_front_page() -> None:
    """A title of nothing but SUPPORTED must not hide that the run cannot pass."""
    notes = ["rules alone chose what was tested, so this run cannot pass", *["<b>odd</b> file"] * 9]
    report = report_of(outcome("holds"), notes=tuple(notes))
    top = summary_page(report).partition("</header>")[0]
    assert notes[0] in top
    assert "<b>odd" not in top
    assert "4 more in decisions.json" in top
    assert "Notes on this run" not in summary_page(replace(report, notes=()))
