"""Metrics of raw logits in numpy; one value per prompt. The bundle's process never sees what they compare with."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pytest_mecheval.errors import HarnessError, SubjectError
from pytest_mecheval.tasks.examples import Examples
from pytest_mecheval.vocabulary import Metric

Values = NDArray[np.float64]


def score(metric: str, logits: Values, clean: Values, examples: Examples) -> Values:
    """A metric at the read position, shape (n,); nats, except prob and accuracy (0 to 1).

    The harness's definitions (`harness.metrics`), for logits that come from somewhere else.

    Args:
        metric: a name of `vocabulary.Metric`.
        logits: of the run, shape (n, outputs).
        clean: of the unedited clean run, same shape; kl compares with it.
        examples: the prompts, whose answers and foils count.

    Raises:
        HarnessError: an unknown metric.
    """
    rows = np.arange(len(logits))
    answer = logits[rows, examples.answers]
    match metric:
        case Metric.LOGIT_DIFF:
            return np.asarray(answer - logits[rows, examples.foils])
        case Metric.LOGPROB:
            return np.asarray(log_softmax(logits)[rows, examples.answers])
        case Metric.LOSS:
            return np.asarray(-log_softmax(logits)[rows, examples.answers])
        case Metric.PROB:
            return np.asarray(np.exp(log_softmax(logits)[rows, examples.answers]))
        case Metric.ACCURACY:
            # A tie is not a right answer: constant logits would otherwise score 1.
            return np.asarray(((logits >= answer[:, None]).sum(1) == 1).astype(np.float64))
        case Metric.KL:
            before = log_softmax(clean)
            return np.asarray((np.exp(before) * (before - log_softmax(logits))).sum(1))
        case _:
            known = ", ".join(sorted(one.value for one in Metric))
            raise HarnessError(f"unknown metric {metric!r} (known: {known})")


def log_softmax(logits: Values) -> Values:
    """Log probabilities over the last axis.

    >>> float(np.exp(log_softmax(np.array([[1e4, 1e4]])))[0, 0])
    0.5
    """
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def check_outputs(examples: Examples, outputs: int) -> None:
    """Refuse a task whose answers the model cannot give.

    Raises:
        SubjectError: an answer or foil is no output of the model.
    """
    highest = int(max(examples.answers.max(), examples.foils.max()))
    if highest >= outputs:
        raise SubjectError(
            f"the task has answer {highest}, the model's outputs are 0 to {outputs - 1}"
        )


Table = Mapping[str, Values]
