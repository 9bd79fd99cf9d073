"""Determinism: the bundle's script gives the same numbers when it is run again.

Question: do two runs of the same script print and write the same numbers?
Null: at least one number differs between the runs.
Statistic: exact comparison of the numbers two runs print and write, in order; at least one number must be there to compare.
Blind spots: same machine, same threads, same interpreter; times and dates in the output count as numbers; equal numbers may be equally typed in.
Source: METHODS R07; checklist item RP3 (Bai et al. 2026, arXiv:2602.18458).
"""

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import rerun_example
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
    """The run, twice."""
    return (ran.run_of(spec.entry), ran.run_of(spec.entry, repeat=1))


def decide(spec: DeterminismSpec, subject: Subject, evidence: Evidence) -> Decision:
    """Equal numbers in both runs, and some to compare."""
    needed = f"two runs of {spec.entry} that end well and give the same numbers"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    runs = [evidence[step].facts for step in plan(spec, subject)]
    for facts in runs:
        if forgery := ran.forged(facts, needed):
            return forgery
        if ran.crashed(facts):
            measured = f"{spec.entry}: {ran.ending(facts)}"
            return Decision(Verdict.REFUTED, "does not run", measured, needed, Rung.L0)
        if why := ran.blind(facts, "printed", "written"):
            return Decision(Verdict.INCONCLUSIVE, "not observed", why, needed, Rung.L0)
    first, second = ([str(number) for number in facts["numbers"]] for facts in runs)
    if first != second:
        other = sorted(set(first) ^ set(second))
        shown = f": {', '.join(other[:MAX_SHOWN])}" if other else " in their order"
        measured = f"the numbers of two runs differ{shown}"
        return Decision(Verdict.REFUTED, "another number", measured, needed, Rung.L0)
    if not first:
        measured = f"{spec.entry} gives no number at all"
        return Decision(Verdict.VACUOUS, "nothing to compare", measured, needed, Rung.L0)
    measured = f"{len(first)} different numbers came out the same twice"
    return Decision(Verdict.SUPPORTED, "", measured, needed, Rung.L0)


def refuted_by(spec: DeterminismSpec) -> str:
    """What would refute it."""
    return f"a number that differs between two runs of {spec.entry}"


_SPEC = DeterminismSpec(entry="run.py")


def _worked(title: str, verdict: Verdict, first: list[str], second: list[str]) -> Example:
    return rerun_example(title, _SPEC, plan, verdict, {"numbers": first}, {"numbers": second})


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
        _worked("the same twice", Verdict.SUPPORTED, ["0.914", "2.49"], ["0.914", "2.49"]),
        _worked("unseeded", Verdict.REFUTED, ["0.914"], ["0.908"]),
        _worked("another order", Verdict.REFUTED, ["1.0", "2.0"], ["2.0", "1.0"]),
        _worked("no numbers", Verdict.VACUOUS, [], []),
    ),
)
