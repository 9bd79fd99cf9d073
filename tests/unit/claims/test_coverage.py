from pytest_mecheval.claims.coverage import untranslated
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
