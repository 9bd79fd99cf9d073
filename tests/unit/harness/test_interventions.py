"""Resolving interventions: what is touched, what is refused, and which random rotations are used."""

import numpy as np
import pytest
import torch

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.harness.interventions import position_mask, resolve, rotation_matrix
from pytest_mecheval.harness.partners import roles, same_role_heads
from pytest_mecheval.vocabulary import Component, ModelShape
from pytest_mecheval.wire import Intervention

SHAPE = ModelShape(n_layers=3, n_heads=2, d_model=8, d_vocab=10, n_ctx=6, d_mlp=16)


def resolved(*components, partners=(), **how):
    return resolve(Intervention(components, **how), SHAPE, lambda _heads: partners)


def test_layers_become_heads_and_duplicates_vanish():
    edit = resolved("a1", "a1.h0", "m2", "input", "r2", "r0")
    assert edit.heads == {1: (0, 1)}
    assert (edit.mlps, edit.resids) == ((2,), (0, 2))


def test_partners_join_or_replace():
    partner = (Component("head", 2, 1),)
    both = resolved("a0.h0", partners=partner, joint="with_partners")
    assert both.heads == {0: (0,), 2: (1,)}
    assert both.partners == ("a2.h1",)
    assert resolved("a0.h0", partners=partner, joint="partners_only").heads == {2: (1,)}
    assert resolved("a0.h0", partners=(), joint="partners_only").empty


def test_a_receiver_without_side_is_all_three():
    edit = resolved("a0.h0", receivers=("a1.h1", "a2.h0.k"))
    assert [(r.layer, r.head, r.letter) for r in edit.receivers] == [
        (1, 1, "q"),
        (1, 1, "k"),
        (1, 1, "v"),
        (2, 0, "k"),
    ]


@pytest.mark.parametrize(
    ("components", "receivers", "text"),
    [
        (("a3.h0",), (), "no component a3.h0"),
        (("a0.h2",), (), "no component a0.h2"),
        (("nonsense",), (), "unknown component 'nonsense'"),
        (("a0.h0",), ("m1",), "unknown receiver 'm1'"),
        (("a0.h0",), ("a1.h7.q",), "no component a1.h7"),
    ],
)
def test_what_the_model_lacks_is_refused(components, receivers, text):
    with pytest.raises(SubjectError, match=text):
        resolved(*components, receivers=receivers)


def test_rotations_are_orthogonal_fixed_and_different():
    first, second = rotation_matrix(0, 16), rotation_matrix(1, 16)
    torch.testing.assert_close(first @ first.T, torch.eye(16), atol=1e-5, rtol=0)
    assert not torch.allclose(first, second, atol=0.1)
    rotation_matrix.cache_clear()
    torch.testing.assert_close(rotation_matrix(0, 16), first, atol=0, rtol=0)


def test_rotations_have_no_preferred_direction():
    """Haar: the mean over many is near zero, entries have variance 1 / width."""
    stack = torch.stack([rotation_matrix(k, 8) for k in range(300)])
    assert float(stack.mean(0).abs().max()) < 0.12
    np.testing.assert_allclose(float(stack.var()), 1 / 8, rtol=0.02)


def test_one_position_per_prompt():
    mask = position_mask(torch.tensor([0, 2]), 3).squeeze(-1)
    assert mask.tolist() == [[True, False, False], [False, False, True]]


def test_partners_need_a_cosine_of_080_and_are_at_most_three():
    """Patterns at an angle: cosine 0.9 is a partner, 0.7 is none; the own first row does not count."""

    def pattern(*cosines):
        rows = torch.zeros(1, len(cosines), 3, 3)
        rows[..., 0, 0] = 1.0
        for head, cosine in enumerate(cosines):
            rows[0, head, 1] = torch.tensor([cosine, np.sqrt(1 - cosine**2), 0.0])
        return rows

    known = roles([pattern(1.0, 0.9), pattern(0.7, 0.95), pattern(0.85, 0.81)])
    found = same_role_heads([Component("head", 0, 0)], known)
    assert [str(head) for head in found] == ["a1.h1", "a0.h1", "a2.h0"]
    alone = roles([pattern(1.0, 0.7), pattern(0.0, 0.5), pattern(0.1, 0.79)])
    assert same_role_heads([Component("head", 0, 0)], alone) == ()
