"""`summary.md`: one bundle for a pull request or a CI job's page; GitHub's Markdown, short enough for both.

What a bundle wrote appears only inside escaped text: it can form no link, image, mention, table cell or HTML.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from pytest_mecheval.report.checklist import Answer, Result, answers
from pytest_mecheval.report.conduct import isolation_line
from pytest_mecheval.report.decisions import tier_counts
from pytest_mecheval.report.failure import headline
from pytest_mecheval.report.outcome import BundleReport, Outcome
from pytest_mecheval.report.plain import markdown_escape, plain_line
from pytest_mecheval.report.ranking import WORST_FIRST, standing
from pytest_mecheval.report.scores import coverage, dimension_scores, family
from pytest_mecheval.report.terminal import MAX_NOTES, measured_cell, reason, score_text, tally
from pytest_mecheval.vocabulary import Verdict

LONGEST = 60_000
"""Characters: a pull request comment holds 65 536, a job summary a mebibyte."""
QUOTE = 160
"""Characters of a quote or reason in a table cell."""
_HEAD = (
    "| verdict | claim | kind | measured vs threshold | sentence | why |\n|---|---|---|---|---|---|"
)
_MENTION = re.compile(r"@(?=\w)")
_REFERENCE = re.compile(r"(?i)#(?=\d)|\bGH-(?=\d)")


def cell(text: str, limit: int = QUOTE) -> str:
    r"""Bundle text as inert Markdown; mentions and issue numbers get look-alikes: GitHub finds escaped ones.

    >>> print(ascii(cell("a | b @you #1")))
    'a \\| b \uff20you \uff031'
    """
    inert = _MENTION.sub("\uff20", plain_line(text, limit))
    inert = _REFERENCE.sub(lambda found: "\uff03" if found[0] == "#" else "GH\u2010", inert)
    return markdown_escape(inert, len(inert))  # cut once, above


def summary_markdown(report: BundleReport) -> str:
    """The whole document; supported claims are folded, and left out when it would grow too long."""
    outcomes = sorted(
        report.sorted_outcomes(), key=lambda outcome: WORST_FIRST.index(standing(outcome))
    )
    failing = [each for each in outcomes if standing(each) is not Verdict.SUPPORTED]
    supported = [each for each in outcomes if standing(each) is Verdict.SUPPORTED]
    parts = [
        f"## mecheval: {cell(report.bundle)}",
        f"**{tally(outcomes)}**",
        "\n".join(_totals(report)),
    ]
    rest = ["\n".join(_checklist(answers(report)))]
    room = LONGEST - sum(map(len, [*parts, *rest])) - 1000
    for title, rows, folded in (
        ("Not supported", failing, False),
        ("Supported", supported, True),
    ):
        if rows:
            table = _table(rows, room)
            parts.append(_folded(f"{title} ({len(rows)})", table) if folded else table)
            room -= len(table)
    if report.unchecked:
        title = f"Without a test ({len(report.unchecked)})"
        parts.append(_folded(title, _untested(report.sorted_unchecked(), room)))
    return "\n\n".join([*parts, *rest]) + "\n"


def _table(outcomes: Sequence[Outcome], room: int) -> str:
    return _filled(_HEAD, outcomes, _row, room)


def _untested(outcomes: Sequence[Outcome], room: int) -> str:
    """Sentences nobody tested, each with the reason."""
    return _filled("| sentence | why there is no test |\n|---|---|", outcomes, _reason_row, room)


def _filled(
    head: str, outcomes: Sequence[Outcome], row_of: Callable[[Outcome], str], room: int
) -> str:
    """A table of as many rows as there is room for, and how many are missing."""
    lines, used = [head], len(head)
    for number, outcome in enumerate(outcomes):
        row = row_of(outcome)
        used += len(row) + 1
        if used > room:
            lines.append(f"\n{len(outcomes) - number} more are in decisions.json.")
            break
        lines.append(row)
    return "\n".join(lines)


def _reason_row(outcome: Outcome) -> str:
    return f"| {cell(outcome.quote)} ({cell(outcome.source)}) | {cell(outcome.unavailable)} |"


def _row(outcome: Outcome) -> str:
    decision = outcome.decision
    said = headline(decision) if decision else outcome.word
    cells = (
        f"**{cell(said)}**" if standing(outcome) is not Verdict.SUPPORTED else cell(said),
        cell(outcome.claim),
        cell(outcome.kind),
        cell(measured_cell(decision)),
        f"{cell(outcome.quote)} ({cell(outcome.source)})",
        cell(reason(outcome)) or "-",
    )
    return f"| {' | '.join(cells)} |"


def _totals(report: BundleReport) -> Iterator[str]:
    outcomes = report.sorted_outcomes()
    for score in dimension_scores(outcomes):
        yield f"- {score.dimension}: {cell(score_text(score))}"
    stated = coverage(outcomes, len(report.unchecked))
    yield f"- coverage: {stated.tested} of {stated.stated} stated findings tested"
    tiers = [f"{count} {tier}" for tier, count in tier_counts(outcomes).items() if count]
    yield f"- measured by: {', '.join(tiers) or 'nobody'}"
    yield f"- isolation: {cell(isolation_line(report), limit=1000)}"
    yield f"- family-wise: {cell(family(outcomes).sentence, limit=1000)}"
    yield f"- bundle {cell(report.bundle_hash[:12])}, salt {cell(report.salt)}"
    yield from (f"- note: {cell(note)}" for note in report.notes[:MAX_NOTES])
    if len(report.notes) > MAX_NOTES:
        yield f"- note: {len(report.notes) - MAX_NOTES} more in decisions.json"


def _checklist(found: Sequence[Answer]) -> Iterator[str]:
    counts = {result: sum(each.result is result for each in found) for result in Result}
    title = ", ".join(f"{count} {result}" for result, count in counts.items())
    rows = [f"| {cell(a.item.key)} | {a.result} | {cell(a.rationale)} |" for a in found]
    yield _folded(
        f"Published checklist: {title}",
        "\n".join(["| item | result | rationale |\n|---|---|---|", *rows]),
    )


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
