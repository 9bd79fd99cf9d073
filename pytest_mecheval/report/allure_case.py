"""One claim as an Allure test: labels at collection, then steps, description, attachments from inside the test.

The only module that imports allure, and only inside functions: with allure-pytest switched off or absent
every function here does nothing. Bundle text reaches Allure as inert text; parameters are excluded from
the history, so editing a claim does not tear its history apart.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_mecheval.claims.model import Claim
from pytest_mecheval.errors import ClaimNotSupported
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.report.allure_results import CLAIM_LABEL
from pytest_mecheval.report.comparisons import diff_text, ledger_text
from pytest_mecheval.report.decisions import decision_document, json_text
from pytest_mecheval.report.failure import (
    amount,
    controls_text,
    headline,
    needed_text,
    refuting_text,
)
from pytest_mecheval.report.kind_plots import kind_plots
from pytest_mecheval.report.outcome import Outcome
from pytest_mecheval.report.plain import markdown_escape, plain_line
from pytest_mecheval.report.plots import kept_plot, raw_series
from pytest_mecheval.report.tables import values_csv
from pytest_mecheval.vocabulary import Dimension, Verdict

PLUGIN = "allure_pytest"
"""Name of allure-pytest's entry point; `-p no:allure_pytest` blocks it."""
LISTENER = "allure_listener"
"""Registered by allure-pytest when `--alluredir` is given."""
CONTROL_NAMES = {
    "placebo": "placebo, largest change (nats)",
    "positive": "positive control, mean change (nats)",
    "tau": "smallest change that counts (nats)",
    "cross_check": "fast against plain path, largest deviation",
}
"""The harness's findings about itself, by their key in the provenance."""
_PARAMETER_CHARACTERS = 120


def available(config: pytest.Config) -> bool:
    """Whether allure-pytest is loaded, with or without a results folder."""
    return bool(config.pluginmanager.hasplugin(PLUGIN))


def listening(config: pytest.Config) -> bool:
    """Whether this run writes Allure results."""
    return available(config) and bool(config.pluginmanager.hasplugin(LISTENER))


def _allure() -> Any:
    """The allure package, imported when it is first needed; it has no types."""
    import allure

    return allure


def mark_item(
    item: pytest.Item,
    claim: Claim,
    *,
    kind: str,
    dimension: Dimension,
    bundle: str,
    address: str = "",
) -> None:
    """Attach the labels known before measuring; call it when pytest has collected the item.

    Args:
        item: the test of the claim.
        claim: the claim as the claim file has it.
        kind: its kind, also for statements that no check tests.
        dimension: where it counts.
        bundle: name of the bundle.
        address: of the claim's line on a code host, made by us; empty when there is none.
    """
    if not available(item.config):
        return
    allure = _allure()
    severity = allure.severity_level.CRITICAL if claim.headline else allure.severity_level.NORMAL
    for marker in (
        allure.epic(plain_line(bundle)),
        allure.feature(str(dimension)),
        allure.story(kind),
        allure.severity(severity),
        allure.label(CLAIM_LABEL, plain_line(claim.id)),
        # Without this Allure would render the test's docstring, which is bundle text, as Markdown.
        allure.description(_quote(claim.quote.text, _place(claim))),
    ):
        item.add_marker(marker)
    if address:
        item.add_marker(allure.link(address, name=plain_line(_place(claim))))
    if (function := getattr(item, "obj", None)) is not None:
        # A title is a format string for Allure, and ids have no braces; this one holds until attach().
        function.__allure_display_name__ = _slug(claim.id)


def _place(claim: Claim) -> str:
    return f"{claim.quote.file}:{claim.quote.line}"


def attach(
    config: pytest.Config,
    outcome: Outcome,
    evidence: Evidence | None = None,
    *,
    drawings: Path | None = None,
    document: str | None = None,
) -> None:
    """Fill the running test's Allure result: title, verdict labels, description, parameters, steps, files.

    Call it inside the test's call phase, before raising or skipping: at the end of setup allure-pytest
    overwrites title and description.

    Args:
        config: pytest's configuration, to see whether anybody listens.
        outcome: what was decided.
        evidence: the measurements behind it; without them there is no CSV and no raw values.
        drawings: folder that keeps plots by content, so that an unchanged decision is drawn once.
        document: the outcome's decision document as JSON text, if it has been made already.
    """
    if not listening(config) or outcome.decision is None:
        return
    allure = _allure()
    decision = outcome.decision
    allure.dynamic.title(f"{decision.verdict} {_slug(outcome.claim)}")
    allure.dynamic.tag(str(decision.rung), str(decision.tier), str(decision.verdict))
    allure.dynamic.label("verdict", str(decision.verdict))
    allure.dynamic.description(description(outcome, decision))
    for name, value in parameters(outcome).items():
        allure.dynamic.parameter(name, value, excluded=True)
    with _step("positive control and placebo", control_facts(outcome)):
        pass
    with _step("measurement", _measurement_facts(outcome, decision)):
        _attach_measurement(outcome, decision, evidence, drawings)
    with _step("decision", _decision_facts(decision), _outcome_of_step(decision)):
        allure.attach(
            document or json_text(decision_document(outcome)),
            name="decision and provenance",
            attachment_type=allure.attachment_type.JSON,
        )


