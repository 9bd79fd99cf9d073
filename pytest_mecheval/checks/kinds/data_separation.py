"""Data separation: the prompts that chose the components are not the prompts that judge them.

Question: do the prompts of the selection phase and those of the evaluation phase share no input?
Null: at least one input row was fed to the model in both phases.
Statistic: exact: hashes of input rows in the runtime ledger, by the places in the code (or the file written between) that tell the phases apart; share = common rows over evaluation rows.
Blind spots: testimony (T1); prompts that differ in one token count as different; rows chosen without running the model (from stored scores), or scored once for both phases, leave no trace; small input spaces overlap by chance and count all the same.
Source: METHODS 7.3 K04; Kriegeskorte et al. 2009, doi:10.1038/nn.2303 (circular analysis).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.phases import Phase, phase_of, place
from pytest_mecheval.checks.ran import Facts
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import Code, PlanStep

PlaceName = Annotated[str, AfterValidator(place)]


class DataSeparationSpec(Spec):
    """What a claim of separate data must say before it can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) in which components are selected, relative to the bundle."""
    selection: tuple[PlaceName, ...] = ()
    """Where it selects: `run.py:select_heads`, `run.py:30-45`, `nb.ipynb:cell3`, `before results/heads.json`; empty: the whole script."""
    evaluation: tuple[PlaceName, ...] = ()
    """Where it evaluates, written alike; empty: the whole of `evaluation_entry`."""
    evaluation_entry: str = ""
    """Script that evaluates, when it is another one; empty: the same."""


def plan(spec: DataSeparationSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """The run or runs, and the code that their places are in."""
    runs = dict.fromkeys((spec.entry, spec.evaluation_entry or spec.entry))
    return (*(ran.run_of(entry) for entry in runs), ran.step_for(Code()))


def decide(spec: DataSeparationSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """No input row in both phases, and both phases seen whole."""
    needed = f"no input row that is fed to the model both in {_named(spec)}"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    runs = [
        evidence[ran.run_of(entry)].facts
        for entry in (spec.entry, spec.evaluation_entry or spec.entry)
    ]
    for facts in runs:
        if forgery := ran.forged(facts, needed):
            return forgery
    code = evidence[ran.step_for(Code())].facts
    phases = [
        phase_of(places, facts, code)
        for places, facts in zip((spec.selection, spec.evaluation), runs, strict=True)
    ]
    verdict, reason, measured = _compare(*phases, same_run=not spec.evaluation_entry)
    if verdict is Verdict.SUPPORTED:
        for facts in runs:
            why = ran.ending(facts) if ran.crashed(facts) else ran.blind(facts, "forward", "inputs")
            if not why and not facts["inputs"]["complete"]:
                why = "not every input is on record"
            if why:
                verdict, reason, measured = (
                    Verdict.INCONCLUSIVE,
                    "not observed",
                    f"{measured}; {why}",
                )
                break
    return Decision(verdict, reason, measured, needed, Rung.L0)


def _compare(selection: Phase, evaluation: Phase, *, same_run: bool) -> tuple[Verdict, str, str]:
    for name, phase in (("selection", selection), ("evaluation", evaluation)):
        if phase.missing:
            said = f"nothing: the code or the run has no {', '.join(phase.missing)}"
            return Verdict.NOT_TESTABLE, "phase not found", said
        if not phase.rows:
            why = "; call stacks are deeper than the ledger keeps" if phase.unclear else ""
            return Verdict.INCONCLUSIVE, "phase not run", f"no input was seen in the {name}{why}"
    if same_run and selection.calls & evaluation.calls:
        said = "some forwards lie in both phases as stated, so they cannot be told apart"
        return Verdict.INCONCLUSIVE, "phases not told apart", said
    sizes = f"{len(selection.rows)} rows for selection and {len(evaluation.rows)} for evaluation"
    common = selection.rows & evaluation.rows
    if not common and _may_overlap(selection, evaluation, same_run=same_run):
        said = f"{sizes}; inputs with call stacks deeper than the ledger keeps may be in both"
        return Verdict.INCONCLUSIVE, "not observed", said
    if not common:
        return Verdict.SUPPORTED, "", f"{sizes} share no input"
    share = 100 * len(common) / len(evaluation.rows)
    row = min(common)
    where = f"{selection.origin[row]} and {evaluation.origin[row]}"
    said = f"{sizes} share {len(common)} ({share:.3g}% of the evaluation), such as row {row} at {where}"
    return Verdict.REFUTED, "double dip", said


def _may_overlap(selection: Phase, evaluation: Phase, *, same_run: bool) -> bool:
    """Whether a call of unknown phase fed rows that one of the phases has as well."""
    pairs = ((selection, evaluation), (evaluation, selection))
    return any(
        not (same_run and number in other.calls) and rows & other.rows
        for phase, other in pairs
        for number, rows in phase.unclear.items()
    )


def _named(spec: DataSeparationSpec) -> str:
    selection = ", ".join(spec.selection) or spec.entry
    evaluation = ", ".join(spec.evaluation) or spec.evaluation_entry
    return f"{selection} (selection) and in {evaluation} (evaluation)"


def problems(spec: DataSeparationSpec, _subject: Subject) -> tuple[str, ...]:
    """Phases that cannot differ."""
    if spec.evaluation_entry in ("", spec.entry):
        if not spec.selection or not spec.evaluation:
            return ("one script needs places for both selection and evaluation",)
        if set(spec.selection) & set(spec.evaluation):
            return ("selection and evaluation name the same place",)
    return ()


def refuted_by(spec: DataSeparationSpec) -> str:
    """What would refute it."""
    return f"an input row that is fed to the model both in {_named(spec)}"


_SPEC = DataSeparationSpec(
    entry="run.py", selection=("run.py:select",), evaluation=("run.py:evaluate",)
)
_CODE = {
    "functions": [
        {"place": "run.py:select", "first": 10, "last": 20},
        {"place": "run.py:evaluate", "first": 22, "last": 30},
    ]
}


def _inputs(selection: str, evaluation: str, *, complete: bool = True) -> dict[str, Any]:
    calls = [
        {"stack": ["run.py:5", "run.py:12", "run.py:40"], "written": 0, "rows": selection},
        {"stack": ["run.py:5", "run.py:24", "run.py:41"], "written": 0, "rows": evaluation},
    ]
    rows = [f"{number:012x}" for number in range(256)]
    return {
        "inputs": {
            "rows": rows,
            "complete": complete,
            "writes": [],
            "calls": [call for call in calls if call["rows"]],
        }
    }


def _deep(rows: str) -> dict[str, Any]:
    """As separate phases, with one more call whose outer frames are off record."""
    facts = _inputs("0-63", "64-191")
    stack = ["run.py:5", "run.py:7", "run.py:8", "run.py:9"]
    inputs = dict(facts["inputs"])
    inputs["calls"] = [*inputs["calls"], {"stack": stack, "written": 0, "rows": rows}]
    return {"inputs": inputs}


def _worked(
    title: str, verdict: Verdict, facts: Facts, code: Mapping[str, object] = _CODE
) -> Example:
    return rerun_example(title, _SPEC, plan, verdict, facts, code)


_APART = _inputs("0-63", "64-191")

CHECK = Check(
    kind="data_separation",
    dimension=Dimension.COHERENCE,
    rung=Rung.L0,
    spec=DataSeparationSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    problems=problems,
    needs_model=False,
    functional=False,
    doc=__doc__,
    examples=(
        _worked("other prompts", Verdict.SUPPORTED, _APART),
        _worked("the same prompts", Verdict.REFUTED, _inputs("0-63", "0-63")),
        _worked("one prompt in common", Verdict.REFUTED, _inputs("0-63", "63-191")),
        _worked("never evaluated", Verdict.INCONCLUSIVE, _inputs("0-63", "")),
        _worked("not all is on record", Verdict.INCONCLUSIVE, _inputs("0", "1", complete=False)),
        _worked("a call of unknown phase", Verdict.INCONCLUSIVE, _deep("0-9")),
        _worked("an unknown call with other rows", Verdict.SUPPORTED, _deep("200-210")),
        _worked("no such function", Verdict.NOT_TESTABLE, _APART, {"functions": []}),
        _worked("it crashed on the way", Verdict.INCONCLUSIVE, {**_APART, "exit_code": 1}),
        _worked("the ledger was forged", Verdict.REFUTED, {**_APART, "standing": "forged"}),
    ),
)
