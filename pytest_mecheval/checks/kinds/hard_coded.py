"""Hard-coded: a stated number depends on the model, so it must change when the weights are shuffled.

Question: does the script give another number when every weight tensor it loads has its entries permuted?
Null: the number comes out the same to all stated digits although the model is another one.
Statistic: exact: two runs of the script, one on shuffled weights; the stated number must appear in the first and not in the second.
Blind spots: numbers that do not depend on the weights (counts, sizes) are no business of this kind; a script that trains or builds its model loads nothing to shuffle, then NOT_TESTABLE.
Source: METHODS R04, CTL-3; Adebayo et al. 2018, arXiv:1810.03292 (parameter randomisation).
"""

from typing import Annotated

from pydantic import AfterValidator

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.ran import Facts
from pytest_mecheval.checks.spec import Spec, stated_number
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep


class HardCodedSpec(Spec):
    """What a claim that a number depends on the model must say before it can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that computes it, relative to the bundle."""
    number: Annotated[str, AfterValidator(stated_number)]
    """The figure as the text writes it, quoted so that trailing zeros survive."""


def plan(spec: HardCodedSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """The run as it is, and on shuffled weights."""
    return (ran.run_of(spec.entry), ran.run_of(spec.entry, sham="shuffle"))


def decide(spec: HardCodedSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """The number is there with the model's weights and gone without them."""
    needed = f"{spec.entry} gives {spec.number}, and another number on shuffled weights"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    real, sham = (evidence[step].facts for step in plan(spec, _subject))
    for facts in (real, sham):
        if forgery := ran.forged(facts, needed):
            return forgery
    verdict, code, measured = _compare(spec, real, sham)
    return Decision(verdict, code, measured, needed, Rung.L0)


def _compare(spec: HardCodedSpec, real: Facts, sham: Facts) -> tuple[Verdict, str, str]:
    if not ran.gives(real, spec.number):
        if not ran.crashed(real) and (why := ran.blind(real, "printed", "written")):
            return Verdict.INCONCLUSIVE, "not observed", f"{spec.number} did not appear; {why}"
        said = f"no number of {spec.entry} rounds to {spec.number}"
        return Verdict.REFUTED, "nobody computed it", said
    if not sham["sham_applied"]:
        said = f"{spec.entry} gave {spec.number}, but no model load was intercepted"
        return Verdict.NOT_TESTABLE, "no model load intercepted", said
    if ran.gives(sham, spec.number):
        said = f"{spec.entry} gives {spec.number} on shuffled weights too"
        return Verdict.REFUTED, "hard-coded", said
    if ran.crashed(sham):
        said = f"on shuffled weights {ran.ending(sham)}, so nothing can be compared"
        return Verdict.INCONCLUSIVE, "not observed", said
    return Verdict.SUPPORTED, "", f"{spec.entry} gives {spec.number}, and not on shuffled weights"


def refuted_by(spec: HardCodedSpec) -> str:
    """What would refute it."""
    return f"{spec.number} coming out of {spec.entry} although the weights were shuffled"


_SPEC = HardCodedSpec(entry="run.py", number="0.914")


def _worked(
    title: str, verdict: Verdict, real: dict[str, object], sham: dict[str, object]
) -> Example:
    return rerun_example(title, _SPEC, plan, verdict, real, {"sham_applied": True, **sham})


_GIVEN: dict[str, object] = {"numbers": ["0.91406"]}

CHECK = Check(
    kind="hard_coded",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L0,
    spec=HardCodedSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    needs_model=False,
    figures=lambda spec: {"number": spec.number},
    doc=__doc__,
    examples=(
        _worked("it moves with the weights", Verdict.SUPPORTED, _GIVEN, {"numbers": ["0.0312"]}),
        _worked("it stays whatever the weights", Verdict.REFUTED, _GIVEN, _GIVEN),
        _worked("nobody computed it", Verdict.REFUTED, {"numbers": ["0.8"]}, {"numbers": ["0.1"]}),
        _worked("nothing was loaded", Verdict.NOT_TESTABLE, _GIVEN, {"sham_applied": False}),
        _worked("it crashes without its weights", Verdict.INCONCLUSIVE, _GIVEN, {"exit_code": 1}),
        _worked("the ledger was forged", Verdict.REFUTED, _GIVEN, {"standing": "forged"}),
    ),
)
