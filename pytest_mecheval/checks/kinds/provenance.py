"""Provenance: a stated number was really computed by the bundle's own code.

Question: does a run of the script, on a copy without stored results, print or write the stated number?
Null: no number of the run rounds to the stated one.
Statistic: exact matching at the precision written, over every number the run printed or wrote; a literal in the code (three or more significant digits, no configuration) that equals the number is named in a note.
Blind spots: testimony, not measurement: a script can print a typed-in number (flagged when it stands in the code as such, decided by `hard_coded`); nothing is said about whether the number is right.
Source: METHODS R01, R05.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from pytest_mecheval.bundle.code_units import MIN_DIGITS, significant_digits
from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.spec import Spec, stated_number
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import Code, PlanStep

MAX_PLACES = 3
"""Typed-in places named in the note."""


class ProvenanceSpec(Spec):
    """What a claim about a number's origin must say before it can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that is said to compute it, relative to the bundle."""
    number: Annotated[str, AfterValidator(stated_number)]
    """The figure as the text writes it, quoted so that trailing zeros survive."""


def plan(spec: ProvenanceSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """One run, and the code in which the number may stand typed in."""
    return (ran.run_of(spec.entry), ran.step_for(Code()))


def decide(spec: ProvenanceSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """Whether any number of the run rounds to the stated one."""
    needed = f"{spec.entry} prints or writes a number that rounds to {spec.number}"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    facts = evidence[ran.run_of(spec.entry)].facts
    if forgery := ran.forged(facts, needed):
        return forgery
    numbers = [str(number) for number in facts["numbers"]]
    found = ran.gives(facts, spec.number)
    if found:
        measured = f"{spec.entry} gave {found[0]}, stated {spec.number}"
        notes = _typed_in(spec.number, evidence[ran.step_for(Code())].facts["literals"])
        return Decision(Verdict.SUPPORTED, "", measured, needed, Rung.L0, notes=notes)
    measured = f"none of {len(numbers)} numbers of {spec.entry} rounds to {spec.number}"
    if ran.crashed(facts):
        measured = f"{measured}; {ran.ending(facts)}"
        return Decision(Verdict.REFUTED, "does not run", measured, needed, Rung.L0)
    if why := ran.blind(facts, "printed", "written"):
        return Decision(Verdict.INCONCLUSIVE, "not observed", f"{measured}; {why}", needed, Rung.L0)
    return Decision(Verdict.REFUTED, "nobody computed it", measured, needed, Rung.L0)


def _typed_in(number: str, literals: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """R05: places where the code holds the very number; a flag for the reader, not a verdict."""
    stated = Stated(number)
    if significant_digits(number) < MIN_DIGITS:
        return ()
    places = [
        str(one["place"])
        for one in literals
        for value in (abs(float(one["number"])) * (-1 if stated.value < 0 else 1),)
        if stated.matches(value) or (stated.percent and stated.matches(value / ran.PERCENT))
    ]
    shown = ", ".join(places[:MAX_PLACES])
    return (f"the code holds a literal that rounds to {number} at {shown}",) if places else ()


def refuted_by(spec: ProvenanceSpec) -> str:
    """What would refute it."""
    return f"a complete run of {spec.entry} in which no number rounds to {spec.number}"


_SPEC = ProvenanceSpec(entry="run.py", number="0.914")


def _worked(title: str, verdict: Verdict, **facts: object) -> Example:
    return rerun_example(title, _SPEC, plan, verdict, facts, {"literals": []})


CHECK = Check(
    kind="provenance",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L0,
    spec=ProvenanceSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    needs_model=False,
    figures=lambda spec: {"number": spec.number},
    doc=__doc__,
    examples=(
        _worked("it comes out of the run", Verdict.SUPPORTED, numbers=["12", "0.91406"]),
        _worked("nobody computed it", Verdict.REFUTED, numbers=["12", "0.871"]),
        _worked("the run crashed before", Verdict.REFUTED, numbers=["12"], exit_code=1),
        _worked("not all was seen", Verdict.INCONCLUSIVE, truncated=["printed"]),
        _worked("it wrote into the ledger itself", Verdict.REFUTED, standing="forged"),
    ),
)
