"""Plan step: what the plan says would be done was really done by the bundle's own run.

Question: does the runtime ledger of the bundle's script hold the events that the plan step needs?
Null: at least one required event never happened, or only in name.
Statistic: exact predicates over ledger rows: sites, heads, what was written, how many different prompts; a hook that changes nothing is a read.
Blind spots: testimony (T1), never evidence about the model; interventions computed without hooks, submodules or parameters leave no row; weights that are read need not be those that run; a step may be done and still be wrong.
Source: METHODS 7.1 (predicates), 7.3 K01.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.ran import Facts
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep

EDIT_KINDS = {
    "zero": ("zero",),
    "mean": ("mean",),
    "resample": ("copy", "permuted"),
}
"""Ledger words for what a hook wrote, by ablation value; `any` accepts every change."""
EVENT_KINDS = {"patch": ("copy", "permuted"), "steer": ("added",)}
"""Ledger words that an event needs when the step does not say the value."""


class Requirement(Spec):
    """One thing the ledger must show."""

    event: Literal["ablate", "patch", "steer", "edit", "read", "forward", "seed", "load"]
    """`ablate`, `patch`, `steer`: a hook that changed the activation; `edit`: one that wrote whatever
    it wrote (a path patch adds a sum that has no name); `read`: one that looked at it; `load`: weights
    that were read."""
    sites: tuple[str, ...] = ()
    """Module paths or hook names, whole or their last parts; empty: anywhere."""
    heads: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Heads that must have been changed there; empty: any."""
    value: Literal["zero", "mean", "resample", "any"] = "any"
    """What must have been written."""
    min_prompts: Annotated[int, Field(ge=1)] = 1
    """Different prompts (input rows) on which it must have happened."""
    source: str = ""
    """For `load`: file of the bundle, or hub name, that the weights must come from; empty: any."""

    @model_validator(mode="after")
    def _source_is_of_a_load(self) -> Self:
        if self.source and self.event != "load":
            raise ValueError(f"source: only for event load, not for {self.event}")
        return self


class PlanStepSpec(Spec):
    """What a plan step must say before it can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that carries the step out, relative to the bundle."""
    requires: Annotated[tuple[Requirement, ...], Field(min_length=1)]
    """All of these must have happened in its run."""


