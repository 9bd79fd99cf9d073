"""Evidence level: a causal sentence rests on an intervention in the bundle's own run, not on looking.

Question: did the run change the activation the causal sentence is about, on real prompts?
Null: every event at the named place only read it, or nothing happened there.
Statistic: exact: at least one ledger row at the site and heads whose hook changed the activation; on fewer than 8 prompts that are less than a tenth of the run's, or where every output equals the unedited one, it is INCONCLUSIVE.
Blind spots: testimony (T1): whether the effect is real is for an ablation or patching claim to measure; an intervention without hooks leaves no row; outputs are compared only where the run also fed those prompts without the edit.
Source: Joshi et al. 2026, arXiv:2602.16698 (evidence ladder); METHODS 1.1, 7.3 K03.
"""

from typing import Annotated

from pydantic import Field

from pytest_mecheval.checks import ran
from pytest_mecheval.checks.check import Check, Example, Subject, no_negation
from pytest_mecheval.checks.spec import Spec
from pytest_mecheval.checks.worked import rerun_example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Rung, Verdict
from pytest_mecheval.wire import PlanStep

FEW_PROMPTS, SMALL_SHARE = 8, 0.1
"""An edit on fewer prompts than both, the share being of all that the run fed, is a token gesture."""


class EvidenceLevelSpec(Spec):
    """What a causal sentence must say before its evidence can be checked."""

    entry: str
    """Script (.py) or notebook (.ipynb) that is said to show it, relative to the bundle."""
    sites: tuple[str, ...] = ()
    """Module paths or hook names the sentence is about, whole or their last parts; empty: anywhere."""
    heads: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Heads the sentence is about; empty: any."""


def plan(spec: EvidenceLevelSpec, _subject: Subject) -> tuple[PlanStep, ...]:
    """One run."""
    return (ran.run_of(spec.entry),)


def decide(spec: EvidenceLevelSpec, _subject: Subject, evidence: Evidence) -> Decision:
    """An effective intervention at the place, or not."""
    place = f"{' or '.join(spec.sites) or 'any site'}"
    heads = f", heads {', '.join(map(str, spec.heads))}" if spec.heads else ""
    needed = f"an intervention that changes {place}{heads} in the run of {spec.entry}"
    if evidence.unavailable:
        return ran.not_runnable(evidence, needed)
    facts = evidence[ran.run_of(spec.entry)].facts
    if forgery := ran.forged(facts, needed):
        return forgery
    at_site = ran.at_sites(facts["edits"], spec.sites)
    changed = [row for row in at_site if ran.covers(str(row["heads"]), spec.heads)]
    if changed:
        reached = [row for row in changed if not row.get("unreached")]
        row = max(reached or changed, key=lambda each: int(each["prompts"]))
        done = f"{row['kind']} was written at {row['site']}{ran.placed(row)} on {row['prompts']} prompts"
        if not reached:
            said = f"{done}, and {ran.UNREACHED}"
            return Decision(Verdict.INCONCLUSIVE, "no influence", said, needed, Rung.L0)
        every = int(facts["prompts"])
        if int(row["prompts"]) < min(FEW_PROMPTS, SMALL_SHARE * every):
            said = f"{done} of the {every} that the model ran on"
            return Decision(Verdict.INCONCLUSIVE, "too few prompts", said, needed, Rung.L0)
        return Decision(Verdict.SUPPORTED, "", done, needed, Rung.L0)
    if not ran.crashed(facts) and (why := ran.blind(facts, "edit", "forward")):
        return Decision(Verdict.INCONCLUSIVE, "not observed", f"nothing: {why}", needed, Rung.L0)
    reads = ran.at_sites(facts["reads"], spec.sites)
    where = f"{reads[0]['site']}{ran.placed(reads[0])}" if reads else "nothing there"
    code = "only read" if reads or facts["reads"] else "no intervention"
    measured = (
        f"the run changed {len(at_site)} times other heads, and read {where}"
        if at_site
        else (f"the run changed nothing there and read {where}")
    )
    if ran.crashed(facts):
        measured = f"{measured}; {ran.ending(facts)}"
    return Decision(Verdict.REFUTED, code, measured, needed, Rung.L0)


def refuted_by(spec: EvidenceLevelSpec) -> str:
    """What would refute it."""
    return f"a complete ledger of {spec.entry} in which the place is only read, or never touched"


_SPEC = EvidenceLevelSpec(entry="run.py", sites=("attn.o",), heads=(1,))
_ROW = {
    "site": "blocks.0.attn.o",
    "kind": "zero",
    "heads": "1",
    "prompts": 128,
    "calls": 2,
    "places": ["run.py:31"],
}
_READ = {"site": "blocks.0.attn.pattern", "prompts": 128, "place": "run.py:22"}


def _worked(title: str, verdict: Verdict, **facts: object) -> Example:
    return rerun_example(title, _SPEC, plan, verdict, facts)


CHECK = Check(
    kind="evidence_level",
    dimension=Dimension.COHERENCE,
    rung=Rung.L0,
    spec=EvidenceLevelSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    needs_model=False,
    doc=__doc__,
    examples=(
        _worked("the head was ablated", Verdict.SUPPORTED, edits=[_ROW]),
        _worked(
            "ablated on one prompt beside many",
            Verdict.INCONCLUSIVE,
            edits=[{**_ROW, "prompts": 1}],
        ),
        _worked(
            "a second hook put it back", Verdict.INCONCLUSIVE, edits=[{**_ROW, "unreached": True}]
        ),
        _worked("attention was only averaged", Verdict.REFUTED, reads=[_READ]),
        _worked("another head was ablated", Verdict.REFUTED, edits=[{**_ROW, "heads": "3"}]),
        _worked("nothing was done", Verdict.REFUTED),
        _worked("not all was seen", Verdict.INCONCLUSIVE, truncated=["edit"]),
        _worked("it wrote into the ledger itself", Verdict.REFUTED, standing="forged"),
    ),
)
