"""Consistency: numbers that the text states side by side can all be true at once.

Question: do the stated numbers fit each other, at the precision they are written with?
Null: no values within the rounding of the stated numbers satisfy the relation.
Statistic: exact decimal interval arithmetic on the stated digits; for means of counts, whether some whole count divided by n rounds to the number (GRIM).
Blind spots: consistent numbers may all be wrong; arithmetic says nothing about the model; VACUOUS where every number would pass.
Source: METHODS R03, R06; Brown & Heathers 2017, doi:10.1177/1948550616673876 (GRIM).
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pytest_mecheval.checks.check import Check, Example, Subject
from pytest_mecheval.checks.spec import Spec, stated_number
from pytest_mecheval.checks.worked import SUBJECT
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.stats.rounding import Stated, grim_possible
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep

PERTURBATION = Decimal("0.10")
"""The last number moved by this share must no longer fit (METHODS V05)."""
PERTURBED_UNITS = 6
"""... and at least by this many half units of its last digit."""

Relation = Literal["mean_of_counts", "difference", "relative_change", "ratio", "sum", "within"]
Bounds = tuple[Decimal, Decimal]

SIZES: dict[str, tuple[int, int]] = {
    "mean_of_counts": (1, 1),
    "difference": (3, 3),
    "relative_change": (3, 3),
    "ratio": (3, 3),
    "sum": (3, 100),
    "within": (3, 3),
}
"""How many numbers each relation takes, least and most."""
CHANGES = ("difference", "relative_change")
"""Relations whose sign may be left to the sentence (`a drop by 2.5`)."""
WORDS = {
    "mean_of_counts": "a mean of whole counts",
    "difference": "the difference of the first two",
    "relative_change": "the change from the first to the second as a share of the first",
    "ratio": "the first divided by the second",
    "sum": "the sum of the numbers before it",
    "within": "between the two bounds",
}


class ConsistencySpec(Spec):
    """Which numbers of the text belong together, and how."""

    relation: Relation
    """`mean_of_counts` [mean] with n; `difference` [from, to, change]; `relative_change` [from, to, share]; `ratio` [a, b, a/b]; `sum` [parts ..., total]; `within` [estimate, lower, upper]."""
    numbers: Annotated[
        tuple[Annotated[str, AfterValidator(stated_number)], ...], Field(min_length=1)
    ]
    """As the text writes them, quoted so that trailing zeros survive, in the relation's order."""
    n: Annotated[int, Field(ge=1)] | None = None
    """For means of counts: how many whole numbers (prompts) the mean is taken over."""


