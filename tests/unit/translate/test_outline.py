import json

from answering import Says, body, bundle_in, claim
from hand_written import FILES, ROOT, loaded

from pytest_mecheval.claims.reading import read_claims
from pytest_mecheval.translate.asks import Ask, Status
from pytest_mecheval.translate.bench import bench, table
from pytest_mecheval.translate.outline import Outline
from pytest_mecheval.translate.proposals import Fate
from pytest_mecheval.translate.workflow import translate

KINDS = {"provenance", "structure", "runnable", "evidence_level", "reported_number"}


def answer(provider, text, role="finding"):
    (reply,) = provider.replies([Ask("x", role, "", "", {}, "", text=text)])
    assert reply.status is Status.ANSWERED
    return reply.body


def specs(provider, text, role="finding"):
    return [
        (each["kind"], json.loads(each["spec_json"]))
        for each in answer(provider, text, role)["claims"]
    ]


def test_a_figure_is_claimed_to_come_from_the_only_script(tmp_path):
    outline = Outline(bundle_in(tmp_path))
    assert specs(outline, "The mean margin drops by 2.493.") == [
        ("provenance", {"entry": "run.py", "number": "2.493"})
    ]


def test_an_accuracy_is_measured_only_when_there_is_one_task_and_no_component(tmp_path):
    bundle = bundle_in(tmp_path)
    text = "The model reaches accuracy 0.969 on 128 prompts."
    spec = {"task": "t", "number": "0.969", "quantity": "score", "metric": "accuracy", "n": 128}
    assert specs(Outline(bundle, ["t"]), text) == [("reported_number", spec)]
    assert specs(Outline(bundle, ["t", "u"]), text)[0][0] == "provenance"
    assert (
        specs(Outline(bundle, ["t"]), "With a1.h3 zeroed accuracy is 0.969.")[0][0] == "provenance"
    )


def test_a_sentence_that_says_more_than_rules_can_test_is_left_to_others(tmp_path):
    outline = Outline(bundle_in(tmp_path))
    for text in (
        "a1.h3 is the key head and drops the margin by 2.493.",
        "It generalises to new names with 0.993.",
        "It is an elegant circuit.",
    ):
        body = answer(outline, text)
        assert body["outcome"] == "not_testable"
        assert "by rule" in body["reason"]


def test_plan_steps_ask_for_what_their_verbs_promise(tmp_path):
    outline = Outline(bundle_in(tmp_path))
    step = {"event": "ablate", "min_prompts": 128, "heads": [2], "value": "zero"}
    assert specs(outline, "Ablate head 2 (zero) on 128 prompts.", "plan") == [
        ("plan_step", {"entry": "run.py", "requires": [step]})
    ]
    assert specs(outline, "Ablate each of the sixteen heads.", "plan") == []


def test_all_it_proposes_for_examples_and_fixtures_passes_the_guards(tmp_path):
    for path in FILES:
        bundle, _ = loaded(path)
        result = translate(bundle, tmp_path / path.name, Outline(bundle), retry=False)
        failed = [each.reason for each in result.proposals if each.fate is Fate.FAILED]
        assert failed == [], path.name
        assert {each.kind for each in result.claims.claims} <= KINDS
        assert len(list(result.claims.entries())) >= len(result.proposals)


BENCHED = [ROOT / f"fixtures/{name}.claims.yaml" for name in ("ablation_run", "number_printed")]


def by_hand(bundle, _path):
    """Answers every ask with what the hand-written file says about its passage."""
    hand = read_claims(bundle.root.with_name(f"{bundle.name}.claims.yaml"), bundle)

    def said(ask):
        if ask.role == "subject":
            return body(
                "subject", subject=hand.subject.model_dump(mode="json", exclude_defaults=True)
            )
        entries = hand.plan if ask.role == "plan" else hand.claims
        found = [
            claim(e.quote.text, e.spec, getattr(e, "kind", "plan_step"), getattr(e, "operationalised", ()), e.id)
            for e in entries
            if e.quote.file == ask.file and e.quote.text in ask.text and e.spec
        ]  # fmt: skip
        kind = "plan_step" if ask.role == "plan" else "claims"
        return body(kind, *found) if found else body("not_testable", reason="not quoted by hand")

    return Says(said)


def test_bench_gives_full_marks_to_the_hand_written_file_itself():
    for tally in bench(BENCHED, by_hand, retry=False).values():
        assert tally.findings == tally.found == tally.kind == tally.numbers == tally.exact > 0
        assert tally.components == tally.direction == tally.findings
        assert tally.steps == tally.steps_found > 0
        assert tally.covered == tally.statements


def test_bench_prints_the_outline_as_less_than_that():
    found = bench(BENCHED, lambda bundle, _path: Outline(bundle), retry=False)
    tally = found["ablation_run"]
    assert 0 < tally.exact <= tally.kind <= tally.found <= tally.findings
    assert tally.exact < tally.findings
    lines = table(found).splitlines()
    assert any(line.startswith("findings claimed") and " of " in line for line in lines)
    assert any(line.startswith("number_printed") for line in lines)


def test_bench_of_a_provider_that_says_nothing_is_nothing():
    silent = Says(lambda ask: body("subject", subject={}) if ask.role == "subject" else body("not_testable", reason="no"))  # fmt: skip
    files = [ROOT / "fixtures/ablation_run.claims.yaml"]
    tally = bench(files, lambda *_: silent, retry=False)["ablation_run"]
    assert (tally.found, tally.kind, tally.steps_found) == (0, 0, 0)
