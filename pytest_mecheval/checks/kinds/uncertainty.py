"""Uncertainty: a headline number has an interval, an error or a test, and the run computed it from what varies.

Question: does the text state how uncertain the number is, and did the run compute that from different prompts or seeds?
Null: no uncertainty is stated beside the number, or nothing in the run gives it, or nothing varied in the run.
Statistic: fixed patterns on the number's own sentence (interval, plus-minus, standard error, p); its figures must come out of a complete run at the precision written; the run must have used at least the stated n different prompts, or at least 2 (or the stated) seeds; figures typed into the code as they stand do not count.
Blind spots: testimony (T1); the right formula is not checked (a spread that is a constant of the code passes, only the figures themselves are looked up there), nor whether prompts are independent; unusual ways of writing an interval are not found.
Source: METHODS 7.3 K07; Miller 2024, arXiv:2411.00640 (error bars for evaluations).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pytest_mecheval.bundle.code_units import MIN_DIGITS, significant_digits
from pytest_mecheval.bundle.subject import RelativePath
from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.ran import Facts
from pytest_mecheval.checks.spec import Spec, stated_number
from pytest_mecheval.checks.stated_uncertainty import Uncertainty, uncertainty_in
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import Code, PlanStep, Prose

P_LABELS = ("p", "p-value", "p_value", "pvalue", "p value")
"""Words before a number that make it a p-value."""
LEAST_VARYING = 2
"""One prompt or one seed has no spread."""


class UncertaintySpec(Spec):
    """What a headline number must say about itself before its uncertainty can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that computes it, relative to the bundle."""
    number: Annotated[str, AfterValidator(stated_number)]
    """The figure as the text writes it, quoted so that trailing zeros survive."""
    document: RelativePath
    """Text that states the number; the quote's file."""
    varies: Literal["prompts", "seeds"]
    """What the uncertainty is over: different prompts (also when they are resampled), or repeated seeds."""
    n: Annotated[int, Field(ge=2)] | None = None
    """How many of them the text states; absent: at least 2."""


