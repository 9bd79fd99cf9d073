"""Plan step: what the plan says would be done was really done by the bundle's own run.

Question: does the runtime ledger of the bundle's script hold the events that the plan step needs?
Null: at least one required event never happened, or only in name.
Statistic: exact predicates over ledger rows: sites, heads, what was written, how many different prompts; a hook that changes nothing is a read; edits after which every output equals the unedited one are INCONCLUSIVE.
Blind spots: testimony (T1), never evidence about the model; interventions computed without hooks, submodules or parameters leave no row; an edit of any size, at any position, counts where the step names neither value nor positions; weights that are read need not be those that run; an edit that a second one undoes shows only where the same prompts ran without it; a step may be done and still be wrong.
Source: METHODS 7.1 (predicates), 7.3 K01, K06.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pytest_mecheval.bundle.subject import RelativePath
from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.deviation import (
    VALUE_WORDS,
    Finding,
    discloses,
    last_part,
    numbers_named,
    ran_before,
)
from pytest_mecheval.checks.ran import Facts, ranges
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep, Prose

EDIT_KINDS = {
    "zero": ("zero",),
    "mean": ("mean",),
    "resample": ("copy", "permuted"),
}
"""Ledger words for what a hook wrote, by ablation value; `any` accepts every change."""
EVENT_KINDS = {"patch": ("copy", "permuted"), "steer": ("added",)}
"""Ledger words that an event needs when the step does not say the value."""
EDITING = ("ablate", "patch", "steer", "edit")
"""Events in which an activation is changed."""
RELAXED: Mapping[str, Mapping[str, Any]] = {
    "another value": {"value": "any", "event": "ablate"},
    "other heads": {"heads": ()},
    "another site": {"sites": (), "heads": ()},
    "other positions": {"positions": None},
    "too few prompts": {"min_prompts": 1},
}
"""What a requirement no longer asks for once the report names that deviation; what never ran has none."""


UNTOLD = "not observed"  # the event is on record, but not what the step asks about it


class Disclosure(Spec):
    """Where the report owns up to a deviation."""

    file: RelativePath
    """Document of the bundle."""
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    """Verbatim; it must name what was really done: the count, value, head or position."""


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
    positions: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Token positions that must have been changed, and no others; absent: any."""
    disclosed: Disclosure | None = None
    """Sentence of the report that names what was done instead; then the deviation is no failure."""

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
    keep: tuple[RelativePath, ...] = ()
    """Stored results (files under results/) that it is meant to read; all others are left out."""
    written_in: str = ""
    """Where the plan's text comes from, when the run itself could have written it: a file (`logs/plan.md`) or a notebook cell (`analysis.ipynb:cell5`); it must come before the events it plans."""


