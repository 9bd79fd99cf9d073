from pytest_mecheval.checks.check import Subject
from pytest_mecheval.checks.pool import MAX_CONTROLS, ROTATIONS, component_sets, control_edits
from pytest_mecheval.vocabulary import Component, ModelShape
from pytest_mecheval.wire import Intervention

TINY = ModelShape(2, 4, 64, 64, 48)
LARGE = ModelShape(12, 12, 768, 50257, 1024, d_mlp=3072)
LONE_MLP = ModelShape(1, 4, 64, 32, 3, d_mlp=128)


def subject(shape, *claimed):
    return Subject(shape, {}, frozenset(Component.parse(name) for name in claimed))


def parsed(*names):
    return tuple(Component.parse(name) for name in names)


def test_controls_of_a_head_are_all_unclaimed_heads_of_a_tiny_model():
    sets = component_sets(subject(TINY, "a1.h1", "a0.h2"), parsed("a1.h1"))
    names = {name for (name,) in sets}
    assert names == {"a0.h0", "a0.h1", "a0.h3", "a1.h0", "a1.h2", "a1.h3"}


def test_controls_of_a_head_in_a_large_model_stay_near_its_layer():
    sets = component_sets(subject(LARGE, "a9.h6"), parsed("a9.h6"))
    layers = {Component.parse(name).layer for (name,) in sets}
    assert layers == {8, 9, 10}
    assert len(sets) == 35


def test_sets_keep_size_and_type_mix_and_never_hold_claimed_components():
    targets = parsed("a9.h6", "a9.h9", "m10")
    sets = component_sets(subject(LARGE, "a9.h6", "a9.h9", "m10", "a8.h1"), targets)
    assert len(sets) == len(set(sets)) == MAX_CONTROLS
    for names in sets:
        kinds = sorted(Component.parse(name).kind for name in names)
        assert kinds == ["head", "head", "mlp"]
        assert not set(names) & {"a9.h6", "a9.h9", "m10", "a8.h1"}


def test_draw_depends_on_the_names_alone():
    targets = parsed("a9.h6", "a2.h9")
    once = component_sets(subject(LARGE, "a9.h6", "a2.h9"), targets)
    assert once == component_sets(subject(LARGE, "a9.h6", "a2.h9"), targets)
    assert once != component_sets(subject(LARGE, "a9.h6", "a2.h8"), parsed("a9.h6", "a2.h8"))


def test_lone_mlp_is_compared_with_random_directions():
    edit = Intervention(("m0",), "counterfactual")
    edits = control_edits(subject(LONE_MLP, "m0"), edit)
    assert len(edits) == ROTATIONS
    assert {e.rotation for e in edits.values()} == set(range(ROTATIONS))
    assert all(e.components == ("m0",) for e in edits.values())


def test_path_senders_come_before_the_receiver():
    edit = Intervention(("a0.h2",), "counterfactual", receivers=("a1.h1.k",))
    edits = control_edits(subject(TINY, "a0.h2", "a1.h1"), edit)
    assert {name for e in edits.values() for name in e.components} == {"a0.h0", "a0.h1", "a0.h3"}
    assert all(e.receivers == ("a1.h1.k",) for e in edits.values())


def test_sharing_sets_are_never_the_set_itself():
    sets = component_sets(subject(LONE_MLP), parsed("a0.h1", "m0"), sharing=True)
    assert ("a0.h1", "m0") not in sets
    assert ("a0.h0", "m0") in sets


def test_claiming_everything_does_not_empty_the_pool_of_a_special_claim():
    everything = subject(LONE_MLP, "a0.h0", "a0.h1", "a0.h2", "a0.h3")
    edit = Intervention(("a0.h1",), "counterfactual")
    rivals = control_edits(everything, edit, special=True)
    assert set(rivals) == {"a0.h0", "a0.h2", "a0.h3"}
    assert all(name.startswith("random") for name in control_edits(everything, edit))
