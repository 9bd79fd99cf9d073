"""Faithfulness: the circuit alone does what the model does.

Question: with everything outside the circuit ablated, what share of the model's performance is left?
Null: the share f = (circuit - empty) / (model - empty) is at most `min_faithfulness`, or beyond 2 - `min_faithfulness`.
Statistic: f as a ratio of means, tested through paired margins with betting bounds; random circuits of the same mix must do worse by squared deviation from the model (dominance, or 96 of 100), and pass through the same rule as sham claims.
Blind spots: averages can hide single prompts; the answer depends on the ablation value and on node granularity; says nothing about minimality.
Source: Wang et al. 2022, arXiv:2211.00593; formula as in MIB, arXiv:2504.13151; random circuits: Shi et al. 2024, arXiv:2410.13032; METHODS C-FAITH, C-RANDC.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from pytest_mecheval.checks import edit_effect, steps
from pytest_mecheval.checks.check import Check, Subject
from pytest_mecheval.checks.edit_effect import Comparison
from pytest_mecheval.checks.inference import ALPHA, Inference
from pytest_mecheval.checks.pool import MAX_CONTROLS, component_sets
from pytest_mecheval.checks.spec import InterventionSpec
from pytest_mecheval.checks.worked import CLEAN, SUBJECT, Score, example
from pytest_mecheval.evidence.decision import Control, Decision, Shams
from pytest_mecheval.evidence.measurement import Evidence, Values
from pytest_mecheval.stats import proportion, shams
from pytest_mecheval.vocabulary import Component, Dimension, Metric, Rung, Verdict
from pytest_mecheval.wire import Intervention, PlanStep, Run

RANDOM_SHARE = 0.9
"""The circuit must beat more than this share of random circuits (Shi et al., q*)."""
RANDOM_ALPHA = 0.05
"""Level of that binomial test; with 100 random circuits it asks for 96 (METHODS C-RANDC)."""
FEWEST_RANDOM = 3
"""Fewer random circuits than this and nothing can be compared."""


class FaithfulnessSpec(InterventionSpec):
    """What a claim about a circuit must say; `components` is the circuit, `value` ablates all others."""

    min_faithfulness: Annotated[float, Field(gt=0, lt=1)]
    """Smallest share of the model's performance the circuit must keep (no unit)."""


def plan(spec: FaithfulnessSpec, subject: Subject) -> tuple[PlanStep, ...]:
    """Unedited runs, the circuit alone, the empty circuit, random circuits alone."""
    if edit_effect.missing(subject, spec.components):
        return ()
    comparison = _comparison(spec)
    circuits = (spec.components, (), *_random_circuits(spec, subject).values())
    return (
        *comparison.baseline_steps(),
        *(comparison.run("evaluation", _alone(spec, subject, circuit)) for circuit in circuits),
    )


