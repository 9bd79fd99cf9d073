from pytest_mecheval.checks.binding import bind
from pytest_mecheval.checks.worked import SUBJECT
from pytest_mecheval.claims.model import Claim

QUOTE = {"file": "logs/documentation.md", "line": 3, "text": "Head 1.1 matters"}
SPEC = {
    "task": "repeated",
    "components": ["L1H1"],
    "value": "resample",
    "positions": "all",
    "metric": "logit_diff",
}


def claim(kind="ablation", name="copy-head", **spec):
    fields = {"id": name, "kind": kind, "quote": QUOTE, "spec": spec or SPEC}
    return Claim.model_validate(fields)


def problems(*claims):
    return bind(claims, SUBJECT.shape, SUBJECT.tasks)[1]


def test_names_are_normalised_and_the_plan_is_drawn():
    (bound,), found = bind([claim()], SUBJECT.shape, SUBJECT.tasks)
    assert not found
    assert bound.spec.components == ("a1.h1",)
    assert len(bound.steps) == len(set(bound.steps)) > 8
    assert bound.refuted_by


def test_claimed_components_of_all_claims_are_kept_out_of_the_controls():
    other = claim(
        "ranking",
        "order",
        task="repeated",
        order=["a0.h2", "a0.h1"],
        among="listed",
        value="resample",
        positions="all",
        metric="logit_diff",
    )
    bound, found = bind([claim(), other], SUBJECT.shape, SUBJECT.tasks)
    assert not found
    assert {str(c) for c in bound[0].subject.claimed} == {"a1.h1", "a0.h2"}
    edited = {
        n
        for s in bound[0].steps
        if s.probe.type == "run"
        for n in s.probe.intervention.components
        if len(s.probe.intervention.components) == 1
    }
    assert edited == {"a1.h1", "a0.h0", "a0.h1", "a0.h3", "a1.h0", "a1.h2", "a1.h3"}


def test_every_problem_is_reported_at_once_with_the_closest_name():
    misspelt = {**SPEC, "componets": ["a1.h1"]}
    del misspelt["components"]
    found = problems(
        claim("ablaton", "a"),
        claim(name="b", **misspelt),
        claim(name="c", **{**SPEC, "task": "repeat"}),
        claim(name="d", **{**SPEC, "positions": "EMD"}),
        claim(name="e", **{**SPEC, "components": ["head seven"]}),
        claim(name="f", **{**SPEC, "value": "shuffle"}),
        claim(name="g", **{**SPEC, "stratum": "new_names"}),
    )
    text = "\n".join(found)
    assert "claim 'a': unknown kind 'ablaton' (closest: ablation)" in text
    assert "claim 'b': unknown field 'componets' (closest: components)" in text
    assert "missing field 'components'" not in text  # it is there, misspelt
    assert "claim 'c': unknown task 'repeat' (known: repeated)" in text
    assert (
        "claim 'd': task 'repeated' has no position 'EMD' (known: all, END, INDUCTION_TARGET)"
        in text
    )
    assert (
        "claim 'e': field 'components[0]': unknown component 'head seven' (allowed: a1.h6 (head)"
        in text
    )
    assert "claim 'f': field 'value'" in text
    assert "claim 'g': task 'repeated' has no stratum 'new_names' (known: fresh," in text


def test_a_path_must_lead_forward():
    spec = {
        "task": "repeated",
        "components": ["a1.h1"],
        "receivers": ["a0.h2.k"],
        "direction": "noising",
        "positions": "all",
        "metric": "logit_diff",
    }
    (problem,) = problems(claim("patching", **spec))
    assert problem == "claim 'copy-head': receiver a0.h2.k does not come after every sender (a1.h1)"


def test_component_that_does_not_exist_is_no_usage_error():
    bound, found = bind([claim(**{**SPEC, "components": ["a7.h7"]})], SUBJECT.shape, SUBJECT.tasks)
    assert not found
    assert bound[0].steps == ()
