"""`summary.html` of one bundle: verdict, dimensions, what fell, what protects the numbers, every claim.

Needs nothing from outside and no script to be read. Texts of the bundle reach the template as inert plain
text and are escaped there again. A style sheet and a script are named in the page's own security policy by
their hash, so nothing else could run even if it got in.
"""

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pytest_mecheval.report.html.claim_view import ClaimView
from pytest_mecheval.report.html.radar import radar
from pytest_mecheval.report.outcome import BundleReport, Outcome, State
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.ranking import FELL, WORST_FIRST, standing, worst_first
from pytest_mecheval.report.scores import Coverage, Score, coverage, dimension_scores, family
from pytest_mecheval.report.terminal import MAX_NOTES
from pytest_mecheval.report.trust import confined, trust_facts
from pytest_mecheval.vocabulary import Dimension, Verdict

LARGEST = 960_000
"""Bytes of the page; where claims would make it larger, sections of the least urgent ones get shorter."""
BRIEF_SIZE = 900
"""Bytes kept free for the short section of each claim still to come."""
LISTED_FAILURES = 12
"""Failures shown with their sentence before the table; the table has all."""
QUESTIONS = {
    Dimension.COHERENCE: "Does the code do what plan and prose say?",
    Dimension.REPRODUCIBILITY: "Do the numbers come out again?",
    Dimension.GENERALIZABILITY: "Does the finding hold on new data?",
}


@dataclass(frozen=True, slots=True)
class DimensionView:
    """One of the three questions and how it came out."""

    score: Score
    coverage: Coverage

    @property
    def name(self) -> str:
        return str(self.score.dimension)

    @property
    def question(self) -> str:
        return QUESTIONS[self.score.dimension]

    @property
    def share(self) -> str:
        return "not tested" if self.score.share is None else f"{self.score.share:.0%}"

    @property
    def interval(self) -> str:
        if self.score.share is None:
            return "no interval"
        return f"{self.score.lower:.0%} to {self.score.upper:.0%}"


@dataclass(frozen=True, slots=True)
class Untested:
    """A stated finding without a verdict from a measurement."""

    claim: ClaimView
    reason: str


def summary_page(report: BundleReport) -> str:
    """The whole page."""
    order = worst_first(report.outcomes)
    views = [ClaimView(outcome, report.bundle) for outcome in order]
    page = _environment().get_template("summary.html")
    base = _context(report, views)
    # Every row linked is the longest the rest of the page can become.
    frame = page.render(base, sections=(), linked={view.id for view in views}, missing=len(views))
    sections = _sections(views, LARGEST - len(frame.encode()))
    linked = {view.id for view, _ in sections}
    return page.render(
        base,
        sections=[text for _, text in sections],
        linked=linked,
        missing=len(views) - len(sections),
    )


def _sections(views: Sequence[ClaimView], room: int) -> list[tuple[ClaimView, Markup]]:
    """One section per claim, worst first: full while there is room, then short, then none."""
    template = _environment().get_template("claim.html")
    sections: list[tuple[ClaimView, Markup]] = []
    full = True
    for index, view in enumerate(views):
        reserved = (len(views) - index - 1) * BRIEF_SIZE
        text = template.render(claim=view, full=full)
        if full and len(text.encode()) + reserved > room:
            full = False
            text = template.render(claim=view, full=False)
        size = len(text.encode())
        if size > room:
            break
        room -= size
        sections.append((view, Markup(text)))  # noqa: S704 - rendered by our own template, escaped there
    return sections


