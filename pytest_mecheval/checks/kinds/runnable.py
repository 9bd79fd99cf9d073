"""Runnable: the bundle's own script or notebook runs to its end.

Question: does the entry point run to its end in the sandbox, on a copy without stored results?
Null: it stops with an error, a limit, or a failed cell.
Statistic: exit status of one run; every notebook cell counts.
Blind spots: says nothing about what the script computes; a script that swallows its errors ends well.
Source: METHODS R01; checklist item C1 (Bai et al. 2026, arXiv:2602.18458).
"""

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep


class RunnableSpec(Spec):
    """What a claim that code runs must say before it can be checked."""

    entry: str
    """Script (.py), notebook (.ipynb) or shell script (.sh) of the bundle, with its arguments: `run.py --n 64`."""


def plan(spec: RunnableSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """One run."""
    return (ran.run_of(spec.entry),)


def decide(spec: RunnableSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """How the run ended."""
    needed = f"{spec.entry} runs to its end, every cell included"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    facts = evidence[ran.run_of(spec.entry)].facts
    if forgery := ran.forged(facts, needed):
        return forgery
    measured = f"{spec.entry}: {ran.ending(facts)}"
    if ran.crashed(facts):
        return Decision(Verdict.REFUTED, "does not run", measured, needed, Rung.L0)
    return Decision(Verdict.SUPPORTED, "", measured, needed, Rung.L0)


def refuted_by(spec: RunnableSpec) -> str:
    """What would refute it."""
    return f"{spec.entry} stops with an error, a limit or a failed cell"


_SPEC = RunnableSpec(entry="run.py")


def _worked(title: str, verdict: Verdict, **facts: object) -> Example:
    return rerun_example(title, _SPEC, plan, verdict, facts)


CHECK = Check(
    kind="runnable",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L0,
    spec=RunnableSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    cues=r"run|reproduc|execut|script|complet|works?\b",
    needs_model=False,
    functional=False,
    doc=__doc__,
    examples=(
        _worked("runs through", Verdict.SUPPORTED),
        _worked("stops with an error", Verdict.REFUTED, exit_code=1, last_words="ValueError: no"),
        _worked("runs into a limit", Verdict.REFUTED, status="timed_out", exit_code=None),
        _worked("one cell fails", Verdict.REFUTED, failed_cells=["a.ipynb:cell3: NameError"]),
        _worked("it wrote into the ledger itself", Verdict.REFUTED, standing="forged"),
    ),
)
