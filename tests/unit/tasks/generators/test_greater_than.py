"""Greater-than prompts, read as year spans."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.errors import SubjectError
from pytest_mecheval.tasks.drawing import describe, draw
from pytest_mecheval.wire import DataRef, Slice


def drawn(stratum="fresh", split="evaluation", n=128, **parameters):
    return draw(DataRef("greater_than", parameters), Slice("t", split, stratum, n), "salt")


@settings(max_examples=25, deadline=None)
@given(
    st.integers(20, 100),
    st.integers(3, 9),
    st.integers(3, 20),
    st.booleans(),
    st.sampled_from(["fresh", "new_entities", "new_templates"]),
)
def test_answer_is_later_and_foil_is_right_only_in_the_counterfactual(
    years, centuries, nouns, bos, stratum
):
    size = years + centuries + nouns + 4
    front = {"bos": size + 2} if bos else {}
    examples = drawn(stratum, n=48, years=years, centuries=centuries, nouns=nouns, **front)
    fresh_nouns = range(years + centuries, years + centuries + nouns)
    for row in range(48):
        place = {name: int(column[row]) for name, column in examples.positions.items()}
        clean, other = examples.tokens[row].tolist(), examples.counterfactual[row].tolist()
        answer, foil = int(examples.answers[row]), int(examples.foils[row])
        year, earlier = clean[place["YEAR"]], other[place["YEAR"]]
        assert 0 <= earlier < foil <= year < answer < years
        assert clean[place["CENTURY"]] == clean[place["END"]]
        assert clean[place["CENTURY"]] in range(years, years + centuries)
        assert (clean[place["NOUN"]] in fresh_nouns) == (stratum != "new_entities")
        assert clean[place["TO"]] == size + 1
        assert size in clean
        differs = [
            at for at, pair in enumerate(zip(clean, other, strict=True)) if len(set(pair)) > 1
        ]
        assert differs == [place["YEAR"]]
        assert place["END"] == len(clean) - 1


def test_new_template_puts_the_words_elsewhere():
    fresh, new = drawn(n=20), drawn("new_templates", n=20)
    assert set(fresh.positions["NOUN"].tolist()) == {0}
    assert set(new.positions["NOUN"].tolist()) == {3}
    assert fresh.tokens.shape == new.tokens.shape


def test_without_held_out_nouns_there_are_no_new_entities():
    assert describe(DataRef("greater_than", {"new_nouns": 0})).strata == ("fresh", "new_templates")
    with pytest.raises(SubjectError, match="no held-out nouns, set new_nouns"):
        drawn("new_entities", new_nouns=0)


def test_bos_may_not_be_a_word():
    problems = describe(DataRef("greater_than", {"bos": 75})).problems
    assert problems == ("greater_than: bos: token id 75 is a word, ids below 76 are taken",)