def plan(_spec: ConsistencySpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """Nothing is measured."""
    return ()


def decide(spec: ConsistencySpec, _subject: Subject, _evidence: Evidence) -> Decision:
    """Possible at the stated precision, and not so for a number a tenth away."""
    needed = f"stated numbers of which {_told(spec)} is {WORDS[spec.relation]}, as rounded"
    stated = ", ".join(spec.numbers) + (f" (n={spec.n})" if spec.n else "")
    if spec.relation == "mean_of_counts":
        verdict, code, measured = _grim(spec.numbers[0], spec.n or 0)
    else:
        verdict, code, measured = _related(spec)
    return Decision(verdict, code, f"stated {stated}: {measured}", needed, Rung.L0)


def _grim(number: str, n: int) -> tuple[Verdict, str, str]:
    if not grim_possible(number, n):
        return Verdict.REFUTED, "impossible mean", f"no count out of {n} rounds to {number}"
    stated = Stated(number)
    if Decimal(n) >= Decimal(1).scaleb(stated.decimals):
        said = f"every number with {stated.decimals} decimals is a mean of {n} counts"
        return Verdict.VACUOUS, "any mean is possible at this n", said
    count = round(stated.exact * n)
    return Verdict.SUPPORTED, "", f"{count} out of {n} rounds to {number}"


def _related(spec: ConsistencySpec) -> tuple[Verdict, str, str]:
    bounds = [_bounds(number) for number in spec.numbers]
    if spec.relation == "within":
        return _within(bounds)
    given = _given(spec.relation, bounds[:-1])
    if given is None:
        return Verdict.NOT_TESTABLE, "divides by zero", "the number divided by may be 0"
    low, high = given
    told = bounds[-1]
    expected = f"the others give {_shown(low)} to {_shown(high)}"
    signless = spec.relation in CHANGES
    if not _meet(given, told, signless=signless):
        return Verdict.REFUTED, "does not add up", expected
    exact = Stated(spec.numbers[-1])
    half = (told[1] - told[0]) / 2
    step = max(PERTURBED_UNITS * half, PERTURBATION * abs(exact.exact))
    moved = [(told[0] + move, told[1] + move) for move in (-step, step)]
    if all(_meet(given, each, signless=signless) for each in moved):
        return Verdict.VACUOUS, "tolerance wider than a tenth of the number", expected
    return Verdict.SUPPORTED, "", expected


def _within(bounds: Sequence[Bounds]) -> tuple[Verdict, str, str]:
    estimate, lower, upper = bounds
    if lower[0] > upper[1]:
        return Verdict.REFUTED, "bounds in the wrong order", "the lower bound exceeds the upper one"
    if estimate[1] < lower[0] or estimate[0] > upper[1]:
        return Verdict.REFUTED, "interval misses its estimate", "the estimate lies outside"
    return Verdict.SUPPORTED, "", "the estimate lies inside"


def _given(relation: Relation, parts: Sequence[Bounds]) -> Bounds | None:
    """Range of what the other numbers allow; signs of a change are left to the sentence."""
    if relation == "sum":
        return sum((low for low, _ in parts), Decimal()), sum(
            (high for _, high in parts), Decimal()
        )
    (a_low, a_high), (b_low, b_high) = parts
    if relation == "difference":
        return _size((a_low - b_high, a_high - b_low))
    divisor = (b_low, b_high) if relation == "ratio" else (a_low, a_high)
    if divisor[0] <= 0 <= divisor[1]:
        return None
    corners = [a / b for a in (a_low, a_high) for b in (b_low, b_high) if b]
    if relation == "ratio":
        return min(corners), max(corners)
    # b / a is monotone in both, so the corners hold its extremes.
    changes = [b / a - 1 for a in (a_low, a_high) for b in (b_low, b_high)]
    return _size((min(changes), max(changes)))


def _size(bounds: Bounds) -> Bounds:
    """The range of the absolute value."""
    low, high = bounds
    if low <= 0 <= high:
        return Decimal(), max(-low, high)
    return min(abs(low), abs(high)), max(abs(low), abs(high))


def _bounds(number: str) -> Bounds:
    stated = Stated(number)
    half = Decimal(5).scaleb(-stated.decimals - 1)
    return stated.exact - half, stated.exact + half


def _meet(given: Bounds, told: Bounds, *, signless: bool) -> bool:
    """Whether the ranges share a value; a stated change may be written without its sign."""
    ranges = (told, (-told[1], -told[0])) if signless else (told,)
    return any(low <= given[1] and given[0] <= high for low, high in ranges)


def _told(spec: ConsistencySpec) -> str:
    return spec.numbers[0] if spec.relation in ("within", "mean_of_counts") else spec.numbers[-1]


def _shown(value: Decimal) -> str:
    return f"{float(value):.6g}"


def negate(spec: ConsistencySpec, _subject: Subject) -> ConsistencySpec | None:
    """The same relation with another result: half as much again, and a unit."""
    if spec.relation == "mean_of_counts":
        return None
    place = 0 if spec.relation == "within" else -1
    stated = Stated(spec.numbers[place])
    other = stated.exact * Decimal("1.5") + Decimal(10).scaleb(-stated.decimals)
    if spec.relation == "within":
        other += abs(Stated(spec.numbers[2]).exact) * 2
    numbers = list(spec.numbers)
    numbers[place] = f"{other:.{max(stated.decimals, 0)}f}"
    return spec.model_copy(update={"numbers": tuple(numbers)})


def problems(spec: ConsistencySpec, _subject: Subject) -> tuple[str, ...]:
    """As many numbers as the relation takes; n where it is needed."""
    found = []
    least, most = SIZES[spec.relation]
    if not least <= len(spec.numbers) <= most:
        allowed = str(least) if least == most else f"{least} to {most}"
        found.append(f"{spec.relation} takes {allowed} numbers (found {len(spec.numbers)})")
    if (spec.relation == "mean_of_counts") != (spec.n is not None):
        found.append("n belongs to mean_of_counts, which needs it")
    return tuple(found)


def figures(spec: ConsistencySpec) -> dict[str, str]:
    """Every number, and n."""
    found = {f"numbers[{place}]": number for place, number in enumerate(spec.numbers)}
    return {**found, "n": str(spec.n)} if spec.n else found


def refuted_by(spec: ConsistencySpec) -> str:
    """What would refute it."""
    return f"no values that round to {', '.join(spec.numbers)} fit together as stated"


def _worked(
    title: str, verdict: Verdict, relation: Relation, *numbers: str, n: int | None = None
) -> Example:
    spec = ConsistencySpec(relation=relation, numbers=numbers, n=n)
    return Example(title, spec, SUBJECT, Evidence({}), verdict)


CHECK = Check(
    kind="consistency",
    dimension=Dimension.COHERENCE,
    rung=Rung.L0,
    spec=ConsistencySpec,
    plan=plan,
    decide=decide,
    negate=negate,
    refuted_by=refuted_by,
    figures=figures,
    problems=problems,
    needs_model=False,
    functional=False,
    doc=__doc__,
    examples=(
        _worked("a possible mean", Verdict.SUPPORTED, "mean_of_counts", "0.74", n=50),
        _worked("an impossible mean", Verdict.REFUTED, "mean_of_counts", "0.73", n=50),
        _worked("any mean goes", Verdict.VACUOUS, "mean_of_counts", "0.73", n=400),
        _worked("the drop fits", Verdict.SUPPORTED, "difference", "3.97", "1.48", "2.49"),
        _worked("the drop does not fit", Verdict.REFUTED, "difference", "3.97", "1.48", "2.94"),
        _worked("too coarse to fail", Verdict.VACUOUS, "difference", "100", "99", "0.9"),
        _worked("a drop by 63 %", Verdict.SUPPORTED, "relative_change", "3.97", "1.48", "63%"),
        _worked("no drop by 63 %", Verdict.REFUTED, "relative_change", "3.97", "2.48", "63%"),
        _worked("shares that sum", Verdict.SUPPORTED, "sum", "61%", "28%", "11%", "100%"),
        _worked("shares that do not", Verdict.REFUTED, "sum", "61%", "28%", "21%", "100%"),
        _worked("a sum with the wrong sign", Verdict.REFUTED, "sum", "1.2", "0.4", "-1.6"),
        _worked("inside its interval", Verdict.SUPPORTED, "within", "0.91", "0.86", "0.95"),
        _worked("outside its interval", Verdict.REFUTED, "within", "0.97", "0.86", "0.95"),
        _worked("divided by nothing", Verdict.NOT_TESTABLE, "ratio", "1.0", "0.0", "2.0"),
    ),
)