def plan(spec: PlanStepSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """One run."""
    return (ran.run_of(spec.entry),)


def decide(spec: PlanStepSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """Every requirement against the ledger; no row, no credit."""
    needed = f"in the run of {spec.entry}: {'; '.join(_words(each) for each in spec.requires)}"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    facts = evidence[ran.run_of(spec.entry)].facts
    if forgery := ran.forged(facts, needed):
        return forgery
    findings = [(requirement, *_met(requirement, facts)) for requirement in spec.requires]
    open_ones = [(code, said) for _, code, said in findings if code]
    measured = "; ".join(said for _, _, said in findings)
    if not open_ones:
        return Decision(Verdict.SUPPORTED, "", measured, needed, Rung.L0)
    if ran.crashed(facts):
        measured = f"{measured}; {ran.ending(facts)}"
    elif why := ran.blind(facts, "edit", "forward", "inputs", "load"):
        return Decision(Verdict.INCONCLUSIVE, "not observed", f"{measured}; {why}", needed, Rung.L0)
    return Decision(Verdict.REFUTED, open_ones[0][0], measured, needed, Rung.L0)


def _met(requirement: Requirement, facts: Facts) -> tuple[str, str]:
    """Short reason (empty when met) and one sentence on what the ledger shows."""
    match requirement.event:
        case "forward":
            return _enough(int(facts["prompts"]), requirement, "the model ran on")
        case "seed":
            count = int(facts["seeds"])
            return ("" if count else "not run", f"{count} random generators were seeded")
        case "load":
            return _loaded(requirement, facts)
        case "read":
            rows = ran.at_sites([*facts["reads"], *facts["edits"]], requirement.sites)
            return _enough(_prompts(rows), requirement, "activations were read on")
        case "ablate" | "patch" | "steer" | "edit":
            return _edited(requirement, facts)


def _loaded(requirement: Requirement, facts: Facts) -> tuple[str, str]:
    loads = list(facts["loads"])
    if not loads:
        return "not run", "no weights were loaded"
    fitting = [row for row in loads if requirement.source in ("", row["source"])]
    row = (fitting or loads)[0]
    said = f"weights came from {row['source']}{ran.placed(row)}"
    return ("", said) if fitting else ("other weights", said)


def _edited(requirement: Requirement, facts: Facts) -> tuple[str, str]:
    at_site = ran.at_sites(facts["edits"], requirement.sites)
    kinds = EDIT_KINDS.get(requirement.value, EVENT_KINDS.get(requirement.event, ()))
    fitting = [row for row in at_site if not kinds or row["kind"] in kinds]
    if fitting and ran.covers(_heads(fitting), requirement.heads):
        done = f"{fitting[0]['kind']} was written{ran.placed(fitting[0])} on"
        return _enough(_on_each_head(fitting, requirement.heads), requirement, done)
    if at_site and ran.covers(_heads(at_site), requirement.heads):
        found = ", ".join(sorted({str(row["kind"]) for row in at_site}))
        return "another value", f"the hook wrote {found}{ran.placed(at_site[0])}"
    if at_site:
        found = _heads(at_site) or "that the ledger could not tell"
        return "other heads", f"only heads {found} were changed{ran.placed(at_site[0])}"
    if elsewhere := list(facts["edits"]):
        found = ", ".join(sorted({str(row["site"]) for row in elsewhere})[:3])
        return "another site", f"only {found} was changed{ran.placed(elsewhere[0])}"
    reads = ran.at_sites(facts["reads"], requirement.sites)
    if reads:
        return "changed nothing", f"a hook ran{ran.placed(reads[0])} and changed nothing"
    if facts["idle_hooks"]:
        return "not run", f"a hook on {facts['idle_hooks'][0]} was registered and never called"
    return "not run", "no hook changed any activation"


def _enough(prompts: int, requirement: Requirement, done: str) -> tuple[str, str]:
    said = f"{done} {prompts} different prompts"
    return ("" if prompts >= requirement.min_prompts else "too few prompts", said)


def _heads(rows: list[Any]) -> str:
    every = {str(row["heads"]) for row in rows}
    return "all" if "all" in every else ",".join(sorted(every - {""}))


def _on_each_head(rows: list[Any], heads: tuple[int, ...]) -> int:
    """Different prompts on which each of the heads was changed, the fewest over heads."""
    if not heads:
        return _prompts(rows)
    return min(
        _prompts([row for row in rows if ran.covers(str(row["heads"]), [head])]) for head in heads
    )


def _prompts(rows: list[Any]) -> int:
    return max((int(row["prompts"]) for row in rows), default=0)


def _words(requirement: Requirement) -> str:
    if requirement.event == "load":
        return f"load weights from {requirement.source or 'any file'}"
    value = "" if requirement.value == "any" else f" ({requirement.value})"
    heads = f" heads {', '.join(map(str, requirement.heads))}" if requirement.heads else ""
    sites = f" at {', '.join(requirement.sites)}" if requirement.sites else ""
    return f"{requirement.event}{value}{heads}{sites} on {requirement.min_prompts} or more prompts"


def refuted_by(spec: PlanStepSpec) -> str:
    """What would refute it."""
    return f"a complete ledger without: {'; '.join(_words(each) for each in spec.requires)}"


_SPEC = PlanStepSpec(
    entry="run.py",
    requires=(
        Requirement(event="ablate", sites=("attn.o",), heads=(2,), value="zero", min_prompts=100),
    ),
)
_ROW = {
    "site": "blocks.0.attn.o",
    "kind": "zero",
    "heads": "2",
    "prompts": 128,
    "calls": 2,
    "places": ["run.py:31"],
}
_LOADED = PlanStepSpec(
    entry="run.py", requires=(Requirement(event="load", source="checkpoints/final.pt"),)
)
_READ = {"site": "blocks.0.attn.o", "prompts": 128, "place": "run.py:31"}


def _worked(title: str, verdict: Verdict, spec: PlanStepSpec = _SPEC, **facts: object) -> Example:
    return rerun_example(title, spec, plan, verdict, facts)


def _from(source: str) -> list[dict[str, str]]:
    return [{"source": source, "place": "run.py:12"}]


CHECK = Check(
    kind="plan_step",
    dimension=Dimension.COHERENCE,
    rung=Rung.L0,
    spec=PlanStepSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    needs_model=False,
    doc=__doc__,
    examples=(
        _worked("it was done", Verdict.SUPPORTED, edits=[_ROW]),
        _worked("never done", Verdict.REFUTED),
        _worked("registered, never called", Verdict.REFUTED, idle_hooks=["blocks.0.attn.o"]),
        _worked("a hook that changes nothing", Verdict.REFUTED, reads=[_READ]),
        _worked("another head", Verdict.REFUTED, edits=[{**_ROW, "heads": "1"}]),
        _worked(
            "one head after the other",
            Verdict.SUPPORTED,
            edits=[{**_ROW, "heads": "0-1"}, _ROW],
        ),
        _worked("another site", Verdict.REFUTED, edits=[{**_ROW, "site": "blocks.0.mlp"}]),
        _worked("another value", Verdict.REFUTED, edits=[{**_ROW, "kind": "mean"}]),
        _worked("on too few prompts", Verdict.REFUTED, edits=[{**_ROW, "prompts": 8}]),
        _worked(
            "the stated weights", Verdict.SUPPORTED, _LOADED, loads=_from("checkpoints/final.pt")
        ),
        _worked("other weights", Verdict.REFUTED, _LOADED, loads=_from("checkpoints/step_200.pt")),
        _worked("no weights at all", Verdict.REFUTED, _LOADED),
        _worked("not all was seen", Verdict.INCONCLUSIVE, standing="incomplete"),
        _worked("it wrote into the ledger itself", Verdict.REFUTED, standing="forged"),
    ),
)
