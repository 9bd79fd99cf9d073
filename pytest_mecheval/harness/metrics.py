"""Metrics as functions of logits at the read position; one value per prompt, never a mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

LOGIT_DIFF = "logit_diff"
KL = "kl"


@dataclass(frozen=True)
class Readout:
    """Where to look and what to compare, for one block of prompts."""

    read: Tensor
    """(n,) position whose logits are read."""
    answers: Tensor
    """(n,) token."""
    foils: Tensor
    """(n,) token."""
    clean_logprobs: Tensor | None = None
    """(n, d_vocab) of the unedited clean run; needed by kl only."""


def from_logits(logits: Tensor, readout: Readout, metrics: Sequence[str]) -> Mapping[str, Tensor]:
    """The named metrics of logits at the read position.

    Args:
        logits: (batch, n, d_vocab).
        readout: answers and foils of the same n prompts.
        metrics: names of `vocabulary.Metric`.

    Returns:
        name -> (batch, n); nats, except prob and accuracy (0 to 1).

    Raises:
        ValueError: an unknown metric, or kl without the clean run.
    """
    answer = _pick(logits, readout.answers)
    needs_logprob = not set(metrics) <= {LOGIT_DIFF, "accuracy"}
    logprobs = logits.log_softmax(-1) if needs_logprob else logits
    found: dict[str, Tensor] = {}
    for metric in metrics:
        match metric:
            case "logit_diff":
                found[metric] = answer - _pick(logits, readout.foils)
            case "logprob":
                found[metric] = _pick(logprobs, readout.answers)
            case "loss":
                found[metric] = -_pick(logprobs, readout.answers)
            case "prob":
                found[metric] = _pick(logprobs, readout.answers).exp()
            case "accuracy":
                # A tie is not a right answer: constant logits would otherwise score 1.
                rivals = (logits >= answer.unsqueeze(-1)).sum(-1)
                found[metric] = (rivals == 1).to(logits.dtype)
            case "kl":
                if readout.clean_logprobs is None:
                    raise ValueError("kl needs the clean run's log probabilities")
                clean = readout.clean_logprobs
                found[metric] = (clean.exp() * (clean - logprobs)).sum(-1)
            case _:
                raise ValueError(f"unknown metric {metric!r}")
    return found


def at_read(logits: Tensor, read: Tensor) -> Tensor:
    """Logits at each prompt's read position, (n, length, d_vocab) -> (n, d_vocab)."""
    index = read[:, None, None].expand(-1, 1, logits.shape[-1])
    return logits.gather(1, index).squeeze(1)


def _pick(table: Tensor, tokens: Tensor) -> Tensor:
    """(batch, n, d_vocab) at one token per prompt -> (batch, n)."""
    index = tokens[None, :, None].expand(table.shape[0], -1, 1)
    return table.gather(-1, index).squeeze(-1)
