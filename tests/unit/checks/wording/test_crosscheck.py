"""Every hand-written claim says what its quote says; every weakened or rebound mutant of it is caught."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.checks.binding import BoundClaim, bind
from pytest_mecheval.checks.check import TaskFacts
from pytest_mecheval.checks.wording.crosscheck import wording_of
from pytest_mecheval.checks.wording.numbers import sizes_in
from pytest_mecheval.checks.wording.view import Rule
from pytest_mecheval.claims.model import Claim, ClaimFile, Quote
from pytest_mecheval.claims.reading import read_claims
from pytest_mecheval.vocabulary import ModelShape

ROOT = Path(__file__).parents[4]
FILES = sorted([*ROOT.glob("examples/*.claims.yaml"), *ROOT.glob("fixtures/*.claims.yaml")])
SHAPE = ModelShape(12, 12, d_model=144, d_vocab=100, n_ctx=100, d_mlp=64)
NAMES = ("END", "TARGET", "EARLIER", "INDUCTION_TARGET", "PREV_OCCURRENCE", "A", "B")
STRATA = ("fresh", "new_lengths", "distractor", "new_entities", "new_templates")


def texts(value) -> Iterator[str]:
    """Every text in a spec: tasks and positions are among them, and binding is not what is tested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def bound(claims: list[Claim]) -> list[BoundClaim]:
    named = tuple(sorted({text for claim in claims for text in texts(claim.spec)}))
    facts = {name: TaskFacts((*STRATA, *named), (*NAMES, *named)) for name in (*named, "t")}
    found, problems = bind(claims, SHAPE, facts)
    assert not problems
    return list(found)


def as_claims(claims: ClaimFile) -> list[Claim]:
    steps = [
        Claim(id=item.id, kind="plan_step", quote=item.quote, spec=item.spec)
        for item in claims.plan
        if item.spec
    ]
    return [*claims.claims, *steps]


def hand_written() -> Iterator[tuple[str, object, list[Claim]]]:
    for path in FILES:
        bundle = discover(path.with_name(path.name.removesuffix(".claims.yaml")))
        yield path.name, bundle, as_claims(read_claims(path, bundle))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".")[0])
def test_no_hand_written_claim_is_flagged(path):
    bundle = discover(path.with_name(path.name.removesuffix(".claims.yaml")))
    assert wording_of(bound(as_claims(read_claims(path, bundle))), bundle) == {}


def inner(claim: Claim) -> dict:
    return dict(claim.spec["spec"]) if claim.kind == "scope" else dict(claim.spec)


def rebuilt(claim: Claim, **changes) -> Claim:
    spec = {**inner(claim), **changes}
    spec = {key: value for key, value in spec.items() if value is not None}
    return claim.model_copy(
        update={"spec": {**claim.spec, "spec": spec} if claim.kind == "scope" else spec}
    )


def mutants(claim: Claim) -> Iterator[tuple[str, Claim]]:
    """Specs that test less than the sentence, or something else."""
    spec = inner(claim)
    given = set(claim.operationalised)
    if spec.get("special"):
        yield "not special", rebuilt(claim, special=None)
    for name in ("min_drop", "min_mass", "min_share", "min_faithfulness"):
        if name in spec:
            yield f"tiny {name}", rebuilt(claim, **{name: spec[name] / 100})
            if name not in given:
                low = rebuilt(claim, **{name: spec[name] / 100})
                owned = (*claim.operationalised, name)
                yield f"tiny {name}, owned up to", low.model_copy(update={"operationalised": owned})
    if "min_drop" in spec:
        yield "no min_drop", rebuilt(claim, min_drop=None)
    if "number" in spec:
        yield "another number", rebuilt(claim, number="0.123456")
        if spec.get("metric") == "accuracy":
            yield "another metric", rebuilt(claim, metric="loss")
        if spec.get("metric") in ("logit_diff", "loss"):
            yield "another metric", rebuilt(claim, metric="accuracy")
        if spec.get("n") and "n" not in given:
            yield "another n", rebuilt(claim, n=7)
    if claim.kind == "scope":
        yield "no scope", claim.model_copy(update={"kind": claim.spec["check"], "spec": spec})
    if claim.kind in ("ablation", "negative", "faithfulness", "patching") and spec["components"]:
        yield "another component", rebuilt(claim, components=["a9.h9"])
    if claim.kind == "plan_step" and any(r.get("min_prompts", 1) > 1 for r in spec["requires"]):
        few = [{**each, "min_prompts": 1} for each in spec["requires"]]
        if sizes_in(claim.quote.text) or "same prompts" in claim.quote.text:
            yield "on one prompt", rebuilt(claim, requires=few)
    if claim.kind == "attention":
        yield "another head", rebuilt(claim, head="a9.h9")
    if claim.kind == "ablation" and claim.quote.text.count("necessary") and "value" not in given:
        other = "mean" if spec["value"] != "mean" else "zero"
        yield "another value", rebuilt(claim, value=other)
    if claim.kind == "patching" and not spec.get("receivers"):
        turned = "noising" if spec["direction"] == "denoising" else "denoising"
        yield "other direction", rebuilt(claim, direction=turned)
    if claim.kind == "negative":
        fields = ("task", "components", "value", "positions", "metric")
        kept = {name: spec[name] for name in fields}
        yield "the opposite", claim.model_copy(update={"kind": "ablation", "spec": kept})
    if claim.kind == "faithfulness":
        fields = ("task", "components", "value", "positions", "metric")
        kept = {name: spec[name] for name in fields}
        yield (
            "necessary for sufficient",
            claim.model_copy(update={"kind": "ablation", "spec": kept}),
        )