def decide(spec: FaithfulnessSpec, subject: Subject, evidence: Evidence) -> Decision:
    """The share left by the circuit, between its two limits and above random circuits'."""
    if edit_effect.missing(subject, spec.components):
        return edit_effect.no_such_component(subject, spec.components, Rung.L2)
    if evidence.unavailable:
        return edit_effect.unavailable(evidence, Rung.L2, _needed(spec))
    comparison = _comparison(spec)
    baselines = comparison.read(evidence)
    if not baselines.behaves:
        return edit_effect.no_behaviour(baselines, Rung.L2, _needed(spec))
    sign = -1.0 if spec.metric.lower_is_better else 1.0

    def score(circuit: tuple[str, ...]) -> Values:
        return sign * evidence.values(comparison.run("evaluation", _alone(spec, subject, circuit)))

    model, empty = sign * baselines.clean, score(())
    inference = baselines.inference
    if not inference.exceeds(model - empty, inference.tolerance):
        return _no_range(spec, inference, model - empty)
    randoms = {name: score(c) for name, c in _random_circuits(spec, subject).items()}
    circuit = score(spec.components)
    verdict, code, p_value = _share_verdict(spec, circuit, empty, model, inference)
    passed = [
        name
        for name, other in randoms.items()
        if _share_verdict(spec, other, empty, model, inference)[0] is Verdict.SUPPORTED
    ]
    sham = Shams(len(passed), len(randoms), tuple(passed))
    beaten_p = _random_p(circuit, randoms, model, inference)
    if shams.is_vacuous(sham.passed, sham.tried):
        verdict, code = Verdict.VACUOUS, "random circuits pass too"
    elif verdict is Verdict.SUPPORTED and beaten_p is None:
        verdict, code = Verdict.INCONCLUSIVE, "no random circuit to compare with"
    elif verdict is Verdict.SUPPORTED and not beaten_p:
        verdict, code = Verdict.INCONCLUSIVE, "not shown to beat random circuits"
    share = inference.share(circuit - empty, model - empty)
    scale = float((model - empty).mean())
    return Decision(
        verdict,
        code,
        f"{' + '.join(spec.components)} alone, the rest {spec.value}-ablated, keeps {share} of {spec.metric}",
        _needed(spec),
        Rung.L2,
        estimate=share,
        threshold=spec.min_faithfulness,
        controls=tuple(
            Control(name, float((values - empty).mean()) / scale)
            for name, values in randoms.items()
        ),
        shams=sham,
        p_value=None if inference.exhaustive else p_value,
        notes=(
            f"node granularity, {spec.value} ablation of the complement at {spec.positions} positions, "
            f"{len(randoms)} random circuits of the same mix",
        ),
    )


def _share_verdict(
    spec: FaithfulnessSpec, circuit: Values, empty: Values, model: Values, inference: Inference
) -> tuple[Verdict, str, float]:
    """Whether f lies between its limits; f above 1 is no better than f below (METHODS C-FAITH)."""
    left, whole = circuit - empty, model - empty
    above = left - spec.min_faithfulness * whole
    below = (2 - spec.min_faithfulness) * whole - left
    p_value = max(inference.p_above(above, 0.0), inference.p_above(below, 0.0))
    if inference.falls_below(above, 0.0, ALPHA / 2):
        return Verdict.REFUTED, "too little is left", p_value
    if inference.falls_below(below, 0.0, ALPHA / 2):
        return Verdict.REFUTED, "overshoots the model", p_value
    if not all(inference.exceeds(margin, 0.0) for margin in (above, below)):
        return Verdict.INCONCLUSIVE, "underpowered", p_value
    if not all(inference.exceeds(margin, inference.guard) for margin in (above, below)):
        return Verdict.INCONCLUSIVE, "numerical", p_value
    return Verdict.SUPPORTED, "", p_value


def _random_p(
    circuit: Values, randoms: Mapping[str, Values], model: Values, inference: Inference
) -> bool | None:
    """Whether the circuit beats random ones by squared deviation; None when there are too few."""
    if len(randoms) < FEWEST_RANDOM:
        return None
    loss = (circuit - model) ** 2
    losses = np.stack([(values - model) ** 2 for values in randoms.values()])
    if len(randoms) >= MAX_CONTROLS:
        won = int((losses.mean(axis=1) > loss.mean()).sum())
        return proportion.binomial_tail_p(won, len(randoms), RANDOM_SHARE) <= RANDOM_ALPHA
    squared = Inference(inference.clip**2, inference.exhaustive, inference.tolerance)
    return all(squared.exceeds(other - loss, 0.0) for other in losses)


def _random_circuits(spec: FaithfulnessSpec, subject: Subject) -> Mapping[str, tuple[str, ...]]:
    circuit = tuple(Component.parse(name) for name in spec.components)
    # From the complement where there is one: a circuit that shares members is a weaker control.
    sets = component_sets(subject, circuit)
    if len(sets) < FEWEST_RANDOM:
        everyone = replace(subject, claimed=frozenset())
        sets = [s for s in component_sets(everyone, circuit, sharing=True) if s != spec.components]
    return {"+".join(names): names for names in sets}


