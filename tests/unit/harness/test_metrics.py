"""Metrics against numbers computed by hand."""

import math

import pytest
import torch

from pytest_mecheval.harness.metrics import Readout, at_read, from_logits

LOGITS = torch.tensor([[[0.0, math.log(3.0), 0.0], [5.0, 5.0, 0.0]]])
"""One run, two prompts: probabilities .2 .6 .2; and a tie."""
READOUT = Readout(torch.tensor([0, 0]), torch.tensor([1, 0]), torch.tensor([0, 2]))


def values(metric, readout=READOUT):
    return from_logits(LOGITS, readout, [metric])[metric][0].tolist()


def test_values_by_hand():
    assert values("logit_diff") == pytest.approx([math.log(3), 5.0])
    assert values("prob")[0] == pytest.approx(0.6)
    assert values("logprob")[0] == pytest.approx(math.log(0.6))
    assert values("loss")[0] == pytest.approx(-math.log(0.6))


def test_a_tie_is_not_a_right_answer():
    assert values("accuracy") == [1.0, 0.0]


def test_kl_is_from_the_clean_run_and_summed_over_the_vocabulary():
    clean = torch.tensor([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]).log()
    readout = Readout(READOUT.read, READOUT.answers, READOUT.foils, clean)
    expected = 0.5 * math.log(0.5 / 0.2) + 0.25 * math.log(0.25 / 0.6) + 0.25 * math.log(0.25 / 0.2)
    assert values("kl", readout)[0] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="clean run"):
        values("kl")


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="unknown metric 'top5'"):
        values("top5")


def test_logits_are_taken_at_each_prompts_own_position():
    logits = torch.arange(12.0).reshape(2, 3, 2)
    assert at_read(logits, torch.tensor([2, 0])).tolist() == [[4.0, 5.0], [6.0, 7.0]]
