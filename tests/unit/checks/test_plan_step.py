import numpy as np
import pytest
from pydantic import ValidationError

from pytest_mecheval.checks.kinds.plan_step import CHECK, PlanStepSpec
from pytest_mecheval.checks.ran import run_of
from pytest_mecheval.checks.worked import SUBJECT, ran_facts
from pytest_mecheval.evidence.measurement import Evidence, Measurement
from pytest_mecheval.vocabulary import Verdict


def row(heads, prompts=128, kind="zero", site="blocks.0.attn.o.input"):
    return {"site": site, "kind": kind, "heads": heads, "prompts": prompts, "places": ["run.py:3"]}


def decide(requirement, **facts):
    spec = PlanStepSpec.model_validate({"entry": "run.py", "requires": [requirement]})
    evidence = Evidence({run_of("run.py"): Measurement(np.empty(0), facts=ran_facts(**facts))})
    return CHECK.decide(spec, SUBJECT, evidence)


EVERY_HEAD = {"event": "ablate", "sites": ["attn.o"], "heads": [0, 1, 2, 3], "min_prompts": 100}


def test_heads_may_be_changed_one_after_the_other():
    one_by_one = [row(str(head)) for head in range(4)]
    assert decide(EVERY_HEAD, edits=one_by_one).verdict is Verdict.SUPPORTED
    lacking = decide(EVERY_HEAD, edits=one_by_one[:3])
    assert (lacking.verdict, lacking.code) == (Verdict.REFUTED, "other heads")


def test_the_head_with_the_fewest_prompts_counts():
    edits = [row("0-2"), row("3", prompts=8)]
    decision = decide(EVERY_HEAD, edits=edits)
    assert (decision.verdict, decision.code) == (Verdict.REFUTED, "too few prompts")


def test_input_or_output_of_a_site_need_not_be_said_but_may_be():
    for sites in (["attn.o"], ["blocks.0.attn.o"], ["blocks.0.attn.o.input"]):
        wanted = {"event": "ablate", "sites": sites}
        assert decide(wanted, edits=[row("1")]).verdict is Verdict.SUPPORTED
    for sites in (["attn.v"], ["n.o"], ["blocks.0.attn.o.output"]):
        wanted = {"event": "ablate", "sites": sites}
        assert decide(wanted, edits=[row("1")]).code == "another site"


def test_patching_needs_an_activation_of_another_run():
    wanted = {"event": "patch", "sites": ["attn.o"]}
    assert decide(wanted, edits=[row("1", kind="copy")]).verdict is Verdict.SUPPORTED
    assert decide(wanted, edits=[row("1", kind="zero")]).code == "another value"


def test_a_path_patch_writes_what_has_no_name():
    rows = [row("3", kind="other", site="blocks.1.attn.k.hook_out")]
    wanted = {"sites": ["blocks.1.attn.k.hook_out"], "heads": [3]}
    assert decide({"event": "edit", **wanted}, edits=rows).verdict is Verdict.SUPPORTED
    assert decide({"event": "patch", **wanted}, edits=rows).code == "another value"
    assert decide({"event": "edit", **wanted}).code == "not run"


def test_weights_must_come_from_the_stated_file():
    wanted = {"event": "load", "source": "final.pt"}
    loads = [{"source": name, "place": "run.py:4"} for name in ("step_1.pt", "final.pt")]
    assert decide(wanted, loads=loads).verdict is Verdict.SUPPORTED
    other = decide(wanted, loads=loads[:1])
    assert (other.verdict, other.code) == (Verdict.REFUTED, "other weights")
    assert "step_1.pt at run.py:4" in other.measured
    assert decide(wanted).code == "not run"
    assert decide({"event": "load"}, loads=loads[:1]).verdict is Verdict.SUPPORTED
    assert decide(wanted, truncated=["load"]).verdict is Verdict.INCONCLUSIVE


def test_only_a_load_has_a_source():
    with pytest.raises(ValidationError, match="source: only for event load, not for seed"):
        decide({"event": "seed", "source": "final.pt"})


def test_a_forged_ledger_refutes_whatever_it_shows():
    decision = decide(EVERY_HEAD, edits=[row("all")], standing="forged", problems=["row 7"])
    assert (decision.verdict, decision.code) == (Verdict.REFUTED, "tampered")


def test_the_hook_that_hands_a_value_back_is_named_before_one_that_reads():
    site = {"site": "blocks.0.attn.o.input", "prompts": 128}
    reads = [
        {**site, "place": "run.py:3 cache", "handed_back": False},
        {**site, "place": "run.py:9 ablate", "handed_back": True},
    ]
    decision = decide(EVERY_HEAD, reads=reads)
    assert decision.code == "changed nothing"
    assert "run.py:9 ablate" in decision.measured


def test_a_run_that_differs_when_watched_supports_nothing():
    watched = {"differences": ["stdout, token 2: 2.493 traced, 3.187 plain"]}
    decision = decide(EVERY_HEAD, edits=[row("all")], watched=watched)
    assert (decision.verdict, decision.code) == (Verdict.REFUTED, "differs when watched")
    assert "3.187" in decision.measured


def test_absence_is_open_where_most_of_the_computing_was_not_seen():
    assert decide(EVERY_HEAD, unobserved_share=0.6).verdict is Verdict.REFUTED
    decision = decide(EVERY_HEAD, unobserved_share=0.97)
    assert (decision.verdict, decision.code) == (Verdict.INCONCLUSIVE, "not observed")
    assert "97%" in decision.measured
    assert (
        decide(EVERY_HEAD, edits=[row("all")], unobserved_share=0.97).verdict is Verdict.SUPPORTED
    )
