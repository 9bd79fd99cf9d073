"""Attribution: a component writes the answer's direction directly into the residual stream. Correlation only.

Question: what share of the logit difference does the component contribute directly (direct logit attribution)?
Null: its share of the total is at most `min_share`.
Statistic: ratio of means through the paired margin contribution - min_share * logit difference, betting bound; matched components pass through the same rule as sham claims; `special` adds dominance.
Blind spots: rung L1: later components may erase what this one writes; LayerNorm's scale is frozen; indirect effects are invisible. A causal sentence needs an ablation claim.
Source: Janiak et al. 2023, arXiv:2310.07325 (attribution misleads under erasure); METHODS C-DLA.
"""

from typing import Annotated, Literal

from pydantic import Field

from pytest_mecheval.checks import edit_effect, steps
from pytest_mecheval.checks.check import Check, Subject
from pytest_mecheval.checks.edit_effect import Comparison
from pytest_mecheval.checks.effect_rule import Claimed, rule
from pytest_mecheval.checks.pool import matched_sets
from pytest_mecheval.checks.spec import ComponentName, MeasuredSpec
from pytest_mecheval.checks.worked import CLEAN, Score, edit_scores, example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.vocabulary import Component, Dimension, Metric, Rung, Verdict
from pytest_mecheval.wire import Attribution, PlanStep

WRITERS = ("head", "mlp")
"""Components that write to the residual stream on their own."""


class AttributionSpec(MeasuredSpec):
    """What a claim about direct logit attribution must say before it can be checked."""

    component: ComponentName
    """The writing head or MLP, such as `a1.h1` or `m0`."""
    min_share: Annotated[float, Field(gt=0)] = 0.1
    """Smallest share of the mean logit difference that supports the claim (no unit)."""
    direction: Literal["promotes", "suppresses"] = "promotes"
    """Whether it writes for the answer or against it."""
    special: bool = False
    """The claim says no other component writes as much."""


def plan(spec: AttributionSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """Unedited runs and the attribution of the component and of matched ones."""
    if edit_effect.missing(subject, (spec.component,)):
        return ()
    names = (spec.component, *_controls(spec, subject))
    return (
        *_comparison(spec).baseline_steps(),
        *(_step(spec, name) for name in names),
    )


def decide(spec: AttributionSpec, subject: Subject, evidence: Evidence) -> Decision:
    """The effect rule on the direct contribution; the rung stays L1."""
    if edit_effect.missing(subject, (spec.component,)):
        return edit_effect.no_such_component(subject, (spec.component,), Rung.L1)
    if evidence.unavailable:
        return edit_effect.unavailable(evidence, Rung.L1, _needed(spec))
    baselines = _comparison(spec).read(evidence)
    if not baselines.behaves:
        return edit_effect.no_behaviour(baselines, Rung.L1, _needed(spec))
    written = _written(spec, evidence, spec.component)
    controls = _controls(spec, subject)
    claimed = Claimed(
        effect=written,
        needed=spec.min_share * baselines.clean,
        controls={name: _written(spec, evidence, name) for name in controls},
        special=spec.special,
    )
    ruling = rule(claimed, baselines.inference)
    estimate = baselines.inference.share(written, baselines.clean)
    return Decision(
        ruling.verdict,
        ruling.code,
        f"{spec.component} directly writes {estimate} of the logit difference {_side(spec)}",
        _needed(spec),
        Rung.L1,
        estimate=estimate,
        threshold=spec.min_share,
        controls=tuple(baselines.as_share(control) for control in ruling.controls),
        shams=ruling.shams,
        p_value=ruling.p_value,
        notes=(*ruling.notes, "direct attribution is correlational: later layers may erase it"),
    )


def _controls(spec: AttributionSpec, subject: Subject) -> tuple[str, ...]:
    target = Component.parse(spec.component)
    return tuple(names[0] for names in matched_sets(subject, (target,), special=spec.special))


def _written(spec: AttributionSpec, evidence: Evidence, name: str) -> Values:
    values = evidence.values(_step(spec, name))
    return values if spec.direction == "promotes" else -values


def _step(spec: AttributionSpec, name: str) -> PlanStep:
    return PlanStep(steps.prompts(spec.task, spec.stratum, "evaluation"), Attribution(name))


def _comparison(spec: AttributionSpec) -> Comparison:
    return Comparison(spec.task, spec.stratum, Metric.LOGIT_DIFF)


def _side(spec: AttributionSpec) -> str:
    """Which way counts as positive, so that a share of the other sign reads as what it is."""
    return f"{'for' if spec.direction == 'promotes' else 'against'} the answer"


def _needed(spec: AttributionSpec) -> str:
    special = ", and more than every matched component" if spec.special else ""
    return (
        f"a direct contribution above {spec.min_share:.3g} of the logit difference {_side(spec)} with "
        f"{edit_effect.CONFIDENCE} confidence{special}"
    )


def negate(spec: AttributionSpec, _subject: Subject) -> AttributionSpec:
    """The same component writing the other way."""
    other = "suppresses" if spec.direction == "promotes" else "promotes"
    return spec.model_copy(update={"direction": other})


def refuted_by(spec: AttributionSpec) -> str:
    """What would refute it."""
    return f"an upper bound of its direct share below {spec.min_share:.3g}"


def problems(spec: AttributionSpec, subject: Subject) -> tuple[str, ...]:
    """Unknown task or stratum; a component that does not write on its own."""
    found = edit_effect.subject_problems(spec.task, spec.stratum, subject)
    if Component.parse(spec.component).kind not in WRITERS:
        found = (*found, f"{spec.component} is neither head nor MLP (allowed: a1.h6, m0)")
    return found


def _writes(shares: dict[str, float]) -> Score:
    unedited = edit_scores({})

    def score(step: PlanStep) -> float:
        if isinstance(step.probe, Attribution):
            return CLEAN * shares.get(step.probe.component, 0.0)
        return unedited(step)

    return score


_SPEC = AttributionSpec(task="repeated", component="a1.h1", min_share=0.5)

CHECK = Check(
    kind="attribution",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L1,
    spec=AttributionSpec,
    plan=plan,
    decide=decide,
    negate=negate,
    refuted_by=refuted_by,
    cues=r"direct|writes?\b|attribut|DLA\b|contribut|promot|suppress|logit lens",
    problems=problems,
    doc=__doc__,
    examples=(
        example("it writes the answer", _SPEC, plan, _writes({"a1.h1": 0.9}), Verdict.SUPPORTED),
        example("it writes nothing", _SPEC, plan, _writes({"a1.h2": 0.9}), Verdict.REFUTED),
        example("it writes against it", _SPEC, plan, _writes({"a1.h1": -0.9}), Verdict.REFUTED),
        example(
            "every head writes as much",
            _SPEC.model_copy(update={"min_share": 0.1}),
            plan,
            _writes({f"a{layer}.h{head}": 0.3 for layer in (0, 1) for head in range(4)}),
            Verdict.VACUOUS,
        ),
    ),
)
