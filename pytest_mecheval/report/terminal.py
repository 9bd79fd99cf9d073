"""The table at the end of a run: every claim with its verdict, the three scores, coverage, where things lie.

Writes through a passed function, so pytest's terminal reporter, a file and a test read the same lines.
"""

from collections.abc import Callable, Mapping, Sequence

from pytest_mecheval.evidence.decision import Decision, Estimate
from pytest_mecheval.report.columns import display_width, fit, pad, wrap
from pytest_mecheval.report.conduct import isolation_line
from pytest_mecheval.report.outcome import BundleReport, Outcome, State
from pytest_mecheval.report.plain import plain_line
from pytest_mecheval.report.scores import Score, coverage, dimension_scores, family
from pytest_mecheval.vocabulary import Dimension, Tier, Verdict

WIDEST = 100
"""The table never grows beyond this, however wide the terminal."""
NARROWEST = 30
"""No layout can keep a promise about terminals narrower than this."""
MARKDOWN = "summary.md"
MAX_NOTES = 6
"""Notes about the bundle that are shown."""

_LAYOUTS = (
    ("verdict", "claim", "kind", "measured vs threshold", "sentence"),
    ("verdict", "claim", "measured vs threshold", "sentence"),
)
"""Columns of the table, the first layout that fits; the verdict stands first, the sentence last."""
_GAP = "  "
_SHRINKABLE = {"claim": 18, "sentence": 14, "kind": 9}
"""What a table column may shrink to, in this order; verdicts and numbers are never cut."""
_LABEL = 17
"""Columns of the names in the block below the table."""

_COLORS = {
    Verdict.SUPPORTED: "32",
    Verdict.REFUTED: "31",
    Verdict.VACUOUS: "31",
    Verdict.INCONCLUSIVE: "33",
    Verdict.NOT_TESTABLE: "2",
    State.ERROR: "31;1",
    State.NOT_RUN: "2",
}
_DIMENSIONS = tuple(Dimension)
_TIER_WORDS = {
    Tier.T3: "our prompts and interventions",
    Tier.T2: "our interventions, the bundle's data or module",
    Tier.T1: "the bundle's own output",
    Tier.T0: "prose",
}


def write_summary(
    report: BundleReport,
    write_line: Callable[[str], object],
    *,
    paths: Mapping[str, str] | None = None,
    width: int = WIDEST,
    color: bool = False,
) -> None:
    """Write the summary of one bundle, line by line.

    Args:
        report: all outcomes of the bundle.
        write_line: writes one line; pytest's `terminalreporter.write_line` will do.
        paths: what lies where, by a short name such as `decisions`; shown in this order.
        width: columns of the terminal; the table uses at most 100 of them.
        color: whether the terminal understands colours.
    """
    columns = max(NARROWEST, min(width, WIDEST))
    outcomes = sorted(
        report.outcomes, key=lambda outcome: (_DIMENSIONS.index(outcome.dimension), outcome.claim)
    )
    for line in wrap(f"mecheval: {plain_line(report.bundle)} ({tally(outcomes)})", columns):
        write_line(line)
    write_line("")
    shown = [outcome for outcome in outcomes if outcome.word != State.NOT_RUN]
    if shown:
        for line in _table(shown, columns, color=color) or _paragraphs(shown, columns, color=color):
            write_line(line)
        write_line("")
    for line in _totals(report, columns):
        write_line(line)
    for line in _notes(report.notes, columns):
        write_line(line)
    for name, place in (paths or {}).items():
        write_line(_place(name, place))


def tally(outcomes: Sequence[Outcome]) -> str:
    """`7 SUPPORTED, 2 REFUTED`, in the order of the vocabulary."""
    words = [*map(str, Verdict), str(State.ERROR), str(State.NOT_RUN)]
    counts = {word: sum(outcome.word == word for outcome in outcomes) for word in words}
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n) or "no claims"


def measured_cell(decision: Decision | None) -> str:
    """`2.13 [1.91, 2.35] nats vs 0.5`, or a dash when there is no number."""
    if decision is None or decision.estimate is None:
        return "-"
    text = _interval(decision.estimate)
    return text if decision.threshold is None else f"{text} vs {decision.threshold:.3g}"


def _interval(estimate: Estimate) -> str:
    unit = f" {plain_line(estimate.unit)}" if estimate.unit else ""
    if estimate.lower == estimate.upper == estimate.value:
        return f"{estimate.value:.3g}{unit} (exact)"
    return f"{estimate.value:.3g} [{estimate.lower:.3g}, {estimate.upper:.3g}]{unit}"


def reason(outcome: Outcome) -> str:
    """One line on why a claim is not supported; empty when it is."""
    decision = outcome.decision
    if decision is None:
        return plain_line(outcome.problem)
    if decision.verdict is Verdict.SUPPORTED:
        return ""
    if decision.verdict is Verdict.NOT_TESTABLE:
        parts = (decision.code, decision.measured)
    else:
        parts = (decision.code, f"needed: {decision.needed}")
    return "; ".join(plain_line(part) for part in parts if part)


def _paint(text: str, outcome: Outcome, *, color: bool) -> str:
    if not color:
        return text
    word = outcome.decision.verdict if outcome.decision is not None else outcome.state
    return f"\x1b[{_COLORS[word]}m{text}\x1b[0m"


def _table(outcomes: Sequence[Outcome], columns: int, *, color: bool) -> list[str]:
    """The table, or nothing when a row would have to lose its verdict or its numbers."""
    for names in _LAYOUTS:
        for folders in (True, False):
            cells = [_cells(outcome, names, folders=folders) for outcome in outcomes]
            widths = _column_widths([names, *cells], names, columns, may_shrink=not folders)
            if sum(widths) + len(_GAP) * (len(names) - 1) <= columns:
                return _rows(outcomes, [names, *cells], widths, columns, color=color)
    return []