def _context(report: BundleReport, views: Sequence[ClaimView]) -> dict[str, Any]:
    scores = dimension_scores(report.outcomes)
    everything = [*report.outcomes, *report.unchecked]
    covered = [
        coverage(each for each in everything if each.dimension is score.dimension)
        for score in scores
    ]
    dimensions = [DimensionView(*pair) for pair in zip(scores, covered, strict=True)]
    fell = [view for view in views if standing(view.outcome) in FELL]
    style, script = _asset("style.css"), _asset("filter.js")
    return {
        "bundle": plain_line(report.bundle),
        "title": verdict_title(report.outcomes),
        "weakest": weakest(dimensions),
        "notes": [plain_line(note) for note in report.notes[:MAX_NOTES]],
        "notes_more": len(report.notes[MAX_NOTES:]),
        "tally": tally(report.outcomes),
        "coverage": coverage(report.outcomes, len(report.unchecked)),
        "dimensions": dimensions,
        "radar": radar(scores, covered),
        "fell": fell[:LISTED_FAILURES],
        "fell_more": len(fell[LISTED_FAILURES:]),
        "claims": views,
        "untested": _untested(report),
        "trust": trust_facts(report),
        "confined": confined(report),
        "family": plain_line(family(report.outcomes).sentence, 1000),
        "versions": {plain_line(k): plain_line(v) for k, v in report.versions.items()},
        "style": Markup(style),  # noqa: S704 - a file of this package
        "script": Markup(script),  # noqa: S704 - a file of this package
        "policy": (
            f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
            "base-uri 'none'; form-action 'none'"
        ),
    }


def verdict_title(outcomes: Sequence[Outcome]) -> str:
    """The page in one sentence.

    >>> verdict_title(())
    'Nothing was tested'
    """
    tested = [each for each in outcomes if each.tested]
    lost = sum(each.state is State.ERROR for each in outcomes)
    if not tested:
        return "Nothing was tested" if not lost else "No verdict: the audit itself failed"
    supported = sum(standing(each) is Verdict.SUPPORTED for each in tested)
    if supported == len(tested):
        which = (
            "The only tested finding is"
            if len(tested) == 1
            else f"All {len(tested)} tested findings are"
        )
        return f"{which} supported"
    if not supported:
        which = (
            "The only tested finding is"
            if len(tested) == 1
            else f"None of {len(tested)} tested findings is"
        )
        return f"{which} {'not ' if len(tested) == 1 else ''}supported"
    verb = "is" if supported == 1 else "are"
    return f"{supported} of {len(tested)} tested findings {verb} supported"


def weakest(dimensions: Sequence[DimensionView]) -> str:
    """Which dimension is weakest and how sure that is; and which were not looked at."""
    tested = [each for each in dimensions if each.score.share is not None]
    without = [each.name for each in dimensions if each.score.share is None]
    said = []
    if tested:
        lowest = min(tested, key=lambda each: each.score.share or 0.0)
        score = lowest.score
        if score.share == 1:
            unsure = min(tested, key=lambda each: each.score.lower)
            said.append(
                f"No tested dimension shows a weakness; least certain is {unsure.name}, "
                f"{unsure.score.supported} of {unsure.score.decided} supported "
                f"(exact {score.level:.0%} interval {unsure.interval})."
            )
        else:
            said.append(
                f"Weakest dimension: {lowest.name}, {score.supported} of {score.decided} supported "
                f"({lowest.share}, exact {score.level:.0%} interval {lowest.interval})."
            )
    if without and tested:
        said.append(f"Not tested at all: {', '.join(without)}.")
    return " ".join(said)


def tally(outcomes: Sequence[Outcome]) -> list[tuple[str, str, int]]:
    """Verdict, its style and how many claims have it, supported first; none are left out."""
    words = [Verdict.SUPPORTED, *(word for word in WORST_FIRST if word is not Verdict.SUPPORTED)]
    counted = [(word, sum(standing(each) is word for each in outcomes)) for word in words]
    return [
        (str(word), str(word).lower().replace(" ", "-").replace("_", "-"), count)
        for word, count in counted
        if count
    ]


def _untested(report: BundleReport) -> list[Untested]:
    """What has no verdict from a measurement, with the reason."""
    found = [
        Untested(ClaimView(each, report.bundle), plain_line(each.unavailable))
        for each in report.sorted_unchecked()
    ]
    for each in report.sorted_outcomes():
        word = standing(each)
        if word is State.NOT_RUN:
            found.append(
                Untested(ClaimView(each, report.bundle), "deselected, or the run ended first")
            )
        elif word is Verdict.NOT_TESTABLE:
            view = ClaimView(each, report.bundle)
            found.append(Untested(view, view.why))
    return found


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pytest_mecheval.report.html"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _asset(name: str) -> str:
    loader = _environment().loader
    if loader is None:
        raise RuntimeError("the template folder is missing")
    return loader.get_source(_environment(), name)[0].strip()


def _hash(text: str) -> str:
    """The source expression that lets exactly this text through a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
