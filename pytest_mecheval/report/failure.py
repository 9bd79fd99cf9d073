"""The five lines a reader sees for a claim, the same in pytest, Allure and on the command line.

The verdict word stands in the first line: Allure's categories find it there.
"""

from pydantic import ValidationError

from pytest_mecheval.checks.registry import checks
from pytest_mecheval.evidence.decision import Control, Decision
from pytest_mecheval.report.columns import display_width, wrap
from pytest_mecheval.report.outcome import Outcome
from pytest_mecheval.report.plain import plain_line

COLUMNS = 100
"""No line of the text is wider."""
_INDENT = 12
"""Where the text behind a line's name begins."""


def outcome_text(outcome: Outcome) -> str:
    """The five lines of an outcome that was read back, or what went wrong instead."""
    name = plain_line(outcome.claim)
    lines = _claimed(outcome)
    decision = outcome.decision
    if decision is None:
        problem = plain_line(outcome.problem) or "the claim was not run, so nothing is known"
        lines = [*lines, *_line("problem", problem)]
        header = f"{name}: {outcome.word} [{outcome.kind}]"
    else:
        header = f"{name}: {headline(decision)} [{outcome.kind}, {decision.rung}, {decision.tier}]"
        lines += _line("measured", measured_text(decision))
        lines += _line("needed", needed_text(decision))
    lines += _line("more", more_text(outcome))
    return "\n".join([*wrap(header, COLUMNS), *lines])


def _claimed(outcome: Outcome) -> list[str]:
    """The quote, and two spaces after it, or below it, the place it stands at."""
    lines = _line("claimed", f'"{plain_line(outcome.quote)}"')
    source = plain_line(outcome.source)
    if display_width(lines[-1]) + 2 + display_width(source) <= COLUMNS:
        return [*lines[:-1], f"{lines[-1]}  {source}"]
    return lines + [" " * _INDENT + line for line in wrap(source, COLUMNS - _INDENT)]


def headline(decision: Decision) -> str:
    """`REFUTED (not special)`, its reason made inert."""
    code = plain_line(decision.code)
    return f"{decision.verdict} ({code})" if code else str(decision.verdict)


def measured_text(decision: Decision) -> str:
    """What was measured: the decision's sentence, the estimate if the sentence lacks it, controls, shams."""
    parts = [plain_line(decision.measured)]
    estimate = decision.estimate
    if estimate is not None and str(estimate) not in decision.measured:
        parts.append(plain_line(str(estimate)))
    unit = estimate.unit if estimate is not None else ""
    if decision.controls:
        parts.append(controls_text(decision.controls, unit))
    if decision.shams is not None and decision.shams.tried:
        parts.append(f"sham claims: {decision.shams.passed} of {decision.shams.tried} pass")
    return "; ".join(parts)


def controls_text(controls: tuple[Control, ...], unit: str) -> str:
    """How many controls there are and what the strongest gives.

    >>> controls_text((Control("a1.h3", 0.41), Control("a1.h2", -0.02)), "nats")
    'controls: 2, strongest a1.h3 0.41 nats'
    """
    strongest = max(controls, key=lambda control: (abs(control.value), control.name))
    return f"controls: {len(controls)}, strongest {plain_line(strongest.name)} " + amount(
        strongest.value, unit
    )


def needed_text(decision: Decision) -> str:
    """What would have supported the claim, with the threshold's number if the sentence lacks it."""
    text = plain_line(decision.needed)
    if decision.threshold is None or f"{decision.threshold:.4g}" in text:
        return text
    unit = decision.estimate.unit if decision.estimate is not None else ""
    return f"{text}; threshold {amount(decision.threshold, unit)}"


def refuting_text(outcome: Outcome) -> str:
    """What would have refuted the claim, as its kind says; empty when this version lacks the kind."""
    check = checks().get(outcome.kind)
    if check is None:
        return ""
    try:
        return plain_line(check.refuted_by(check.spec.model_validate(outcome.spec)))
    except ValidationError:
        return ""


def amount(value: float, unit: str) -> str:
    """A number with its unit.

    >>> amount(0.4123456, "nats"), amount(0.5, "")
    ('0.4123 nats', '0.5')
    """
    return f"{value:.4g} {plain_line(unit)}".rstrip()


def more_text(outcome: Outcome) -> str:
    """Where to read more, and how much more there is."""
    text = f"mecheval explain {plain_line(outcome.claim)}"
    notes = len(outcome.decision.notes) if outcome.decision is not None else 0
    if not notes:
        return text
    return f"{text}  ({notes} note{'s' if notes > 1 else ''} on this measurement)"


def _line(name: str, text: str) -> list[str]:
    """One named line and its continuation lines, aligned behind the name."""
    first, *rest = wrap(text, COLUMNS - _INDENT)
    return [f"  {name:<{_INDENT - 2}}{first}", *(" " * _INDENT + line for line in rest)]