def _cells(outcome: Outcome, names: Sequence[str], *, folders: bool) -> tuple[str, ...]:
    """One row; without folders only the name of the file and the line of the sentence remain."""
    place = plain_line(outcome.source)
    cells = {
        "verdict": outcome.word,
        "claim": plain_line(outcome.claim),
        "kind": outcome.kind,
        "measured vs threshold": measured_cell(outcome.decision),
        "sentence": place if folders else place.rpartition("/")[2],
    }
    return tuple(cells[name] for name in names)


def _column_widths(
    rows: Sequence[Sequence[str]], names: Sequence[str], columns: int, *, may_shrink: bool
) -> list[int]:
    """As wide as the content; where that is too wide, one column after the other gives way."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    if not may_shrink:
        return widths
    space = columns - len(_GAP) * (len(names) - 1)
    for name, smallest in _SHRINKABLE.items():
        excess = sum(widths) - space
        if excess > 0 and name in names:
            index = names.index(name)
            widths[index] = max(min(widths[index], smallest), widths[index] - excess)
    return widths


def _rows(
    outcomes: Sequence[Outcome],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    columns: int,
    *,
    color: bool,
) -> list[str]:
    """Header, rule, one line per claim and below it the reason why a claim is not supported."""
    header, *rows = cells
    lines = [_row(header, widths), "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))]
    for outcome, row in zip(outcomes, rows, strict=True):
        line = _row(row, widths)
        lines.append(_paint(line[: widths[0]], outcome, color=color) + line[widths[0] :])
        if why := reason(outcome):
            # Under the claim's name, so that the verdict column stays clean to scan.
            margin = widths[0] + len(_GAP)
            lines.append(" " * margin + fit(why, columns - margin))
    return lines


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(widths) - 1
    padded = (
        pad(fit(cell, width, keep_end=index == last), width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return _GAP.join(padded).rstrip()


def _paragraphs(outcomes: Sequence[Outcome], columns: int, *, color: bool) -> list[str]:
    """For narrow terminals: three or four short lines per claim, nothing left out."""
    lines = []
    for outcome in outcomes:
        decision = outcome.decision
        title = f"{outcome.word} {plain_line(outcome.claim)} ({outcome.kind})"
        first, *rest = wrap(title, columns)
        verdict_end = len(outcome.word)
        lines.append(_paint(first[:verdict_end], outcome, color=color) + first[verdict_end:])
        lines += rest
        details = [measured_cell(decision), reason(outcome), plain_line(outcome.source)]
        for detail in details:
            if detail and detail != "-":
                lines += ["  " + line for line in wrap(detail, columns - 2)]
    return lines


def _totals(report: BundleReport, columns: int) -> list[str]:
    lines = []
    for score in dimension_scores(report.outcomes):
        lines += _named(str(score.dimension), score_text(score), columns)
    stated = coverage(report.outcomes, len(report.untested))
    share = f" ({100 * stated.share:.0f}%)" if stated.share is not None else ""
    text = f"{stated.tested} of {stated.stated} stated findings tested{share}"
    if report.untested:
        text += f"; without a test: {len(report.untested)} (see {MARKDOWN})"
    lines += _named("coverage", text, columns)
    lines += _named("measured by", _tiers(report.outcomes), columns)
    if report.isolation:
        lines += _named("isolation", isolation_line(report), columns)
    lines += _named("family-wise", family(report.outcomes).sentence, columns)
    return lines + _named("salt", plain_line(report.salt), columns)


def _notes(notes: Sequence[str], columns: int) -> list[str]:
    """What was odd about the bundle; the rest stands in `decisions.json`."""
    lines = [
        line for note in notes[:MAX_NOTES] for line in _named("note", plain_line(note), columns)
    ]
    if len(notes) > MAX_NOTES:
        lines += _named("note", f"{len(notes) - MAX_NOTES} more in decisions.json", columns)
    return lines


def _tiers(outcomes: Sequence[Outcome]) -> str:
    """How many tested claims rest on what: our own prompts, or data the bundle supplied."""
    tested = [
        outcome.decision.tier
        for outcome in outcomes
        if outcome.decision is not None and outcome.decision.verdict is not Verdict.NOT_TESTABLE
    ]
    counts = [(tier, tested.count(tier)) for tier in reversed(Tier)]
    said = [f"{count} {tier} ({_TIER_WORDS[tier]})" for tier, count in counts if count]
    return "; ".join(said) or "nothing was measured"


def score_text(score: Score) -> str:
    """`3 of 4 tested claims supported, 75% [19%, 99%]`, or that nothing was tested."""
    if score.share is None:
        return "no claim tested"
    return (
        f"{score.supported} of {score.decided} tested claims supported, {100 * score.share:.0f}% "
        f"[{100 * score.lower:.0f}%, {100 * score.upper:.0f}%] (exact {100 * score.level:.0f}% interval)"
    )


def _place(name: str, place: str) -> str:
    """A path stays in one piece, so that it can be copied; the terminal may wrap it."""
    return f"{plain_line(name):<{_LABEL}} {plain_line(place)}"


def _named(name: str, text: str, columns: int) -> list[str]:
    label = min(_LABEL, columns // 2)
    first, *rest = wrap(text, columns - label - 1)
    return [f"{fit(name, label):<{label}} {first}", *(" " * (label + 1) + line for line in rest)]