def _alone(spec: FaithfulnessSpec, subject: Subject, circuit: tuple[str, ...]) -> Intervention:
    parts = (*subject.shape.heads(), *subject.shape.mlps())
    rest = tuple(str(part) for part in parts if not _covered(part, circuit))
    return steps.ablating(rest, spec.value, spec.positions)


def _covered(part: Component, circuit: tuple[str, ...]) -> bool:
    if str(part) in circuit:
        return True
    return part.kind == "head" and f"a{part.layer}" in circuit


def _comparison(spec: FaithfulnessSpec) -> Comparison:
    return Comparison(spec.task, spec.stratum, spec.metric)


def _no_range(spec: FaithfulnessSpec, inference: Inference, whole: Values) -> Decision:
    estimate = inference.estimate(whole, spec.metric.unit)
    return Decision(
        Verdict.INCONCLUSIVE,
        "no range",
        f"ablating everything changes {spec.metric} by only {estimate}, so a share has no meaning",
        _needed(spec),
        Rung.L2,
        estimate,
    )


def _needed(spec: FaithfulnessSpec) -> str:
    return (
        f"a share between {spec.min_faithfulness:.3g} and {2 - spec.min_faithfulness:.3g} with "
        f"{edit_effect.CONFIDENCE} confidence, and closer to the model than random circuits"
    )


def negate(spec: FaithfulnessSpec, subject: Subject) -> FaithfulnessSpec:
    """The rest of the model is the circuit instead."""
    return spec.model_copy(update={"components": _alone(spec, subject, spec.components).components})


def refuted_by(spec: FaithfulnessSpec) -> str:
    """What would refute it."""
    return f"an upper bound of the share left by the circuit below {spec.min_faithfulness:.3g}"


def problems(spec: FaithfulnessSpec, subject: Subject) -> tuple[str, ...]:
    """Unknown task, stratum or position; a circuit that leaves nothing to ablate."""
    found = edit_effect.subject_problems(spec.task, spec.stratum, subject, spec.positions)
    if not _alone(spec, subject, spec.components).components:
        found = (*found, "the circuit is the whole model, so nothing is left to ablate")
    return found


def _keeps(kept: dict[frozenset[str], float]) -> Score:
    """Planted score by which components stay; anything else scores as the empty circuit does."""
    everything = {str(head) for head in SUBJECT.shape.heads()}

    def score(step: PlanStep) -> float:
        if not isinstance(step.probe, Run):
            return 0.0
        edit = step.probe.intervention
        if not edit.components:
            return CLEAN if edit.base == "clean" else -CLEAN
        return kept.get(frozenset(everything - set(edit.components)), -CLEAN)

    return score


_SPEC = FaithfulnessSpec.model_validate(
    {
        "task": "repeated",
        "components": ("a0.h2", "a1.h1"),
        "value": "resample",
        "positions": "all",
        "metric": Metric.LOGIT_DIFF,
        "min_faithfulness": 0.8,
    }
)
_CIRCUIT = frozenset(_SPEC.components)

CHECK = Check(
    kind="faithfulness",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L2,
    spec=FaithfulnessSpec,
    plan=plan,
    decide=decide,
    negate=negate,
    refuted_by=refuted_by,
    cues=r"alone|circuit|keep|faithful|recover|suffic|only\b|enough|pair\b|together|retain|preserv",
    claimed=lambda spec: spec.components,
    problems=problems,
    doc=__doc__,
    examples=(
        example("it is enough", _SPEC, plan, _keeps({_CIRCUIT: 0.96 * CLEAN}), Verdict.SUPPORTED),
        example("half is missing", _SPEC, plan, _keeps({_CIRCUIT: 0.0}), Verdict.REFUTED),
        example("it overshoots", _SPEC, plan, _keeps({_CIRCUIT: 2.0 * CLEAN}), Verdict.REFUTED),
        example("on the limit", _SPEC, plan, _keeps({_CIRCUIT: 0.6 * CLEAN}), Verdict.INCONCLUSIVE),
    ),
)
