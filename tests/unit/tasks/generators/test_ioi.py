"""IOI prompts, solved by counting names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.tasks.generators.ioi import IoiParameters, held_out
from pytest_mecheval.wire import DataRef, Slice


def drawn(stratum="fresh", split="evaluation", n=128, **parameters):
    return draw(DataRef("ioi", parameters), Slice("t", split, stratum, n), "salt")


def solve(prompt, names):
    """(once, twice): the name that occurs once and the name that occurs twice."""
    people = [token for token in prompt if token in names]
    assert len(people) == 3
    (once,) = [name for name in people if people.count(name) == 1]
    (twice,) = {name for name in people if people.count(name) == 2}
    return once, twice


@settings(max_examples=25, deadline=None)
@given(
    st.integers(12, 40),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(["fresh", "new_entities", "new_templates"]),
    st.sampled_from(["exchange", "fresh"]),
)
def test_answer_is_the_name_that_occurs_once(count, first, bos, stratum, counterfactual):
    names = range(first, first + count)
    front = {"bos": 500} if bos else {}
    examples = drawn(
        stratum,
        n=48,
        names=[names[0], names[-1]],
        counterfactual=counterfactual,
        **front,
    )
    for row in range(48):
        clean, other = examples.tokens[row].tolist(), examples.counterfactual[row].tolist()
        place = {name: int(column[row]) for name, column in examples.positions.items()}
        once, twice = solve(clean, names)
        assert (once, twice) == (examples.answers[row], examples.foils[row])
        for prompt in (clean, other):
            assert prompt[place["S1"]] == prompt[place["S2"]] == solve(prompt, names)[1]
            assert prompt[place["IO"]] == solve(prompt, names)[0]
        assert place["S1+1"] == place["S1"] + 1
        assert place["S2"] > max(place["S1"], place["IO"])
        assert place["END"] == len(clean) - 1
        if counterfactual == "exchange":
            assert solve(other, names) == (twice, once)
        else:
            assert not {once, twice} & set(solve(other, names))
        changed = {at for at in range(len(clean)) if clean[at] != other[at]}
        assert changed == {place["IO"], place["S1"], place["S2"]}


def test_both_orders_occur_equally_often():
    examples = drawn(n=256)
    first = (examples.positions["IO"] < examples.positions["S1"]).sum()
    # 128 expected, standard deviation 8: four of them either side
    assert 96 <= first <= 160


def test_held_out_pairs_appear_only_as_new_entities():
    parameters = IoiParameters()
    pairs = {
        stratum: {
            frozenset(pair)
            for pair in zip(examples.answers.tolist(), examples.foils.tolist(), strict=True)
        }
        for stratum in ("fresh", "new_entities")
        for examples in [drawn(stratum, n=256)]
    }
    assert not pairs["fresh"] & pairs["new_entities"]
    assert all(
        (sum(pair) % 5 == 0) == (stratum == "new_entities")
        for stratum in pairs
        for pair in pairs[stratum]
    )
    a, b = np.meshgrid(np.arange(24), np.arange(24))
    off = a != b
    assert 0.15 < held_out(parameters, a[off], b[off]).mean() < 0.25


def test_new_names_replace_held_out_pairs():
    examples = drawn("new_entities", n=64, names=[0, 9], new_names=[90, 99])
    assert examples.answers.min() >= 90
    assert examples.foils.min() >= 90


def test_new_templates_use_known_words_in_new_places():
    words = {
        stratum: {token for row in drawn(stratum, n=256).tokens.tolist() for token in row}
        for stratum in ("fresh", "new_templates")
    }
    assert words["new_templates"] <= words["fresh"]
    places = {
        stratum: set(
            zip(
                *(drawn(stratum, n=256).positions[k].tolist() for k in ("IO", "S1", "S2")),
                strict=True,
            )
        )
        for stratum in ("fresh", "new_templates")
    }
    assert not places["fresh"] & places["new_templates"]


def test_own_templates_are_used_and_many_of_them_are_clusters():
    templates = [[30 + i, "FIRST", 50, "SECOND", "REPEAT", 51] for i in range(10)]
    examples = drawn(n=64, templates=templates)
    assert examples.tokens.shape[1] == 6
    assert examples.clusters is not None
    assert np.array_equal(examples.clusters, examples.tokens[:, 0] - 30)
    assert drawn(n=64, templates=templates[:9]).clusters is None
    assert describe(DataRef("ioi", {"templates": templates})).strata == ("fresh", "new_entities")
    with pytest.raises(SubjectError, match="no new templates are given, set new_templates"):
        drawn("new_templates", templates=templates)


def test_nothing_held_out_rules_new_entities_out():
    assert "new_entities" not in describe(DataRef("ioi", {"held_out_every": 0})).strata


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        (
            {"templates": [[30, "FIRST", "SECOND", 31]]},
            "templates, number 1: slots are ['FIRST', 'SECOND'], must be FIRST, SECOND, REPEAT in this order",
        ),
        (
            {"templates": [[30, "FIRST", "SECOND", "REPEAT"]]},
            "templates, number 1: ends with REPEAT, the answer is read at a word after it",
        ),
        (
            {"templates": [[3, "FIRST", "SECOND", "REPEAT", 31]]},
            "names: token ids [3] are words of the templates",
        ),
        (
            {"templates": 3},
            "templates: must be a list of lists of word ids and FIRST, SECOND, REPEAT",
        ),
        ({"names": [0, 2]}, "names: [0, 2] holds fewer than 4 names"),
        ({"new_names": [20, 99]}, "new_names: overlaps names"),
        ({"counterfactual": "flip"}, "counterfactual: 'flip' is not one of exchange, fresh"),
        ({"bos": 5}, "names: token ids [5] are words of the templates"),
    ],
)
def test_impossible_tasks_are_refused_readably(parameters, problem):
    assert f"ioi: {problem}" in describe(DataRef("ioi", parameters)).problems


def test_templates_of_unequal_length_are_refused():
    templates = [[30, "FIRST", "SECOND", "REPEAT", 31], ["FIRST", "SECOND", "REPEAT", 31]]
    (problem,) = describe(DataRef("ioi", {"templates": templates})).problems
    assert problem == "ioi: templates, number 2: 4 tokens, number 1 has 5 (all need one length)"