def plan(spec: UncertaintySpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """One run, the text around the number, and the code."""
    return (ran.run_of(spec.entry), _prose(spec), ran.step_for(Code()))


def decide(spec: UncertaintySpec, _subject: Subject, evidence: Evidence) -> Decision:
    """Stated, computed, and from something that varies."""
    needed = (
        f"an interval, error or test beside {spec.number} in {spec.document}, which {spec.entry} "
        f"computes from {spec.n or LEAST_VARYING} or more different {spec.varies}"
    )
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    facts = evidence[ran.run_of(spec.entry)].facts
    if forgery := ran.forged(facts, needed):
        return forgery
    paragraphs = [str(each["text"]) for each in evidence[_prose(spec)].facts["paragraphs"]]
    found = next(filter(None, (uncertainty_in(text, spec.number) for text in paragraphs)), None)
    if found is None:
        measured = f"no interval, error or test stands beside {spec.number} in {spec.document}"
        return Decision(Verdict.REFUTED, "no uncertainty stated", measured, needed, Rung.L0)
    literals = evidence[ran.step_for(Code())].facts["literals"]
    verdict, code, said = _computed(spec, found, facts, literals)
    measured = f"{spec.document} states {found.words} beside {spec.number}; {said}"
    return Decision(verdict, code, measured, needed, Rung.L0)


def _computed(
    spec: UncertaintySpec, found: Uncertainty, facts: Facts, literals: Sequence[Mapping[str, Any]]
) -> tuple[Verdict, str, str]:
    lacking = [figure for figure in found.figures if not _gives(facts, figure, found.below)]
    if lacking:
        said = f"no number of {spec.entry} rounds to {' or '.join(lacking)}"
        if ran.crashed(facts):
            return Verdict.REFUTED, "does not run", f"{said}; {ran.ending(facts)}"
        if why := ran.blind(facts, "printed", "written"):
            return Verdict.INCONCLUSIVE, "not observed", f"{said}; {why}"
        return Verdict.REFUTED, "nobody computed it", said
    typed = [place for figure in found.figures if (place := _typed(figure, literals))]
    if typed:
        return Verdict.REFUTED, "typed in", f"it stands as typed in at {typed[0]}"
    varied = int(facts["prompts"] if spec.varies == "prompts" else facts["seed_values"])
    said = f"{spec.entry} computes it, with {varied} different {spec.varies}"
    if ran.crashed(facts):
        # The figures came out, but not of a complete run, which is what the claim needs.
        return Verdict.INCONCLUSIVE, "does not run", f"{said}; {ran.ending(facts)}"
    if varied >= (spec.n or LEAST_VARYING):
        return Verdict.SUPPORTED, "", said
    if why := ran.blind(facts, "forward", "inputs", "seed"):
        return Verdict.INCONCLUSIVE, "not observed", f"{said}; {why}"
    code = "nothing varies" if varied < LEAST_VARYING else f"fewer {spec.varies} than stated"
    return Verdict.REFUTED, code, said


def _gives(facts: Facts, figure: str, below: bool) -> bool:
    """Whether the run gives the figure; for `p < x`, any number it calls p that is smaller."""
    if not below:
        return bool(ran.gives(facts, _signless(figure)))
    given = [value for label in P_LABELS for value in ran.labelled(facts, label)]
    return any(0 <= value <= Stated(figure).value for value in given)


def _signless(figure: str) -> str:
    return figure.lstrip("+")


def _typed(figure: str, literals: Sequence[Mapping[str, Any]]) -> str:
    """Where the code holds this very figure; short ones are no evidence."""
    digits = _signless(figure).strip().rstrip("%").strip()
    if significant_digits(digits) < MIN_DIGITS:
        return ""
    return next((str(one["place"]) for one in literals if str(one["number"]) == digits), "")


def _prose(spec: UncertaintySpec) -> PlanStep:
    return ran.step_for(Prose(spec.document, spec.number))


def refuted_by(spec: UncertaintySpec) -> str:
    """What would refute it."""
    return (
        f"no uncertainty beside {spec.number} in {spec.document}, or one that no complete run of "
        f"{spec.entry} computes, or one over fewer than {spec.n or LEAST_VARYING} {spec.varies}"
    )


_SPEC = UncertaintySpec(
    entry="run.py", number="0.914", document="logs/documentation.md", varies="prompts", n=128
)
_TEXT = "Accuracy is 0.914 (95% interval [0.859, 0.953]) on 128 prompts."
_GIVES: dict[str, object] = {"numbers": ["0.91406", "0.85938", "0.95312"]}


def _worked(
    title: str,
    verdict: Verdict,
    facts: Mapping[str, object] = _GIVES,
    text: str = _TEXT,
    typed: Sequence[Mapping[str, str]] = (),
) -> Example:
    prose = {"paragraphs": [{"line": 3, "text": text}]}
    return rerun_example(title, _SPEC, plan, verdict, facts, prose, {"literals": list(typed)})


CHECK = Check(
    kind="uncertainty",
    dimension=Dimension.COHERENCE,
    rung=Rung.L0,
    spec=UncertaintySpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    figures=lambda spec: {"number": spec.number},
    needs_model=False,
    functional=False,
    doc=__doc__,
    examples=(
        _worked("an interval over prompts", Verdict.SUPPORTED),
        _worked("none is stated", Verdict.REFUTED, text="Accuracy is 0.914 on 128 prompts."),
        _worked(
            "a p-value below a bound",
            Verdict.SUPPORTED,
            {"figures": [{"label": "sign test p", "number": "0.0002"}]},
            "Accuracy is 0.914 against chance (p < 0.001).",
        ),
        _worked("nobody computed it", Verdict.REFUTED, {"numbers": ["0.91406"]}),
        _worked("fewer prompts than stated", Verdict.REFUTED, {**_GIVES, "prompts": 16}),
        _worked("it crashed later", Verdict.INCONCLUSIVE, {**_GIVES, "exit_code": 1}),
        _worked("one prompt", Verdict.REFUTED, {**_GIVES, "prompts": 1}),
        _worked("typed in", Verdict.REFUTED, typed=[{"number": "0.859", "place": "run.py:30"}]),
        _worked(
            "not all was seen", Verdict.INCONCLUSIVE, {"numbers": [], "truncated": ["printed"]}
        ),
        _worked("the ledger was forged", Verdict.REFUTED, {**_GIVES, "standing": "forged"}),
    ),
)
