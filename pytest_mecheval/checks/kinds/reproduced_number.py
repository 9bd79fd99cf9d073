"""Reproduced number: the bundle's own script gives the stated number again, at the place the claim names.

Question: does the number that stands after these words in the script's output agree with the stated one?
Null: it differs by more than the rounding of the text and the script's own spread between runs.
Statistic: |r - v| <= u + tau: u half a unit of the last stated digit; tau = 3 x the largest difference between runs (at least 1e-6 |v|), or with 5 and more runs the 99 % prediction half-width of one more run; VACUOUS when the number moved by a tenth would pass as well, or when another number within a tenth stands after the same words.
Blind spots: testimony (T1): a typed-in number reproduces (`hard_coded` and `provenance` look for that); same machine and thread count; nothing is said about whether the number is right.
Source: METHODS R02, V05; prediction interval as in CORE-Bench, arXiv:2409.11363, at our level.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.inference import ALPHA
from pytest_mecheval.checks.spec import Spec, stated_number
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.stats.rounding import Stated
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep

SPREAD_FACTOR = 3.0
"""Differences between runs allowed for numeric noise (METHODS R02)."""
FLOOR = 1e-6
"""Numeric noise always allowed, share of the number."""
PREDICTING_RUNS = 5
"""From this many runs on, their spread predicts one more; with 3 the interval is too wide to refute."""
NEAR = 0.05
"""Differences up to this share are named as near, and not accepted."""
PERTURBATION = 0.10
"""The number moved by this share must be told apart (METHODS V05)."""
PERTURBED_UNITS = 3.0
"""... and at least by this many units of the last stated digit."""


class ReproducedNumberSpec(Spec):
    """What a claim that a number comes out again must say before it can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that gives it, relative to the bundle."""
    number: Annotated[str, AfterValidator(stated_number)]
    """The figure as the text writes it, quoted so that trailing zeros survive."""
    label: Annotated[str, Field(min_length=1, max_length=100)]
    """Words right before the number on the printed line, or the last keys that lead to it in a written JSON file."""
    runs: Annotated[int, Field(ge=2, le=10)] = 2
    """How often the script is run; 5 or more for scripts whose numbers vary by design."""


def plan(spec: ReproducedNumberSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """The run, as often as stated."""
    return tuple(ran.run_of(spec.entry, repeat=number) for number in range(spec.runs))


def decide(spec: ReproducedNumberSpec, subject: Subject, evidence: Evidence) -> Decision:
    """Agreement in every run, and a number a tenth away told apart."""
    needed = f"a number after '{spec.label}' in {spec.runs} runs of {spec.entry} that agrees with {spec.number}"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    given: list[list[float]] = []
    for step in plan(spec, subject):
        facts = evidence[step].facts
        if forgery := ran.forged(facts, needed):
            return forgery
        found = ran.labelled(facts, spec.label)
        if found:
            given.append(found)
            continue
        measured = f"no number stands after '{spec.label}' in a run of {spec.entry}"
        if ran.crashed(facts):
            measured = f"{measured}; {ran.ending(facts)}"
            return Decision(Verdict.REFUTED, "does not run", measured, needed, Rung.L0)
        if why := ran.blind(facts, "printed", "written"):
            measured = f"{measured}; {why}"
            return Decision(Verdict.INCONCLUSIVE, "not observed", measured, needed, Rung.L0)
        return Decision(Verdict.REFUTED, "nobody computed it", measured, needed, Rung.L0)
    if len({len(found) for found in given}) > 1:
        counts = ", ".join(str(len(found)) for found in given)
        measured = f"the runs give {counts} numbers after '{spec.label}'"
        return Decision(Verdict.INCONCLUSIVE, "runs not comparable", measured, needed, Rung.L0)
    tries = [_compare(spec, np.asarray(runs)) for runs in zip(*given, strict=True)]
    best = min(tries, key=lambda each: [*_ORDER].index(each.verdict))
    others = [each for each in tries if each.verdict is Verdict.REFUTED and each.confusable]
    if best.verdict is Verdict.SUPPORTED and others:
        measured = f"{best.measured}, and {others[0].shown} stands after '{spec.label}' as well"
        return Decision(
            Verdict.VACUOUS, "words name several such numbers", measured, needed, Rung.L0
        )
    notes = (best.note,) if best.note else ()
    return Decision(best.verdict, best.code, best.measured, needed, Rung.L0, notes=notes)


_ORDER = (Verdict.SUPPORTED, Verdict.VACUOUS, Verdict.REFUTED)
"""Where several numbers stand after the same words, the one that fits best counts."""


@dataclass(frozen=True)
class _Try:
    """One of the numbers after the words, against the stated one."""

    verdict: Verdict
    code: str
    measured: str
    note: str
    shown: str
    """The number as the runs gave it."""
    confusable: bool
    """So near that a claim about it would read much the same."""


def _compare(spec: ReproducedNumberSpec, runs: np.ndarray) -> _Try:
    stated = Stated(spec.number)
    if stated.percent and abs(float(runs.mean())) > 1.0:
        runs = runs / ran.PERCENT  # printed as percent without the sign
    tolerance = _tolerance(spec, runs, stated.value)
    middle = float(runs.mean())
    off = float(np.abs(runs - stated.value).max())
    shown = f"{spec.entry} gave {_shown(runs)}, stated {spec.number}"
    moved = max(PERTURBED_UNITS * 2 * stated.half_unit, PERTURBATION * abs(stated.value))

    def found(verdict: Verdict, code: str, measured: str, note: str = "") -> _Try:
        return _Try(verdict, code, measured, note, _shown(runs), distance <= moved)

    allowed = f"; rounding and spread allow {stated.half_unit + tolerance:.3g}"
    # One draw in five may lie anywhere within the prediction; their mean is what the text stands against.
    distance = abs(middle - stated.value) if len(runs) >= PREDICTING_RUNS else off
    if not stated.matches(stated.value + distance, tolerance=tolerance):
        near = off <= NEAR * abs(stated.value)
        note = "within 5 percent, which is reported and not accepted" if near else ""
        return found(Verdict.REFUTED, "another number", shown + allowed, note)
    if distance + moved <= stated.half_unit + tolerance:
        code = "spread between runs wider than a tenth of the number"
        return found(Verdict.VACUOUS, code, shown + allowed)
    exact = distance <= stated.half_unit
    return found(
        Verdict.SUPPORTED, "", shown, "" if exact else "agrees within the spread between runs"
    )


def _tolerance(spec: ReproducedNumberSpec, runs: np.ndarray, value: float) -> float:
    if spec.runs >= PREDICTING_RUNS:
        # Of Student's t. Imported here: scipy takes as long to import as a warm run may take in all.
        from scipy.special import stdtrit

        quantile = float(stdtrit(spec.runs - 1, 1 - ALPHA / 2))
        spread = float(np.std(runs, ddof=1))
        return max(quantile * spread * float(np.sqrt(1 + 1 / spec.runs)), FLOOR * abs(value))
    return max(SPREAD_FACTOR * float(np.ptp(runs)), FLOOR * abs(value))


def _shown(runs: np.ndarray) -> str:
    low, high = float(runs.min()), float(runs.max())
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g} in {len(runs)} runs"


def refuted_by(spec: ReproducedNumberSpec) -> str:
    """What would refute it."""
    return f"another number than {spec.number} after '{spec.label}' in a run of {spec.entry}"


_SPEC = ReproducedNumberSpec(entry="run.py", number="0.914", label="accuracy")


def _worked(
    title: str,
    verdict: Verdict,
    *printed: str | tuple[str, ...],
    spec: ReproducedNumberSpec = _SPEC,
    **facts: object,
) -> Example:
    """A run for each text, or tuple of texts, that stands after the label."""
    numbers = [(run,) if isinstance(run, str) else run for run in printed]
    runs = [
        {"figures": [{"label": "test accuracy", "number": one} for one in run if one], **facts}
        for run in numbers
    ]
    return rerun_example(title, spec, plan, verdict, *runs)


_FIVE = _SPEC.model_copy(update={"runs": 5})

CHECK = Check(
    kind="reproduced_number",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L0,
    spec=ReproducedNumberSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    figures=lambda spec: {"number": spec.number},
    needs_model=False,
    functional=False,
    doc=__doc__,
    examples=(
        _worked("the same again", Verdict.SUPPORTED, "0.91406", "0.91406"),
        _worked("numeric noise", Verdict.SUPPORTED, "0.91406", "0.91461"),
        _worked("another number", Verdict.REFUTED, "0.871", "0.871"),
        _worked("near is not the same", Verdict.REFUTED, "0.93", "0.93"),
        _worked("runs far apart", Verdict.VACUOUS, "0.95", "0.87"),
        _worked(
            "it varies by design",
            Verdict.SUPPORTED,
            *["0.92", "0.91", "0.90", "0.92", "0.91"],
            spec=_FIVE,
        ),
        _worked(
            "far outside its spread",
            Verdict.REFUTED,
            *["0.82", "0.81", "0.80", "0.82", "0.81"],
            spec=_FIVE,
        ),
        _worked(
            "the words name two such numbers",
            Verdict.VACUOUS,
            ("0.914", "0.908"),
            ("0.914", "0.908"),
        ),
        _worked(
            "the words name two unlike numbers",
            Verdict.SUPPORTED,
            ("0.914", "0.31"),
            ("0.914", "0.31"),
        ),
        _worked("one run says it more often", Verdict.INCONCLUSIVE, ("0.914",), ("0.914", "0.914")),
        _worked("it is not printed there", Verdict.REFUTED, "", ""),
        _worked("the run crashed before", Verdict.REFUTED, "", "", exit_code=1),
        _worked("not all was seen", Verdict.INCONCLUSIVE, "", "", truncated=["printed"]),
        _worked("the ledger was forged", Verdict.REFUTED, "0.914", "0.914", standing="forged"),
    ),
)