def test_every_mutant_of_every_hand_written_claim_is_caught():
    tried, caught, missed = Counter(), Counter(), []
    for name, bundle, claims in hand_written():
        for position, claim in enumerate(claims):
            for title, mutant in mutants(claim):
                changed = [*claims[:position], mutant, *claims[position + 1 :]]
                try:
                    found = wording_of(bound(changed), bundle)
                except AssertionError:  # refused before: the quote does not state the figure
                    found = {claim.id: ("refused",)}
                tried[title] += 1
                if claim.id in found:
                    caught[title] += 1
                else:
                    missed.append((title, name, claim.id, claim.quote.text, mutant.spec))
    assert not missed, json.dumps(missed, indent=1)
    assert caught == tried
    assert len(tried) >= 12, tried
    assert sum(tried.values()) >= 100


SPEC = {
    "task": "t", "components": ["a1.h3"], "value": "resample", "positions": "all", "metric": "logit_diff",
}  # fmt: skip


def verdicts(tmp_path, text: str, *claims: dict, before: str = "") -> list[tuple[Rule, str]]:
    folder = tmp_path / "b" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "documentation.md").write_text(f"# Report\n\n## Results\n{before}\n{text}\n")
    built = [
        Claim(
            id=f"c-{i}",
            kind=each.get("kind", "ablation"),
            quote=Quote(file="logs/documentation.md", line=5, text=each.get("quote", text)),
            spec=each.get("spec") or {**SPEC, **each.get("fields", {})},
            operationalised=each.get("own", ("positions", "value", "metric")),
        )
        for i, each in enumerate(claims)
    ]
    found = wording_of(bound(built), discover(tmp_path / "b"))
    return [(m.rule, str(m)) for mismatches in found.values() for m in mismatches]


def rules(*args, **kwargs) -> set[Rule]:
    return {rule for rule, _ in verdicts(*args, **kwargs)}


WEAK = {Rule.WEAKENED}
OFF = {Rule.BINDING}
ATTENTION = {"task": "t", "head": "a1.h3", "query": "END", "key": "A"}

