"""Hard-coded: a stated number depends on the model and its inputs, so it must change when they do.

Question: does the script give another number on shuffled weights, on other random inputs, and, where the claim says so, with its heads permuted?
Null: the number comes out the same although what it is said to depend on is another.
Statistic: exact, per part: shuffled weights (in what is loaded, or in a model that code builds, before its first measuring forward); every seed shifted, where that changes the model's inputs; half the data, where the script takes an argument for it; heads permuted, where the claim says whether the number is one of the model's (must stay, within one in the last stated digit, for the function stays) or of particular heads (must change). On shuffled weights a change of less than a hundredth is none: noise on a typed-in number. Hard-coded when it stays in all parts where it must change, or in two of them. A share of the prompts may repeat by chance and must change only with the weights and heads.
Blind spots: numbers that do not depend on the weights (counts, sizes) are no business of this kind; a model trained in the run has nothing to shuffle that lasts, then NOT_TESTABLE; half the data cannot be made from outside, only asked for; noise of more than a hundredth that follows the model hides a typed-in number; a number picked out of many runs or seeds follows the weights all the same (only `reported_number` measures it on other prompts).
Source: METHODS R04, CTL-3; Adebayo et al. 2018, arXiv:1810.03292 (parameter randomisation).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.ran import Facts
from pytest_mecheval.checks.spec import Spec, stated_number
from pytest_mecheval.checks.worked import AS_WATCHED, rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep

SEED_SHIFT = 1000
"""Added to every seed; far from the neighbouring seeds a script may loop over."""
HARDLY = 0.01
"""Share of the number within which it has not moved: on weights without a function everything changes."""
ENOUGH_STAYS = 2
"""Parts in which a number that must change may stay before it counts as typed in (METHODS R04)."""

NO_HALF = "half the data: not testable, the claim states no argument for it"
_Said = tuple[Verdict, str, str]
Part = tuple[Literal["moved", "stayed", "untested"], str]
"""What one changed run shows, and one sentence about it."""


class HardCodedSpec(Spec):
    """What a claim that a number depends on the model must say before it can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that computes it, relative to the bundle."""
    number: Annotated[str, AfterValidator(stated_number)]
    """The figure as the text writes it, quoted so that trailing zeros survive."""
    depends_on: Literal["model", "heads"] | None = None
    """`model`: a number of the whole model, which stays when heads change places; `heads`: the effect of particular heads, which then changes; not stated: that part is left out."""
    half_data: str = ""
    """The entry point with words that make it use half of its data (`run.py --n 64`); empty: it has none."""


def plan(spec: HardCodedSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """The run as it is, on shuffled weights, with other seeds, and what else the claim says."""
    steps = [
        ran.run_of(spec.entry),
        ran.run_of(spec.entry, sham="shuffle"),
        ran.run_of(spec.entry, seed_shift=SEED_SHIFT),
    ]
    if spec.half_data:
        steps.append(ran.run_of(spec.half_data))
    if spec.depends_on:
        steps.append(ran.run_of(spec.entry, sham="headperm"))
    return tuple(steps)


def decide(spec: HardCodedSpec, subject: Subject, evidence: Evidence) -> Decision:
    """The number is there, and follows what it is said to depend on."""
    needed = f"{spec.entry} gives {spec.number}, and another number on shuffled weights"
    if spec.depends_on == "model":
        needed += ", and the same with the heads permuted"
    elif spec.depends_on == "heads":
        needed += " and with the heads permuted"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    steps = plan(spec, subject)
    for step in steps:
        if forgery := ran.forged(evidence[step].facts, needed):
            return forgery
    verdict, code, measured = _judged(spec, *(evidence[step].facts for step in steps))
    return Decision(verdict, code, measured, needed, Rung.L0)


def _judged(
    spec: HardCodedSpec, real: Facts, shuffled: Facts, reseeded: Facts, *more: Facts
) -> _Said:
    if not ran.gives(real, spec.number):
        if not ran.crashed(real) and (why := ran.blind(real, "printed", "written")):
            return Verdict.INCONCLUSIVE, "not observed", f"{spec.number} did not appear; {why}"
        said = f"no number of {spec.entry} rounds to {spec.number}"
        return Verdict.REFUTED, "nobody computed it", said
    if why := ran.unrepeatable(real, spec.number):
        return Verdict.INCONCLUSIVE, "another number", f"{why}, so a change would show nothing"
    weights = _weights(spec, real, shuffled)
    others = [_seed(spec, real, reseeded)]
    others.append(_half(spec, real, more[0]) if spec.half_data else ("untested", NO_HALF))
    heads = _heads(spec, real, more[-1]) if spec.depends_on else None
    parts = [weights, *others]
    if heads and spec.depends_on == "heads":
        parts.append(heads)
    said = "; ".join(
        text for _, text in (parts if heads is None or heads in parts else [*parts, heads])
    )
    stayed = sum(part == "stayed" for part, _ in parts)
    tested = sum(part != "untested" for part, _ in parts)
    if stayed and stayed >= min(tested, ENOUGH_STAYS):
        return Verdict.REFUTED, "hard-coded", said
    if heads and spec.depends_on == "model" and heads[0] == "moved":
        return Verdict.REFUTED, "another number", said
    if heads and spec.depends_on == "heads" and heads[0] == "stayed":
        # Or the head that took its place has the same effect: only other heads' effects could tell.
        return Verdict.INCONCLUSIVE, "not from these heads", said
    if weights[0] == "stayed":
        return Verdict.INCONCLUSIVE, "not from the weights", said
    if weights[0] == "untested":
        code = "not observed" if ran.crashed(shuffled) else "no model load intercepted"
        verdict = Verdict.INCONCLUSIVE if ran.crashed(shuffled) else Verdict.NOT_TESTABLE
        return verdict, code, said
    if heads and heads[0] == "untested":
        return Verdict.NOT_TESTABLE, "heads not permuted", said
    return Verdict.SUPPORTED, "", said


def _weights(spec: HardCodedSpec, real: Facts, other: Facts) -> Part:
    if not other["sham_applied"]:
        why = "; ".join(other["sham_reasons"]) or "no model load intercepted and no model built"
        return "untested", f"shuffled weights: not testable, {why}"
    if ran.stays(real, other, spec.number):
        return "stayed", f"{spec.entry} gives {spec.number} on shuffled weights too"
    if ran.hardly_moves(real, other, spec.number, HARDLY):
        instead = _instead(spec, real, other)
        return (
            "stayed",
            f"{spec.entry} gives {spec.number}, and {instead} on shuffled weights, hardly another number",
        )
    if ran.crashed(other):
        return "untested", f"on shuffled weights {ran.ending(other)}, so nothing can be compared"
    return (
        "moved",
        f"{spec.entry} gives {spec.number}, and {_instead(spec, real, other)} on shuffled weights",
    )


def _seed(spec: HardCodedSpec, real: Facts, other: Facts) -> Part:
    if not real["seeds"]:
        return "untested", "other seeds: not testable, the script sets none"
    if ran.crashed(other):
        return "untested", f"with other seeds {ran.ending(other)}"
    if real["inputs_digest"] == other["inputs_digest"]:
        return "untested", "other seeds: not testable, they change no input of the model"
    return _repeated(spec, real, other, "with other seeds")


def _half(spec: HardCodedSpec, real: Facts, other: Facts) -> Part:
    if ran.crashed(other):
        return "untested", f"with half the data {ran.ending(other)}"
    if not 0 < other["prompts"] < real["prompts"]:
        said = f"{other['prompts']} prompts after {real['prompts']}"
        return "untested", f"half the data: not testable, its arguments gave {said}"
    return _repeated(spec, real, other, "with half the data")


def _repeated(spec: HardCodedSpec, real: Facts, other: Facts, when: str) -> Part:
    mine, theirs = ran.counterparts(real, other, spec.number)
    if not set(mine) <= set(theirs):
        return "moved", f"{_instead(spec, real, other)} {when}"
    if ran.may_repeat(spec.number, real):
        return "untested", f"the same {when}, as a share of {real['prompts']} prompts may be"
    return "stayed", f"{spec.number} {when} too, to the last printed digit"


def _heads(spec: HardCodedSpec, real: Facts, other: Facts) -> Part:
    if not other["sham_applied"]:
        why = "; ".join(other["sham_reasons"]) or "no model load intercepted and no model built"
        return "untested", f"heads permuted: not testable, {why}"
    if ran.crashed(other):
        return "untested", f"with heads permuted {ran.ending(other)}"
    # The function stays, but sums run in another order: one in the last stated digit may differ.
    slack = 1 if spec.depends_on == "model" else 0
    if ran.stays(real, other, spec.number, slack=slack):
        return "stayed", f"{spec.number} with heads permuted too"
    return "moved", f"{_instead(spec, real, other)} with heads permuted"


def _instead(spec: HardCodedSpec, real: Facts, other: Facts) -> str:
    _, theirs = ran.counterparts(real, other, spec.number)
    found = [number for number in theirs if not ran.rounds_to(number, spec.number)] or theirs
    return found[0] if found else "no such number"


def refuted_by(spec: HardCodedSpec) -> str:
    """What would refute it."""
    return f"{spec.number} coming out of {spec.entry} although the weights were shuffled"


_GIVEN: dict[str, object] = {"numbers": ["0.91374"]}
_OTHER: dict[str, object] = {"numbers": ["0.5512"], "inputs_digest": "b"}
_SHAM: dict[str, object] = {"sham_applied": True, "numbers": ["0.0312"]}
_SAME: dict[str, object] = {**_GIVEN, "sham_applied": True}


def _worked(
    title: str,
    verdict: Verdict,
    shuffled: dict[str, object],
    reseeded: dict[str, object] = _OTHER,
    *more: dict[str, object],
    real: dict[str, object] = _GIVEN,
    **spec: object,
) -> Example:
    stated = HardCodedSpec.model_validate({"entry": "run.py", "number": "0.9137", **spec})
    return rerun_example(title, stated, plan, verdict, real, shuffled, reseeded, *more)


_UNSTABLE = {"watched": {**AS_WATCHED, "unstable_numbers": ["0.91374"]}}

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
        _worked("it moves with weights and seeds", Verdict.SUPPORTED, _SHAM),
        _worked("it stays whatever the weights", Verdict.REFUTED, _SAME, _GIVEN),
        _worked(
            "it stays with weights and seeds",
            Verdict.REFUTED,
            _SAME,
            {**_GIVEN, "inputs_digest": "b"},
        ),
        _worked(
            "typed in, with noise on it",
            Verdict.REFUTED,
            {**_SHAM, "numbers": ["0.91391"]},
            {"numbers": ["0.91367"], "inputs_digest": "b"},
            real={"numbers": ["0.91367"]},
        ),
        _worked("it moves with the seed alone", Verdict.INCONCLUSIVE, _SAME),
        _worked(
            "it knows the weights, but neither seed nor data",
            Verdict.REFUTED,
            _SHAM,
            {**_GIVEN, "inputs_digest": "b"},
            {**_GIVEN, "prompts": 64},
            half_data="run.py --n 64",
        ),
        _worked(
            "the argument for half the data does nothing",
            Verdict.SUPPORTED,
            _SHAM,
            _OTHER,
            _GIVEN,
            half_data="run.py --n 64",
        ),
        _worked(
            "the model's own number", Verdict.SUPPORTED, _SHAM, _OTHER, _SAME, depends_on="model"
        ),
        _worked(
            "typed in for these weights",
            Verdict.REFUTED,
            _SHAM,
            _OTHER,
            {**_SHAM, "numbers": ["0.9066"]},
            depends_on="model",
        ),
        _worked("an effect of heads", Verdict.SUPPORTED, _SHAM, _OTHER, _SHAM, depends_on="heads"),
        _worked(
            "an effect of no head", Verdict.INCONCLUSIVE, _SHAM, _OTHER, _SAME, depends_on="heads"
        ),
        _worked(
            "heads of unknown layout",
            Verdict.NOT_TESTABLE,
            _SHAM,
            _OTHER,
            {**_GIVEN, "sham_reasons": ["no attention weights with a known layout"]},
            depends_on="heads",
        ),
        _worked("nobody computed it", Verdict.REFUTED, _SHAM, real={"numbers": ["0.8"]}),
        _worked("it never repeats", Verdict.INCONCLUSIVE, _SHAM, real={**_GIVEN, **_UNSTABLE}),
        _worked("nothing was loaded or built", Verdict.NOT_TESTABLE, _GIVEN),
        _worked(
            "it crashes without its weights",
            Verdict.INCONCLUSIVE,
            {"sham_applied": True, "exit_code": 1},
        ),
        _worked("the ledger was forged", Verdict.REFUTED, {"standing": "forged"}),
    ),
)
