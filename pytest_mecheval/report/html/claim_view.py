"""One claim as the page shows it: short inert texts, tables and pictures, nothing that a template must clean."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from pytest_mecheval.report.comparisons import Comparison, comparisons
from pytest_mecheval.report.failure import (
    amount,
    controls_text,
    headline,
    needed_text,
    refuting_text,
)
from pytest_mecheval.report.html.effect_chart import effect_chart
from pytest_mecheval.report.html.head_map import head_map
from pytest_mecheval.report.html.share_curve import share_curve
from pytest_mecheval.report.html.spread_chart import spread_chart
from pytest_mecheval.report.outcome import Outcome
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.ranking import standing
from pytest_mecheval.report.terminal import measured_cell, reason
from pytest_mecheval.report.trust import TIER_WORDS
from pytest_mecheval.vocabulary import Rung

RUNG_WORDS = {
    Rung.L0: "structural evidence",
    Rung.L1: "associational evidence",
    Rung.L2: "interventional evidence",
    Rung.L3: "predictive evidence",
}
_QUOTE_CHARACTERS = 600
_ROW_CHARACTERS = 150
"""Of a reason in the table of verdicts; the claim's own section has all of it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture and what it shows."""

    caption: str
    picture: Markup


@dataclass(frozen=True)
class ClaimView:
    """Texts of one claim; everything heavy is made on demand."""

    outcome: Outcome
    bundle: str = ""

    @property
    def id(self) -> str:
        return plain_line(self.outcome.claim)

    @property
    def anchor(self) -> str:
        return f"claim-{self.id}".replace(" ", "-")

    @property
    def marker(self) -> str:
        """What `links` looks the claim up by."""
        return f"{plain_line(self.bundle)}/{self.id}"

    @property
    def word(self) -> str:
        return self.outcome.word

    @property
    def style(self) -> str:
        """Class of the verdict's badge."""
        return str(standing(self.outcome)).lower().replace(" ", "-").replace("_", "-")

    @property
    def said(self) -> str:
        """The verdict with its short reason."""
        return headline(self.outcome.decision) if self.outcome.decision else self.word

    @property
    def code(self) -> str:
        return plain_line(self.outcome.decision.code) if self.outcome.decision else ""

    @property
    def kind(self) -> str:
        return plain_line(self.outcome.kind)

    @property
    def dimension(self) -> str:
        return str(self.outcome.dimension)

    @property
    def headline(self) -> bool:
        return self.outcome.headline

    @property
    def quote(self) -> str:
        return plain_line(self.outcome.quote, _QUOTE_CHARACTERS)

    @property
    def source(self) -> str:
        return plain_line(self.outcome.source)

    @property
    def number(self) -> str:
        """Estimate, interval and threshold in one cell."""
        return measured_cell(self.outcome.decision)

    @property
    def why(self) -> str:
        """Why it is not supported; empty when it is."""
        return reason(self.outcome)

    @property
    def short_why(self) -> str:
        """`why` as far as a table row has room."""
        return plain_line(self.why, _ROW_CHARACTERS)

    @property
    def measured(self) -> str:
        decision = self.outcome.decision
        if decision is None:
            return plain_line(self.outcome.problem) or "the claim was not run, so nothing is known"
        return plain_line(decision.measured)

    @property
    def needed(self) -> str:
        return needed_text(self.outcome.decision) if self.outcome.decision else ""

    @property
    def refuted_by(self) -> str:
        return refuting_text(self.outcome)

    @property
    def basis(self) -> str:
        """What kind of evidence, and who measured."""
        decision = self.outcome.decision
        if decision is None:
            return ""
        return f"{RUNG_WORDS[decision.rung]} ({decision.rung}); {TIER_WORDS[decision.tier]} ({decision.tier})"

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Names and values of the numbers behind the verdict."""
        return list(self._facts())

    def _facts(self) -> Iterator[tuple[str, str]]:
        decision = self.outcome.decision
        if decision is None:
            return
        unit = ""
        if decision.estimate is not None:
            unit = decision.estimate.unit
            if str(decision.estimate) not in decision.measured:
                yield "estimate", plain_line(str(decision.estimate))
        if decision.threshold is not None:
            yield "threshold", amount(decision.threshold, unit)
        if decision.controls:
            yield "controls", controls_text(decision.controls, unit).removeprefix("controls: ")
        if decision.shams is not None and decision.shams.tried:
            yield (
                "sham claims",
                f"{decision.shams.passed} of {decision.shams.tried} pass the same rule",
            )
        if decision.p_value is not None:
            yield "p-value", f"{decision.p_value:.3g}"
        if self.outcome.operationalised:
            yield "filled in by us", ", ".join(map(plain_line, self.outcome.operationalised))

    @property
    def notes(self) -> list[str]:
        return (
            [plain_line(note) for note in self.outcome.decision.notes]
            if self.outcome.decision
            else []
        )

    @property
    def comparisons(self) -> list[Comparison]:
        """Stated numbers against numbers that came out, ours or the bundle's own."""
        return list(comparisons(self.outcome))

    @property
    def ledgers(self) -> list[tuple[str, list[str]]]:
        """Per run of a script its title and the first rows of its ledger."""
        return [
            (
                plain_line(f"{each.run}: {each.ending}; ledger {each.standing}"),
                [plain_line(row) for row in each.ledger],
            )
            for each in self.outcome.testimony
        ]

    @property
    def figures(self) -> list[Figure]:
        """Pictures, as many as the evidence has."""
        found = (
            (
                share_curve(self.outcome),
                "Faithfulness curve: share of performance kept; rings are random circuits",
            ),
            (
                _effect(self.outcome),
                "Estimate with interval, matched controls (rings), threshold (dashed)",
            ),
            (
                head_map(self.outcome),
                "Attention per head; outlined: the claimed head; empty: not measured",
            ),
            (spread_chart(self.outcome), "Single prompts behind the means"),
        )
        return [Figure(caption, picture) for picture, caption in found if picture is not None]


def _effect(outcome: Outcome) -> Markup | None:
    return effect_chart(outcome.decision) if outcome.decision is not None else None
