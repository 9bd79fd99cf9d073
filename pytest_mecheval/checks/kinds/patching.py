"""Patching: an activation carries what the behaviour needs, shown by moving it between runs.

Question: what share of the clean-counterfactual gap does moving the components' activations restore (denoising) or destroy (noising)?
Null: the moved share of the gap is at most `min_share`.
Statistic: ratio of means (never a mean of ratios) through the paired margin effect - min_share * gap, 99 % betting bound; matched controls and sham claims under the same rule.
Blind spots: denoising shows that a cut is sufficient, not the whole circuit; noising misses OR-gates and backups; the two are not symmetric and never stand in for each other.
Source: Heimersheim & Nanda 2024, arXiv:2404.15255; path patching: Goldowsky-Dill et al. 2023, arXiv:2304.05969; METHODS 3.2, C-PATCH, C-PATH.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pytest_mecheval.checks import edit_effect
from pytest_mecheval.checks.check import Check, Subject, no_negation
from pytest_mecheval.checks.edit_effect import Comparison
from pytest_mecheval.checks.effect_rule import Claimed, rule
from pytest_mecheval.checks.pool import control_edits
from pytest_mecheval.checks.spec import ComponentNames, MeasuredSpec, receiver_name
from pytest_mecheval.checks.worked import CLEAN, edit_scores, example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Metric, Rung, Verdict
from pytest_mecheval.wire import Intervention, PlanStep

ReceiverName = Annotated[str, AfterValidator(receiver_name)]


class PatchingSpec(MeasuredSpec):
    """What a patching claim must say before it can be checked."""

    components: ComponentNames
    """Whose activations are moved together."""
    direction: Literal["denoising", "noising"]
    """`denoising`: clean into the counterfactual run (sufficient); `noising`: the reverse (necessary)."""
    positions: str
    """`all`, or one named position of the task."""
    metric: Metric
    """Read at the answer position, one value per prompt."""
    min_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Smallest share of the clean-counterfactual gap that supports the claim (no unit)."""
    receivers: tuple[ReceiverName, ...] = ()
    """Path patching: only these inputs, such as `a1.h1.k`, see the change; needs direction noising."""
    special: bool = False
    """The claim says these components are exceptional (key, specifically, the, most)."""


def plan(spec: PatchingSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """Unedited runs, the patch and the same patch at matched components."""
    if edit_effect.missing(subject, _named(spec)):
        return ()
    comparison = _comparison(spec)
    edit = _edit(spec)
    edits = {"claimed": edit, **control_edits(subject, edit, special=spec.special)}
    return (
        *comparison.baseline_steps(),
        *(comparison.run("evaluation", each) for each in edits.values()),
    )


def decide(spec: PatchingSpec, subject: Subject, evidence: Evidence) -> Decision:
    """The effect rule on the moved share of the gap."""
    if edit_effect.missing(subject, _named(spec)):
        return edit_effect.no_such_component(subject, _named(spec), Rung.L2)
    needed_text = _needed(spec)
    if evidence.unavailable:
        return edit_effect.unavailable(evidence, Rung.L2, needed_text)
    baselines = _comparison(spec).read(evidence)
    if not baselines.behaves:
        return edit_effect.no_behaviour(baselines, Rung.L2, needed_text)
    edit = _edit(spec)
    controls = control_edits(subject, edit, special=spec.special)
    effect = baselines.effect(evidence, "evaluation", edit)
    claimed = Claimed(
        effect=effect,
        needed=spec.min_share * baselines.gap,
        controls={
            name: baselines.effect(evidence, "evaluation", other)
            for name, other in controls.items()
        },
        special=spec.special,
    )
    ruling = rule(claimed, baselines.inference)
    estimate = baselines.inference.share(effect, baselines.gap)
    verb = "restores" if spec.direction == "denoising" else "destroys"
    path = f" through {' + '.join(spec.receivers)}" if spec.receivers else ""
    return Decision(
        ruling.verdict,
        ruling.code,
        f"{spec.direction} {' + '.join(spec.components)}{path} at {spec.positions} positions {verb} "
        f"{estimate} of the {spec.metric} gap",
        needed_text,
        Rung.L2,
        estimate=estimate,
        threshold=spec.min_share,
        controls=tuple(baselines.as_share(control) for control in ruling.controls),
        shams=ruling.shams,
        p_value=ruling.p_value,
        notes=ruling.notes,
    )


def _named(spec: PatchingSpec) -> tuple[str, ...]:
    return (*spec.components, *(name.rpartition(".")[0] for name in spec.receivers))


def _comparison(spec: PatchingSpec) -> Comparison:
    return Comparison(spec.task, spec.stratum, spec.metric)


def _edit(spec: PatchingSpec) -> Intervention:
    denoising = spec.direction == "denoising"
    return Intervention(
        tuple(sorted(spec.components)),
        "clean" if denoising else "counterfactual",
        base="counterfactual" if denoising else "clean",
        positions=spec.positions,
        receivers=tuple(sorted(spec.receivers)),
    )


def _needed(spec: PatchingSpec) -> str:
    special = ", and more than every matched control" if spec.special else ""
    return (
        f"a share above {spec.min_share:.3g} of the clean-counterfactual gap with "
        f"{edit_effect.CONFIDENCE} confidence{special}"
    )


def refuted_by(spec: PatchingSpec) -> str:
    """What would refute it."""
    return f"an upper bound of the moved share below {spec.min_share:.3g}"


def problems(spec: PatchingSpec, subject: Subject) -> tuple[str, ...]:
    """Unknown task, stratum or position; a path that no signal can take."""
    found = list(edit_effect.subject_problems(spec.task, spec.stratum, subject, spec.positions))
    if spec.receivers and spec.direction != "noising":
        found.append("receivers (path patching) need direction: noising")
    if spec.receivers:
        found.extend(edit_effect.path_problems(spec.components, spec.receivers))
    return tuple(found)


_SPEC = PatchingSpec(
    task="repeated",
    components=("a1.h1",),
    direction="noising",
    positions="all",
    metric=Metric.LOGIT_DIFF,
    min_share=0.5,
)
_DENOISING = _SPEC.model_copy(update={"direction": "denoising"})

CHECK = Check(
    kind="patching",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L2,
    spec=PatchingSpec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    cues=r"patch|into\b|swap|restor|recover|destroy|mov(?:e|ing)|interchang|counterfactual|gap\b|through\b|seen\b|compos|necess|suffic|caus",
    claimed=lambda spec: spec.components,
    problems=problems,
    doc=__doc__,
    examples=(
        example("noising breaks it", _SPEC, plan, edit_scores({"a1.h1": -4.0}), Verdict.SUPPORTED),
        example("noising does little", _SPEC, plan, edit_scores({"a1.h1": 4.0}), Verdict.REFUTED),
        example(
            "denoising restores it",
            _DENOISING,
            plan,
            edit_scores({"a1.h1": 0.8 * CLEAN}),
            Verdict.SUPPORTED,
        ),
        example(
            "denoising restores nothing",
            _DENOISING,
            plan,
            edit_scores({"a1.h1": -0.9 * CLEAN}),
            Verdict.REFUTED,
        ),
        example(
            "right at the share", _SPEC, plan, edit_scores({"a1.h1": 0.0}), Verdict.INCONCLUSIVE
        ),
    ),
)
