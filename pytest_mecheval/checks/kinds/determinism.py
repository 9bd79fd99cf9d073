"""Determinism: the bundle's script gives the same numbers when it is run again.

Question: do two runs of the same script print and write the same numbers?
Null: at least one number differs between the runs.
Statistic: comparison, place by place and to a relative 1e-6, of what a traced and a plain run print and write; where they differ a second plain run tells chance from code that notices the tracer. At least one number must be there to compare.
Blind spots: same machine, same threads, same interpreter; dates, running times and memory use are left out by their words and units; equal numbers may be equally typed in.
Source: METHODS R07, X05; checklist item RP3 (Bai et al. 2026, arXiv:2602.18458).
"""

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import AS_WATCHED, rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep

MAX_SHOWN = 3
"""Differing numbers named in the text."""


class DeterminismSpec(Spec):
    """What a claim that runs repeat must say before it can be checked."""

    entry: str
    """Script (.py), notebook (.ipynb) or shell script (.sh) of the bundle, with its arguments: `run.py --n 64`."""


def plan(spec: DeterminismSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """The run; it comes with a plain one to compare."""
    return (ran.run_of(spec.entry),)


def decide(spec: DeterminismSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """Equal numbers in both runs, and some to compare."""
    needed = f"two runs of {spec.entry} that end well and give the same numbers"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    facts = evidence[ran.run_of(spec.entry)].facts
    if forgery := ran.forged(facts, needed):
        return forgery
    if ran.crashed(facts):
        measured = f"{spec.entry}: {ran.ending(facts)}"
        return Decision(Verdict.REFUTED, "does not run", measured, needed, Rung.L0)
    watched = facts["watched"]
    if watched["unstable"]:
        measured = f"two runs differ: {'; '.join(map(str, watched['unstable'][:MAX_SHOWN]))}"
        return Decision(Verdict.REFUTED, "another number", measured, needed, Rung.L0)
    if why := ran.blind(facts, "printed", "written"):
        return Decision(Verdict.INCONCLUSIVE, "not observed", why, needed, Rung.L0)
    if not facts["numbers"] or not watched["compared"]:
        measured = f"{spec.entry} gives no number at all"
        return Decision(Verdict.VACUOUS, "nothing to compare", measured, needed, Rung.L0)
    measured = f"{len(facts['numbers'])} different numbers came out the same twice"
    return Decision(Verdict.SUPPORTED, "", measured, needed, Rung.L0)


def refuted_by(spec: DeterminismSpec) -> str:
    """What would refute it."""
    return f"a number that differs between two runs of {spec.entry}"


_SPEC = DeterminismSpec(entry="run.py")


def _worked(title: str, verdict: Verdict, **facts: object) -> Example:
    return rerun_example(title, _SPEC, plan, verdict, {"numbers": ["0.914", "2.49"], **facts})


_UNSTABLE = {**AS_WATCHED, "unstable": ["stdout, token 2: 0.914, then 0.908"]}
_OTHERWISE = {**AS_WATCHED, "differences": ["stdout, token 2: 0.914 traced, 0.871 plain"]}

CHECK = Check(
    kind="determinism",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L0,
    spec=DeterminismSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    cues=r"reproduc|determinis|seed|same\b|repeat|identical|exact|every run|again",
    needs_model=False,
    functional=False,
    doc=__doc__,
    examples=(
        _worked("the same twice", Verdict.SUPPORTED),
        _worked("unseeded", Verdict.REFUTED, watched=_UNSTABLE),
        _worked("another number when nobody watches", Verdict.REFUTED, watched=_OTHERWISE),
        _worked("it crashes", Verdict.REFUTED, exit_code=1),
        _worked("not all was seen", Verdict.INCONCLUSIVE, truncated=["printed"]),
        _worked("no numbers", Verdict.VACUOUS, numbers=[]),
    ),
)
