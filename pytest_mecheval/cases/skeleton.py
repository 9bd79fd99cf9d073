"""The source of a new check kind: complete and importable, with every place to change marked `CHANGE`."""

from string import Template

_SOURCE = Template('''\
"""$title: CHANGE what a claim of this kind says, in one sentence.

Question: CHANGE is the mean metric on unedited clean prompts above the stated value?
Null: CHANGE the mean is at most `min_score`.
Statistic: CHANGE mean per prompt with a betting bound.
Blind spots: CHANGE what can be wrong although this check passes.
Source: CHANGE where the statistic comes from, looked up.
"""

from pytest_mecheval.checks import steps
from pytest_mecheval.checks.check import Check, Subject, no_negation
from pytest_mecheval.checks.inference import Inference
from pytest_mecheval.checks.spec import MeasuredSpec
from pytest_mecheval.checks.worked import edit_scores, example
from pytest_mecheval.evidence.decision import Decision
from pytest_mecheval.evidence.measurement import Evidence
from pytest_mecheval.vocabulary import Dimension, Metric, Rung, Verdict
from pytest_mecheval.wire import PlanStep

CLIP = 20.0
"""CHANGE bound on a single value, nats; better: from calibration data, as the other kinds do."""


class ${title}Spec(MeasuredSpec):
    """What a claim of this kind must say before it can be checked."""

    metric: Metric
    """Read at the answer position, one value per prompt."""
    min_score: float
    """Smallest mean that supports the claim, metric's unit."""


def plan(spec: ${title}Spec, _subject: Subject) -> tuple[PlanStep, ...]:
    """Every array that `decide` reads."""
    return (_step(spec),)


def decide(spec: ${title}Spec, _subject: Subject, evidence: Evidence) -> Decision:
    """Compare the whole interval with `min_score`, never the point alone."""
    if evidence.unavailable:
        reason = f"nothing: {evidence.unavailable}"
        return Decision(
            Verdict.NOT_TESTABLE, "missing artifact", reason, _needed(spec), Rung.L1
        )
    measurement = evidence[_step(spec)]
    inference = Inference(CLIP, measurement.exhaustive, evidence.tolerance)
    estimate = inference.estimate(measurement.values, spec.metric.unit)
    if estimate.lower > spec.min_score:
        verdict, code = Verdict.SUPPORTED, ""
    elif estimate.upper <= spec.min_score:
        verdict, code = Verdict.REFUTED, "too small"
    else:
        verdict, code = Verdict.INCONCLUSIVE, "interval holds the threshold"
    measured = f"mean {spec.metric} is {estimate}"
    return Decision(
        verdict,
        code,
        measured,
        _needed(spec),
        Rung.L1,
        estimate=estimate,
        threshold=spec.min_score,
    )


def _step(spec: ${title}Spec) -> PlanStep:
    where = steps.prompts(spec.task, spec.stratum, "evaluation")
    return steps.unedited(where, spec.metric)


def _needed(spec: ${title}Spec) -> str:
    return f"mean {spec.metric} above {spec.min_score:g} {spec.metric.unit}".rstrip()


def refuted_by(spec: ${title}Spec) -> str:
    """What would refute it."""
    return f"an upper bound of the mean {spec.metric} of at most {spec.min_score:g}"


def _spec(min_score: float) -> ${title}Spec:
    return ${title}Spec(task="repeated", metric=Metric.LOGIT_DIFF, min_score=min_score)


CHECK = Check(
    kind="$kind",
    dimension=Dimension.REPRODUCIBILITY,
    rung=Rung.L1,
    spec=${title}Spec,
    plan=plan,
    decide=decide,
    negate=no_negation,
    refuted_by=refuted_by,
    doc=__doc__,
    examples=(
        example("large enough", _spec(2.0), plan, edit_scores({}), Verdict.SUPPORTED),
        example("too small", _spec(9.0), plan, edit_scores({}), Verdict.REFUTED),
    ),
)
''')


def check_source(kind: str) -> str:
    """The module of a new kind.

    Args:
        kind: lower-case noun, words joined by `_`.
    """
    title = "".join(word.capitalize() for word in kind.split("_"))
    return _SOURCE.substitute(kind=kind, title=title)
