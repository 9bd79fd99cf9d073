import pytest
from hand_written import FILES, loaded

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.claims.candidates import candidates


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".")[0])
def test_every_statement_quoted_by_hand_is_a_candidate(path):
    bundle, claims = loaded(path)
    found = candidates(bundle)
    for entry in claims.entries():
        wanted = "plan" if entry in claims.plan else "finding"
        quote = normalised(entry.quote.text)
        assert any(
            each.passage.file == entry.quote.file
            and each.role == wanted
            and (quote in each.passage.text or each.passage.text in quote)
            for each in found
        ), entry


def test_most_candidates_are_statements_a_person_quoted():
    """Precision is printed by the bench; here only that the rules do not take everything."""
    hits = total = 0
    for path in FILES:
        bundle, claims = loaded(path)
        quotes = [(e.quote.file, normalised(e.quote.text)) for e in claims.entries()]
        for each in candidates(bundle):
            total += 1
            hits += any(
                file == each.passage.file and (q in each.passage.text or each.passage.text in q)
                for file, q in quotes
            )
    assert hits / total > 0.6


def bundle_of(tmp_path, **documents):
    folder = tmp_path / "bundle" / "logs"
    folder.mkdir(parents=True)
    for name, text in documents.items():
        (folder / f"{name}.md").write_text(text)
    return discover(tmp_path / "bundle")


def texts(bundle, role="finding", strong=None):
    return [
        each.passage.text
        for each in candidates(bundle)
        if each.role == role and strong in (None, each.strong)
    ]


WILD = """# Report

## Results
2. **Clear functional specialization**: attention heads show strong evidence of it.
- Found 12 heads with strong END→S2 attention (e.g. a8.h6 with 0.74)
- ~45% stronger than baseline, 10.1% of total capacity
- Layers (7, 8, 9) route the name.
- ✓ All nodes are valid

| head | score |
|---|---|
| a3.h0 | 0.7191 |
| note | none |

The circuit likely copies names.
"""


def test_every_way_in_which_bundles_state_findings_is_found(tmp_path):
    found = texts(bundle_of(tmp_path, documentation=WILD))
    for start in ("Found 12", "~45%", "Layers", "✓ All nodes", "| a3.h0", "The circuit"):
        assert any(text.startswith(start) for text in found), (start, found)
    assert any("specialization" in text for text in found)


def test_headings_code_labels_and_rows_without_content_are_none(tmp_path):
    text = WILD + "\n```\nAblating head 1.6 costs 2.1 nats\n```\n\nSee figure 2\n"
    found = texts(bundle_of(tmp_path, documentation=text))
    assert not [t for t in found if t.startswith(("Results", "Ablating", "See figure", "| note"))]


def test_set_up_sections_count_only_where_they_speak_of_components_or_causes(tmp_path):
    text = "# R\n\n## Model\nThe model has 2 layers of 8 heads.\nHead a1.h2 is necessary.\n"
    assert texts(bundle_of(tmp_path, documentation=text)) == ["Head a1.h2 is necessary."]


def test_every_version_of_the_plan_counts(tmp_path):
    bundle = bundle_of(
        tmp_path,
        plan_v1="# Plan\n\n## Steps\n1. Ablate head 2.\n2. Train three seeds.\n",
        plan_v2="# Plan\n\n## Steps\n1. Ablate head 2.\n",
        documentation="# R\n",
    )
    assert texts(bundle, "plan") == ["Ablate head 2.", "Train three seeds.", "Ablate head 2."]


def test_success_criteria_are_strong_and_objectives_are_no_promise(tmp_path):
    plan = (
        "# Plan\n\n## Objective\nFind the circuit.\n\n## Success criteria\n"
        "- Accuracy must exceed 0.99.\n\n## Hypotheses\n- → **TESTABLE**: it impairs the task.\n"
    )
    bundle = bundle_of(tmp_path, plan=plan, documentation="# R\n")
    assert len(texts(bundle, "plan")) == len(texts(bundle, "plan", strong=True)) == 2
    assert "Find the circuit." not in texts(bundle, "plan")


def test_a_figure_in_a_report_can_never_be_dismissed(tmp_path):
    report = "# R\n\n## Results\nThe loss is 3.549 nats.\nIt is an elegant circuit.\n"
    bundle = bundle_of(tmp_path, documentation=report)
    assert texts(bundle, strong=True) == ["The loss is 3.549 nats."]
    assert texts(bundle, strong=False) == ["It is an elegant circuit."]


def test_same_bundle_same_candidates():
    bundle, _ = loaded(FILES[0])
    assert candidates(bundle) == candidates(bundle)


def test_a_title_that_asserts_something_is_a_statement(tmp_path):
    text = "# Head 0 decides alone\n\n## Head 2 of the copying model\nIt is elegant indeed.\n"
    found = texts(bundle_of(tmp_path, documentation=text))
    assert found == ["Head 0 decides alone", "It is elegant indeed."]
