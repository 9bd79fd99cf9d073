"""Depends on edit: a number said to come from an intervention changes when what was written is poisoned.

Question: does the stated number change when the values that the run's interventions wrote are replaced?
Null: the number, or even the model's output, comes out the same whatever the intervention writes.
Statistic: exact: two more runs of the script in which exactly the activations that its hooks changed are replaced, by the written value plus 1000 standard deviations of the site times noise (real influence), and by NaN (connectivity alone). The number must change under the first. The same under both: it is not computed from the edited forward; outputs that stay under NaN: nothing written there reaches them.
Blind spots: testimony (T1); a number that depends on the edit may still depend on it in the wrong way; interventions without hooks (weights written, `forward` replaced) cannot be poisoned, then NOT_TESTABLE; a share of the prompts may repeat by chance under one poison.
Source: METHODS 7.3 K02, X07.
"""

from typing import Annotated

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

_Said = tuple[Verdict, str, str]


class DependsOnEditSpec(Spec):
    """What a claim that a number comes from an intervention must say before it can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that computes it, relative to the bundle."""
    number: Annotated[str, AfterValidator(stated_number)]
    """The figure as the text writes it, quoted so that trailing zeros survive."""
    sites: tuple[str, ...] = ()
    """Where the intervention writes: module paths or hook names, whole or their last parts; empty: anywhere."""


