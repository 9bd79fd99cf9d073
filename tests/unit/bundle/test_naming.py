import pytest

from pytest_mecheval.bundle.naming import components_named, heads_numbered

STYLES = [
    ("a1.h3 copies", ["a1.h3"]),
    ("**a1.h3** and a0.h1.", ["a1.h3", "a0.h1"]),
    ("L9H6 and L10.H0", ["a9.h6", "a10.h0"]),
    ("Head 1.6 destroys", ["a1.h6"]),
    ("heads 9.6, 9.9 and 10.0 move names", ["a9.h6", "a9.h9", "a10.h0"]),
    ("head 6 of layer 9", ["a9.h6"]),
    ("heads 6, 7 and 9 in layer 9", ["a9.h6", "a9.h7", "a9.h9"]),
    ("layer 2, head 3", ["a2.h3"]),
    ("layer-2 heads 3 and 4", ["a2.h3", "a2.h4"]),
    ("MLP 4, m0, mlp_2 and the layer-3 MLP", ["m4", "m0", "m2", "m3"]),
    ("blocks.9.attn.hook_z and blocks.4.hook_mlp_out", ["a9", "m4"]),
    ("accuracy of 9.6 and 0.72", []),
    ("all 8 heads lose 1.6 nats", []),
    ("ham4 m4x am1", []),
]


@pytest.mark.parametrize(("text", "names"), STYLES)
def test_components_are_found_in_every_style_of_real_bundles(text, names):
    assert [str(each.component) for each in components_named(text)] == names


def test_places_are_those_of_the_mention():
    text = "resampling a1.h3 costs"
    (named,) = components_named(text)
    assert text[named.start : named.end] == "a1.h3"


def test_heads_without_layer_are_numbers_only():
    assert heads_numbered("Head 2 was zeroed; heads 0, 1 and 3 were not") == (2, 0, 1, 3)
    assert heads_numbered("head 1.6 and all 8 heads") == ()
