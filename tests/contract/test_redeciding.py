"""Every kind's worked examples survive the way through decisions.json: decided again, the same comes out."""

import dataclasses
import json

import pytest

from pytest_mecheval.checks.registry import checks
from pytest_mecheval.claims.model import Claim, Quote
from pytest_mecheval.evidence.measurement import Evidence, measured
from pytest_mecheval.report.decisions import bundle_document, json_text
from pytest_mecheval.report.origins import origins_document
from pytest_mecheval.report.outcome import BundleReport, outcome
from pytest_mecheval.report.reading import read_report
from pytest_mecheval.report.redeciding import Redecider, Standing, wrong_blocks
from pytest_mecheval.vocabulary import Tier
from pytest_mecheval.wire import (
    DataRef,
    Document,
    Job,
    ModelRef,
    Record,
    Rerun,
    digest,
    dump,
    record_path,
    write_atomically,
)

MODEL = ModelRef("transformer_lens", config="/x/config.json", sha256="ab" * 32)
DATA = DataRef("induction", {"vocab": 16})
EXAMPLES = [
    pytest.param(check, example, id=f"{kind}-{number}")
    for kind, check in checks().items()
    for number, example in enumerate(check.examples)
]


def stored(step, measurement, store):
    """The example's measurement as the record a run would have written."""
    if isinstance(step.probe, Document | Rerun):
        address = digest(["somewhere", dataclasses.asdict(step)])
    else:
        address = Job(step, MODEL, DATA, "salt").address
    record = Record(
        address,
        tuple(measurement.values.tolist()),
        exhaustive=measurement.exhaustive,
        tolerance=measurement.tolerance,
        facts=json.loads(json.dumps(dict(measurement.facts))),
    )
    write_atomically(record_path(store, address), dump(record))
    return measured(record)


def written(check, example, folder):
    """`decisions.json` of a run over this example alone, and its evidence store."""
    store = folder / "evidence"
    evidence = Evidence(
        {s: stored(s, m, store) for s, m in example.evidence.measurements.items()},
        example.evidence.unavailable,
    )
    decision = check.decide(example.spec, example.subject, evidence)
    assert decision.verdict is example.verdict
    noted = dataclasses.replace(decision, tier=Tier.T3, notes=(*decision.notes, "of the run"))
    claim = Claim.model_construct(
        id="claim",
        kind=check.kind,
        quote=Quote.model_construct(file="a.md", line=1, text="x"),
        spec=example.spec.model_dump(mode="json", exclude_unset=True),
    )
    tasks = {step.slice.task for step in example.evidence.measurements}
    report = BundleReport(
        "b", "", "", "", "salt",
        (outcome(claim, check, noted, subject=example.subject, evidence=evidence),),
        sources=origins_document(MODEL, dict.fromkeys(tasks, DATA)),
    )  # fmt: skip
    path = folder / "decisions.json"
    path.write_text(json_text(bundle_document(report)))
    return path, store


def again(path, store):
    (found,) = Redecider(read_report(path), store).claims()
    return found


@pytest.mark.parametrize(("check", "example"), EXAMPLES)
def test_the_same_comes_out(check, example, tmp_path):
    path, store = written(check, example, tmp_path)
    found = again(path, store)
    assert (found.standing, found.details) == (Standing.SAME, ())
    assert not wrong_blocks(json.loads(path.read_text()), read_report(path))


FIRST = {kind: check.examples[0] for kind, check in checks().items()}


@pytest.mark.parametrize("kind", [k for k, e in FIRST.items() if e.evidence.measurements])
def test_missing_and_altered_evidence_is_named(kind, tmp_path):
    path, store = written(checks()[kind], FIRST[kind], tmp_path)
    record = next(iter(sorted(store.rglob("*.json"))))
    body = json.loads(record.read_text())
    record.write_text(json.dumps(body | {"tolerance": 0.125}))
    found = again(path, store)
    assert found.standing is Standing.DAMAGED
    assert record.name in found.details[0]
    record.write_text(json.dumps(body | {"address": "0" * 64}))
    assert again(path, store).standing is Standing.DAMAGED
    record.write_text(record.read_text()[:50])
    assert again(path, store).standing is Standing.DAMAGED
    record.unlink()
    found = again(path, store)
    assert found.standing is Standing.MISSING
    assert record.name in found.details[0]


@pytest.mark.parametrize("kind", FIRST)
def test_a_verdict_that_does_not_follow_is_named(kind, tmp_path):
    path, store = written(checks()[kind], FIRST[kind], tmp_path)
    document = json.loads(path.read_text())
    (decision,) = document["decisions"]
    other = "REFUTED" if decision["verdict"] == "SUPPORTED" else "SUPPORTED"
    path.write_text(json.dumps(document | {"decisions": [decision | {"verdict": other}]}))
    found = again(path, store)
    assert found.standing is Standing.DIFFERS
    assert found.details == (f"verdict: {other}, now {decision['verdict']}",)
    assert "scores" in wrong_blocks(json.loads(path.read_text()), read_report(path))


def test_evidence_of_another_model_or_salt_does_not_count(tmp_path):
    path, store = written(checks()["ablation"], FIRST["ablation"], tmp_path)
    document = json.loads(path.read_text())
    for change in (
        {"salt": "other"},
        {
            "sources": document["sources"]
            | {"model": document["sources"]["model"] | {"sha256": "x"}}
        },
    ):
        path.write_text(json.dumps(document | change))
        found = again(path, store)
        assert found.standing is Standing.DAMAGED
        assert "give another address" in found.details[0]


def test_a_threshold_changed_by_hand_shows(tmp_path):
    path, store = written(checks()["ablation"], FIRST["ablation"], tmp_path)
    document = json.loads(path.read_text())
    document["decisions"][0]["spec"]["min_drop"] = 1000.0
    path.write_text(json.dumps(document))
    found = again(path, store)
    assert found.standing is Standing.DIFFERS
    assert any(text.startswith("verdict: SUPPORTED, now ") for text in found.details)


def test_a_kind_that_is_gone_and_a_spec_that_is_none_are_answers(tmp_path):
    path, store = written(checks()["ablation"], FIRST["ablation"], tmp_path)
    document = json.loads(path.read_text())
    decision = document["decisions"][0]
    for change in ({"kind": "telepathy"}, {"spec": {"components": 3}}, {"subject": ""}):
        path.write_text(json.dumps(document | {"decisions": [decision | change]}))
        assert again(path, store).standing is Standing.DIFFERS