def plan(spec: PlanStepSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """One run, and where the report owns up to deviations."""
    told = (_prose(each.disclosed) for each in spec.requires if each.disclosed)
    return (ran.run_of(spec.entry, keep=spec.keep), *dict.fromkeys(told))


def decide(spec: PlanStepSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """Every requirement against the ledger; no row, no credit; deviations are named."""
    needed = f"in the run of {spec.entry}: {'; '.join(_words(each) for each in spec.requires)}"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    facts = evidence[ran.run_of(spec.entry, keep=spec.keep)].facts
    if forgery := ran.forged(facts, needed):
        return forgery
    findings = [_judged(requirement, facts, evidence) for requirement in spec.requires]
    open_ones = [finding for finding, _ in findings if finding.code]
    notes = tuple(note for _, told in findings for note in told)
    measured = "; ".join(finding.said for finding, _ in findings)
    edits = any(each.event in EDITING for each in spec.requires)
    early, certain = ran_before(spec.written_in, facts, edits=edits)
    if not open_ones and early:
        when = "" if certain else "perhaps "
        measured = f"{measured}; but {early} ran {when}before {spec.written_in} was written"
        verdict = Verdict.REFUTED if certain else Verdict.INCONCLUSIVE
        return Decision(verdict, "plan written after", measured, needed, Rung.L0)
    if not open_ones:
        return Decision(Verdict.SUPPORTED, "", measured, needed, Rung.L0, notes=notes)
    first = next((each for each in open_ones if each.code != UNTOLD), open_ones[0])
    if first.code == UNTOLD:
        return Decision(Verdict.INCONCLUSIVE, UNTOLD, measured, needed, Rung.L0, notes=notes)
    if first.planned:
        measured = f"{measured}: planned {first.planned}, done {first.actual}"
    if ran.crashed(facts):
        measured = f"{measured}; {ran.ending(facts)}"
    elif why := ran.blind(facts, "edit", "forward", "inputs", "load"):
        return Decision(Verdict.INCONCLUSIVE, "not observed", f"{measured}; {why}", needed, Rung.L0)
    return Decision(Verdict.REFUTED, first.code, measured, needed, Rung.L0, notes=notes)


def _judged(
    requirement: Requirement, facts: Facts, evidence: Evidence
) -> tuple[Finding, tuple[str, ...]]:
    """The finding, with deviations set aside that the report names; and a note on each of those."""
    finding = _met(requirement, facts)
    told = requirement.disclosed
    if told is None:
        return finding, ()
    if not evidence[_prose(told)].facts["paragraphs"]:
        return finding, (f"the disclosure does not stand in {told.file}",) if finding.code else ()
    notes = []
    relaxed = requirement
    # One sentence may name several deviations; what it does not name stays one.
    while finding.code in RELAXED and discloses(told.text, finding):
        notes.append(
            f"deviation disclosed in {told.file}: planned {finding.planned}, done {finding.actual}"
        )
        relaxed = relaxed.model_copy(update=RELAXED[finding.code])
        finding = _met(relaxed, facts)
    return finding, tuple(notes)


def _prose(told: Disclosure) -> PlanStep:
    return ran.step_for(Prose(told.file, told.text))


def _met(requirement: Requirement, facts: Facts) -> Finding:
    """What the ledger shows of a requirement."""
    match requirement.event:
        case "forward":
            return _enough(int(facts["prompts"]), requirement, "the model ran on")
        case "seed":
            if chance := facts["unseeded"]:
                return Finding("not run", f"a generator got its seed by chance at {chance[0]}")
            count = int(facts["seeds"])
            return Finding("" if count else "not run", f"{count} random generators were seeded")
        case "load":
            return _loaded(requirement, facts)
        case "read":
            rows = ran.at_sites([*facts["reads"], *facts["edits"]], requirement.sites)
            return _enough(ran.prompts_on(rows), requirement, "activations were read on")
        case "ablate" | "patch" | "steer" | "edit":
            return _edited(requirement, facts)


def _loaded(requirement: Requirement, facts: Facts) -> Finding:
    loads = list(facts["loads"])
    if not loads:
        return Finding("not run", "no weights were loaded")
    fitting = [row for row in loads if requirement.source in ("", row["source"])]
    row = (fitting or loads)[0]
    said = f"weights came from {row['source']}{ran.placed(row)}"
    return Finding("" if fitting else "other weights", said)


def _edited(requirement: Requirement, facts: Facts) -> Finding:
    at_site = ran.at_sites(facts["edits"], requirement.sites)
    kinds = EDIT_KINDS.get(requirement.value, EVENT_KINDS.get(requirement.event, ()))
    fitting = [row for row in at_site if not kinds or row["kind"] in kinds]
    if fitting and all(row.get("unreached") for row in fitting):
        said = f"{fitting[0]['kind']} was written{ran.placed(fitting[0])}, and {ran.UNREACHED}"
        return Finding(UNTOLD, said)
    if fitting and ran.covers(ran.heads_in(fitting), requirement.heads):
        if (finding := _elsewhere(requirement, fitting)) is not None:
            return finding
        done = f"{fitting[0]['kind']} was written{ran.placed(fitting[0])} on"
        return _enough(ran.prompts_on(fitting, requirement.heads), requirement, done)
    if at_site and ran.covers(ran.heads_in(at_site), requirement.heads):
        written = sorted({str(row["kind"]) for row in at_site})
        return Finding(
            "another value",
            f"the hook wrote {', '.join(written)}{ran.placed(at_site[0])}",
            requirement.value if requirement.value != "any" else requirement.event,
            ", ".join(written),
            tuple(VALUE_WORDS.get(word, (word,)) for word in written),
        )
    if at_site:
        found = ran.heads_in(at_site) or "that the ledger could not tell"
        return Finding(
            "other heads",
            f"only heads {found} were changed{ran.placed(at_site[0])}",
            f"heads {', '.join(map(str, requirement.heads))}",
            f"heads {found}",
            numbers_named(ran.heads_in(at_site)),
        )
    if elsewhere := list(facts["edits"]):
        sites = sorted({str(row["site"]) for row in elsewhere})[:3]
        return Finding(
            "another site",
            f"only {', '.join(sites)} was changed{ran.placed(elsewhere[0])}",
            " or ".join(requirement.sites),
            ", ".join(sites),
            tuple((last_part(site),) for site in sites),
        )
    reads = ran.at_sites(facts["reads"], requirement.sites)
    if reads:
        # The hook that was meant to edit hands a value back; a reader beside it is beside the point.
        row = max(reads, key=lambda read: bool(read.get("handed_back")))
        done = "handed back what it was given" if row.get("handed_back") else "only read"
        said = f"a hook ran{ran.placed(row)} and {done}: it changed nothing"
        return Finding("changed nothing", said)
    if facts["idle_hooks"]:
        said = f"a hook on {facts['idle_hooks'][0]} was registered and never called"
        return Finding("not run", said)
    return Finding("not run", "no hook changed any activation")


def _elsewhere(requirement: Requirement, rows: list[Any]) -> Finding | None:
    """Changed positions other than the planned ones; None when they agree or none are planned."""
    if requirement.positions is None:
        return None
    changed = sorted({str(each) for row in rows for each in row["positions"]})
    inside = set(requirement.positions)
    within = all(each != "all" and ran.numbers_in(each) <= inside for each in changed)
    if within and "" not in changed and any(ran.covers(one, [*inside]) for one in changed):
        return None
    shown = "; ".join(each or "that the ledger could not tell" for each in changed)
    if "" in changed and within:
        return Finding(UNTOLD, f"positions {shown} were changed{ran.placed(rows[0])}")
    return Finding(
        "other positions",
        f"positions {shown} were changed{ran.placed(rows[0])}",
        f"positions {ranges(requirement.positions)}",
        f"positions {shown}",
        tuple(group for each in changed for group in numbers_named(each)),
    )


def _enough(prompts: int, requirement: Requirement, done: str) -> Finding:
    said = f"{done} {prompts} different prompts"
    if prompts >= requirement.min_prompts:
        return Finding("", said)
    if not prompts:
        return Finding("too few prompts", said)
    planned = f"{requirement.min_prompts} prompts"
    return Finding("too few prompts", said, planned, f"{prompts} prompts", ((str(prompts),),))


def _words(requirement: Requirement) -> str:
    if requirement.event == "load":
        return f"load weights from {requirement.source or 'any file'}"
    value = "" if requirement.value == "any" else f" ({requirement.value})"
    heads = f" heads {', '.join(map(str, requirement.heads))}" if requirement.heads else ""
    sites = f" at {', '.join(requirement.sites)}" if requirement.sites else ""
    if requirement.positions is not None:
        sites += f" positions {ranges(requirement.positions)}"
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
_ROW: dict[str, Any] = {
    "site": "blocks.0.attn.o",
    "kind": "zero",
    "heads": "2",
    "prompts": 128,
    "calls": 2,
    "places": ["run.py:31"],
    "positions": ["all"],
}
_LOADED = PlanStepSpec(
    entry="run.py", requires=(Requirement(event="load", source="checkpoints/final.pt"),)
)
_READ = {"site": "blocks.0.attn.o", "prompts": 128, "place": "run.py:31"}
_SEEDED = PlanStepSpec(entry="run.py", requires=(Requirement(event="seed"),))


def _worked(title: str, verdict: Verdict, spec: PlanStepSpec = _SPEC, **facts: object) -> Example:
    return rerun_example(title, spec, plan, verdict, facts)


def _from(source: str) -> list[dict[str, str]]:
    return [{"source": source, "place": "run.py:12"}]


def _told(title: str, verdict: Verdict, text: str, **facts: object) -> Example:
    told = Disclosure(file="logs/documentation.md", text=text)
    requires = (_SPEC.requires[0].model_copy(update={"disclosed": told}),)
    spec = _SPEC.model_copy(update={"requires": requires})
    return rerun_example(title, spec, plan, verdict, facts, {"paragraphs": [{"text": text}]})


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
        _worked(
            "a second hook put it back", Verdict.INCONCLUSIVE, edits=[{**_ROW, "unreached": True}]
        ),
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
        _told(
            "another value, and the report says so",
            Verdict.SUPPORTED,
            "We mean-ablated head 2 instead.",
            edits=[{**_ROW, "kind": "mean"}],
        ),
        _told(
            "another value and fewer prompts, and the report names one",
            Verdict.REFUTED,
            "We mean-ablated head 2 instead.",
            edits=[{**_ROW, "kind": "mean", "prompts": 8}],
        ),
        _told("never done, whatever the report says", Verdict.REFUTED, "Head 2 was not ablated."),
        _worked("a seed off the clock", Verdict.REFUTED, _SEEDED, unseeded=["run.py:31"]),
        _worked("not all was seen", Verdict.INCONCLUSIVE, standing="incomplete"),
        _worked("it wrote into the ledger itself", Verdict.REFUTED, standing="forged"),
    ),
)