def plan(spec: DependsOnEditSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """The run as it is, and with both poisons."""
    return (
        ran.run_of(spec.entry),
        ran.run_of(spec.entry, poison="finite", poison_sites=spec.sites),
        ran.run_of(spec.entry, poison="nan", poison_sites=spec.sites),
    )


def decide(spec: DependsOnEditSpec, subject: Subject, evidence: Evidence) -> Decision:
    """The number follows what was written, or not."""
    place = " or ".join(spec.sites) or "any site"
    needed = f"{spec.number} changes when what {spec.entry} writes at {place} is replaced"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    runs = [evidence[step].facts for step in plan(spec, subject)]
    for facts in runs:
        if forgery := ran.forged(facts, needed):
            return forgery
    verdict, code, measured = _before(spec, runs[0]) or _poisoned(spec, *runs)
    return Decision(verdict, code, measured, needed, Rung.L0)


def _before(spec: DependsOnEditSpec, real: Facts) -> _Said | None:
    """What the run as it is already decides."""
    if not ran.gives(real, spec.number):
        if not ran.crashed(real) and (why := ran.blind(real, "printed", "written")):
            return Verdict.INCONCLUSIVE, "not observed", f"{spec.number} did not appear; {why}"
        said = f"no number of {spec.entry} rounds to {spec.number}"
        return Verdict.REFUTED, "nobody computed it", said
    if why := ran.unrepeatable(real, spec.number):
        return Verdict.INCONCLUSIVE, "another number", f"{why}, so a change would show nothing"
    if ran.at_sites(real["edits"], spec.sites):
        return None
    if other := real["other_edits"]:
        said = f"no hook changed anything there, but the run changed {', '.join(other)}"
        return Verdict.NOT_TESTABLE, "nothing to poison", said
    if why := ran.blind(real, "edit", "forward"):
        return Verdict.INCONCLUSIVE, "not observed", f"no intervention was seen; {why}"
    return Verdict.REFUTED, "no intervention", f"{spec.entry} changed no activation there"


def _poisoned(spec: DependsOnEditSpec, real: Facts, finite: Facts, nan: Facts) -> _Said:
    if not finite["poisoned"]:
        said = "none of the written values could be replaced"
        return Verdict.NOT_TESTABLE, "nothing to poison", said
    done = f"{finite['poisoned']} written activations were replaced"
    moved = not ran.stays(real, finite, spec.number)
    if moved and ran.crashed(finite) and not ran.crashed(real):
        return Verdict.INCONCLUSIVE, "not observed", f"{done}, and {ran.ending(finite)}"
    rows = ran.at_sites(real["edits"], spec.sites)
    if moved and rows and all(row.get("unreached") for row in rows):
        # Something written there is used, but what the run really wrote came to nothing.
        return (
            Verdict.INCONCLUSIVE,
            "no influence",
            f"{done}, but in the run as it is {ran.UNREACHED}",
        )
    if moved:
        _, instead = ran.counterparts(real, finite, spec.number)
        others = [number for number in instead if not ran.rounds_to(number, spec.number)]
        shown = others[0] if others else "no such number"
        return Verdict.SUPPORTED, "", f"{done}, and {spec.number} became {shown}"
    broken = ran.crashed(nan) and not ran.crashed(real)
    reached = broken or nan["edited_outputs"] != real["edited_outputs"]
    if not reached:
        said = f"{done}, by NaN too, and no output of the model changed"
        return Verdict.REFUTED, "disconnected", said
    if broken or not ran.stays(real, nan, spec.number):
        if ran.may_repeat(spec.number, real):
            said = f"{done}, and {spec.number} stayed, as a share of so many prompts may by chance"
            return Verdict.INCONCLUSIVE, "no influence", said
        said = f"{done}, and {spec.number} stayed; only NaN reaches it"
        return Verdict.REFUTED, "no influence", said
    said = f"{done}, by NaN too: outputs changed, {spec.number} stayed"
    return Verdict.REFUTED, "disconnected", said


def refuted_by(spec: DependsOnEditSpec) -> str:
    """What would refute it."""
    return f"{spec.number} coming out of {spec.entry} whatever its interventions write"


_SPEC = DependsOnEditSpec(entry="run.py", number="2.493", sites=("attn.o",))
_ROW = {
    "site": "blocks.0.attn.o",
    "kind": "zero",
    "heads": "2",
    "prompts": 128,
    "calls": 1,
    "places": ["run.py:31"],
}
_REAL: dict[str, object] = {"numbers": ["2.4931"], "edits": [_ROW]}
_STAYED: dict[str, object] = {"numbers": ["2.4931"], "poisoned": 1, "edited_outputs": "b"}
_MOVED: dict[str, object] = {**_STAYED, "numbers": ["81.2"]}
_UNREACHED: dict[str, object] = {**_STAYED, "edited_outputs": "a"}
_UNSTABLE = {**AS_WATCHED, "unstable_numbers": ["2.4931"]}


def _worked(
    title: str,
    verdict: Verdict,
    finite: dict[str, object],
    nan: dict[str, object] = _MOVED,
    **real: object,
) -> Example:
    return rerun_example(title, _SPEC, plan, verdict, {**_REAL, **real}, finite, nan)


CHECK = Check(
    kind="depends_on_edit",
    dimension=Dimension.COHERENCE,
    rung=Rung.L0,
    spec=DependsOnEditSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    needs_model=False,
    figures=lambda spec: {"number": spec.number},
    doc=__doc__,
    examples=(
        _worked("the number follows what is written", Verdict.SUPPORTED, _MOVED),
        _worked("it comes from cached clean logits", Verdict.REFUTED, _STAYED, _STAYED),
        _worked("what is written reaches no output", Verdict.REFUTED, _UNREACHED, _UNREACHED),
        _worked("it is multiplied by zero afterwards", Verdict.REFUTED, _STAYED, _MOVED),
        _worked(
            "a second hook put it back",
            Verdict.INCONCLUSIVE,
            _MOVED,
            edits=[{**_ROW, "unreached": True}],
        ),
        _worked("nobody computed it", Verdict.REFUTED, _MOVED, numbers=["0.8"]),
        _worked("no intervention ran", Verdict.REFUTED, _STAYED, edits=[]),
        _worked("weights were written", Verdict.NOT_TESTABLE, _STAYED, edits=[], other_edits=["w"]),
        _worked("nothing was replaced", Verdict.NOT_TESTABLE, {**_STAYED, "poisoned": 0}),
        _worked("it never repeats", Verdict.INCONCLUSIVE, _MOVED, watched=_UNSTABLE),
        _worked(
            "it crashes on what is written",
            Verdict.INCONCLUSIVE,
            {**_MOVED, "numbers": [], "exit_code": 1},
        ),
        _worked(
            "most was not seen", Verdict.INCONCLUSIVE, _STAYED, edits=[], unobserved_share=0.99
        ),
        _worked("the ledger was forged", Verdict.REFUTED, _MOVED, standing="forged"),
    ),
)
