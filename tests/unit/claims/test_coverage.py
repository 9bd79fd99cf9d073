from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.claims.coverage import unlisted, untranslated
from pytest_mecheval.claims.model import ClaimFile

REASONS = {
    "failed": "not translated: ungrounded: quote: not in the passage",
    "dismissed": "dismissed as stating nothing: a caption",
    "vague": "no operational meaning: 'elegant', dismissed as stating nothing",
}


def claim_file() -> ClaimFile:
    quote = {"file": "report.md", "line": 1, "text": "It is so."}
    entries = [{"id": name, "quote": quote, "reason": why} for name, why in REASONS.items()]
    return ClaimFile.model_validate(
        {"format": 1, "bundle": "b", "documents": {}, "not_testable": entries}
    )


def test_a_failed_translation_is_no_vagueness():
    assert [each.id for each in untranslated(claim_file(), orders=False)] == ["failed"]


def test_where_machines_are_given_orders_what_a_machine_dismissed_counts_too():
    assert [each.id for each in untranslated(claim_file(), orders=True)] == ["failed", "dismissed"]


REPORT = """# Report

## Results
Ablating head 1.0 lowers the logit difference by 2.5 nats.
Head 1.1 is necessary, which ablating
it on 64 prompts shows.
This was nice to do.

| head | drop |
|---|---|
| 1.2 | 0.31 |
"""
PLAN = """# Plan

## Steps
1. Ablate head 2 on 128 prompts.
2. Measure accuracy on fresh prompts.
"""


def left_out(tmp_path, *quotes):
    for name, text in (("documentation.md", REPORT), ("plan.md", PLAN)):
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs" / name).write_text(text)
    entries = [
        {"id": f"q{n}", "quote": {"file": f, "line": 1, "text": text}, "reason": "vague"}
        for n, (f, text) in enumerate(quotes)
    ]
    body = {"format": 1, "bundle": "b", "documents": {}, "not_testable": entries}
    found = unlisted(ClaimFile.model_validate(body), discover(tmp_path))
    return {(each.passage.file, each.passage.line) for each in found}


def test_statements_without_an_entry_are_found_again_by_rule(tmp_path):
    report, plan = "logs/documentation.md", "logs/plan.md"
    every = {(report, 4), (report, 5), (report, 11), (plan, 4), (plan, 5)}
    assert left_out(tmp_path) == every
    part, whole = (
        "Ablating head 1.0 lowers",
        "Head 1.1 is necessary, which ablating it on 64 prompts shows.",
    )
    assert left_out(tmp_path, (report, part)) == every - {(report, 4)}
    assert left_out(tmp_path, (report, whole)) == every - {(report, 5)}
    # The same words in another document are another statement.
    assert left_out(tmp_path, (plan, part)) == every
    assert left_out(tmp_path, (plan, "Ablate head 2 on 128 prompts.")) == every - {(plan, 4)}