def description(outcome: Outcome, decision: Decision) -> str:
    """Quote with its place, what was measured and needed, notes: Markdown in which bundle text is inert."""
    paragraphs = [
        _quote(outcome.quote, outcome.source),
        f"**{markdown_escape(headline(decision))}**",
        f"**Measured:** {markdown_escape(decision.measured)}",
        f"**Needed:** {markdown_escape(needed_text(decision))}",
    ]
    if refuting := refuting_text(outcome):
        paragraphs.append(f"**Would refute it:** {markdown_escape(refuting)}")
    if outcome.operationalised:
        fields = ", ".join(markdown_escape(name) for name in outcome.operationalised)
        paragraphs.append(f"**Evaluator's operationalisation** (the prose does not say): {fields}")
    if decision.notes:
        paragraphs.append("\n".join(f"- {markdown_escape(note)}" for note in decision.notes))
    return "\n\n".join(paragraphs)


def _quote(text: str, source: str) -> str:
    return f"> {markdown_escape(text)}\n\n{markdown_escape(source)}"


def parameters(outcome: Outcome) -> dict[str, str | float]:
    """The claim's spec: numbers as they are, everything else as short inert text."""
    return {
        plain_line(name): value
        if isinstance(value, int | float)
        else plain_line(_short(value), _PARAMETER_CHARACTERS)
        for name, value in outcome.spec.items()
    }


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return "-" if value is None else str(value)


def control_facts(outcome: Outcome) -> dict[str, str]:
    """What the harness found out about itself before it measured; several jobs give several values."""
    recorded = outcome.provenance.get("controls", [])
    runs = [run for run in _listed(recorded) if isinstance(run, Mapping)]
    found = {
        name: plain_line("; ".join(dict.fromkeys(_facts(run[key]) for run in runs if key in run)))
        for key, name in CONTROL_NAMES.items()
        if any(key in run for run in runs)
    }
    return found or {"result": "not recorded with this evidence"}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _facts(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_facts(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return _short(value)


def _measurement_facts(outcome: Outcome, decision: Decision) -> dict[str, str]:
    facts = {"measured": plain_line(decision.measured), "who measured": str(decision.tier)}
    if decision.estimate is not None:
        facts["estimate"] = plain_line(str(decision.estimate))
        if decision.controls:
            facts["controls"] = controls_text(decision.controls, decision.estimate.unit)
    if outcome.evidence:
        facts["evidence records"] = str(len(outcome.evidence))
    return facts


def _decision_facts(decision: Decision) -> dict[str, str]:
    unit = decision.estimate.unit if decision.estimate is not None else ""
    facts = {"verdict": headline(decision), "needed": needed_text(decision)}
    if decision.threshold is not None:
        facts["threshold"] = amount(decision.threshold, unit)
    if decision.p_value is not None:
        facts["p-value"] = f"{decision.p_value:.3g}"
    if decision.shams is not None and decision.shams.tried:
        facts["sham claims that pass"] = f"{decision.shams.passed} of {decision.shams.tried}"
    return facts


def _outcome_of_step(decision: Decision) -> BaseException | None:
    """What colours the decision step: red unless supported, grey when nothing could be tested."""
    match decision.verdict:
        case Verdict.SUPPORTED:
            return None
        case Verdict.NOT_TESTABLE:
            return pytest.skip.Exception(headline(decision))
        case Verdict.REFUTED | Verdict.VACUOUS | Verdict.INCONCLUSIVE:
            return ClaimNotSupported(headline(decision))


def _attach_measurement(
    outcome: Outcome, decision: Decision, evidence: Evidence | None, drawings: Path | None
) -> None:
    allure = _allure()
    values = raw_series(evidence, decision) if evidence is not None else {}
    title = f"{headline(decision)}: {outcome.claim} ({outcome.kind})"
    picture = kept_plot(drawings, decision, values, title=title)
    if picture is not None:
        allure.attach(picture, name="effect", attachment_type=allure.attachment_type.PNG)
    for name, drawn in kind_plots(outcome, drawings).items():
        allure.attach(drawn, name=name, attachment_type=allure.attachment_type.PNG)
    for name, text in (
        ("stated and rerun numbers", diff_text(outcome)),
        ("runtime ledger, excerpt", ledger_text(outcome)),
    ):
        if text:
            allure.attach(text, name=name, attachment_type=allure.attachment_type.TEXT)
    if evidence is not None and evidence.measurements:
        allure.attach(
            values_csv(evidence),
            name="values per example",
            attachment_type=allure.attachment_type.CSV,
        )


@contextmanager
def _step(
    title: str, facts: Mapping[str, str], ends_with: BaseException | None = None
) -> Iterator[None]:
    """An Allure step with parameters that ends with the given exception's status, and raises nothing."""
    allure = _allure()
    step = allure.step(title)
    step.params = dict(facts)
    step.__enter__()
    failure: BaseException | None = ends_with
    try:
        yield
    except BaseException as error:
        failure = error
        raise
    finally:
        # No traceback: it would show where this package is installed, and nothing about the claim.
        step.__exit__(type(failure) if failure is not None else None, failure, None)


def _slug(text: str) -> str:
    """An id as it may stand in a title: nothing that Allure's formatting acts on."""
    return plain_line(text).replace("{", "(").replace("}", ")")