CASES = [
    ("Head a1.h3 is necessary.", {}, set()),
    ("a1.h3 is the key head and necessary.", {}, WEAK),
    ("a1.h3 is the key head and necessary.", {"fields": {"special": True}}, set()),
    ("Ablating a1.h3 hurts more than ablating any other head.", {}, WEAK),
    ("Only head a1.h3 matters.", {}, WEAK),
    ("Ablating a1.h3 costs at least 2.5 nats.", {}, WEAK),
    ("Ablating a1.h3 costs at least 2.5 nats.", {"fields": {"min_drop": 2.5}}, set()),
    ("Ablating a1.h3 costs at least 2.5 nats.", {"fields": {"min_drop": 3.5}}, {Rule.NUMBER}),
    ("Ablating a1.h3 costs > 2.5 nats on 100 prompts.", {"fields": {"min_drop": 2.5}}, set()),
    ("a1.h3 and a1.h4 are necessary.", {}, WEAK),
    ("a1.h3 is sufficient, ablating others does nothing harmful.", {}, WEAK),
    ("a1.h3 is necessary on unseen names.", {}, WEAK),
    ("a1.h3 is necessary, regardless of length.", {"fields": {"stratum": "new_lengths"}}, set()),
    ("Zero-ablating a1.h3 hurts.", {}, WEAK),
    ("Ablating a1.h3 improves accuracy.", {"fields": {"metric": "accuracy"}}, WEAK),
    ("Ablating a1.h3 improves accuracy.", {"fields": {"metric": "accuracy", "direction": "helps"}}, set()),
    ("Ablating a1.h3 lowers accuracy.", {}, OFF),
    ("Ablating a1.h3 does not change accuracy.", {"fields": {"metric": "accuracy"}}, OFF),
    ("Ablating L1H3 hurts.", {}, set()),
    ("Ablating head 1.3 hurts.", {}, set()),
    ("Ablating layer-1 head 3 hurts.", {}, set()),
    ("Ablating a1.h4 hurts.", {}, OFF | WEAK),
    ("Ablating it hurts.", {}, OFF),
    ("All heads are necessary.", {}, WEAK),
    ("All heads are necessary.", {"fields": {"components": ["a0.h0", "a0.h1"]}}, set()),
    ("The weather in layer one is fine for a1.h3.", {}, OFF),
    ("a1.h3 causes the answer: it attends to A.", {"kind": "attention", "spec": ATTENTION}, WEAK),
    ("a1.h3 attends to A.", {"kind": "attention", "spec": ATTENTION}, set()),
    ("a1.h3 attends to A with mass above 0.9.", {"kind": "attention", "spec": ATTENTION}, WEAK),
    ("a1.h3 attends to A with mass 0.9.", {"kind": "attention", "spec": {**ATTENTION, "min_mass": 0.1}, "own": ("min_mass",)}, WEAK),
    ("a1.h3 has no causal effect.", {"kind": "negative"}, set()),
    ("a1.h3 has an effect of 2 nats.", {"kind": "negative"}, OFF),
]  # fmt: skip


@pytest.mark.parametrize(("text", "claim", "expected"), CASES)
def test_sentences_and_specs_side_by_side(tmp_path, text, claim, expected):
    assert rules(tmp_path, text, claim) == expected


def test_what_one_claim_leaves_out_another_may_test(tmp_path):
    text = "a1.h3 is the key head and a1.h4 is necessary too."
    whole = {"fields": {"components": ["a1.h3"], "special": True}}
    other = {"fields": {"components": ["a1.h4"]}}
    assert rules(tmp_path, text, whole) == WEAK
    assert rules(tmp_path, text, whole, other) == set()


def test_it_is_what_the_lines_before_named(tmp_path):
    assert rules(tmp_path, "Ablating it hurts.", {}, before="a1.h3 copies.") == set()
    assert rules(tmp_path, "Ablating it hurts.", {}, before="a1.h4 copies.") == OFF


def number(text, metric, **fields):
    spec = {"task": "t", "number": text, "quantity": "score", "metric": metric, **fields}
    return {"kind": "reported_number", "spec": spec, "own": ()}


SENTENCE = "The model reaches accuracy 0.969 and a mean margin of 0.397."


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (number("0.969", "accuracy"), set()),
        (number("0.397", "logit_diff"), set()),
        (number("0.397", "accuracy"), OFF),
        (number("0.969", "logit_diff"), OFF),
        (number("0.969", "loss"), OFF),
    ],
)
def test_a_number_cannot_be_bound_to_another_metric_of_its_sentence(tmp_path, claim, expected):
    assert rules(tmp_path, SENTENCE, claim) == expected


def test_a_difference_is_no_level(tmp_path):
    edit = {"components": ["a1.h3"], "value": "zero"}
    text = "Zeroing a1.h3 lowers accuracy by 0.4."
    assert rules(tmp_path, text, number("0.4", "accuracy", **edit)) == OFF
    assert (
        rules(tmp_path, text, number("0.4", "accuracy", **{**edit, "quantity": "damage"})) == set()
    )
    text = "Zeroing a1.h3 lowers accuracy to 0.4."
    assert rules(tmp_path, text, number("0.4", "accuracy", **edit)) == set()


def test_a_sample_size_must_stand_somewhere_in_the_document(tmp_path):
    claim = number("0.969", "accuracy", n=64)
    assert rules(tmp_path, SENTENCE, claim) == {Rule.NUMBER}
    assert rules(tmp_path, SENTENCE, claim, before="We used 64 prompts.") == set()


def test_text_shows_both_sides(tmp_path):
    ((_, text),) = verdicts(tmp_path, "a1.h3 is the key head and necessary.", {})
    assert text == (
        "weakened: the quote says 'key head', "
        "the spec has no comparison with other components (special: false)"
    )


@pytest.mark.parametrize("noun", ["lists", "strings", "problems", "random lists", "prompts"])
def test_sample_sizes_are_known_by_what_they_count(noun):
    assert sizes_in(f"an accuracy of 0.98 on 1,000 {noun}, with 2 heads") == (1000.0,)
