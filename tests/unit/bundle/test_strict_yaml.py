import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mecheval.bundle import strict_yaml
from pytest_mecheval.bundle.strict_yaml import MAX_CHARACTERS, MAX_DEPTH, read_yaml


@pytest.fixture(params=["libyaml", "pure Python"], autouse=True)
def loader(request, monkeypatch):
    if request.param == "pure Python":
        monkeypatch.setattr(strict_yaml, "_LOADER", yaml.SafeLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("12:30:45", "12:30:45"),
        ("1e9", 1e9),
        ("1_000", "1_000"),
        ("0.720", 0.72),
        ("-.5", -0.5),
        ("0x1F", 31),
        ("017", 17),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
        ("9.", 9.0),
        ("\uff11", "\uff11"),
        (".", "."),
        ("sha256:00", "sha256:00"),
    ],
)
def test_plain_scalars_mean_what_they_look_like(text, value):
    parsed = read_yaml(f"a: {text}")
    assert parsed.data == {"a": value}
    assert type(parsed.data["a"]) is type(value)
    assert parsed.problems == ()


def test_structure_and_places():
    parsed = read_yaml("a:\n- {b: 1}\n-  c: |\n    two\n    lines\n   d: []\n")
    assert parsed.data == {"a": [{"b": 1}, {"c": "two\nlines\n", "d": []}]}
    assert parsed.places["a", 0, "b"].shown == "line 2, column 7"
    assert parsed.places["a", 1].line == 2
    assert parsed.flow == {("a", 0), ("a", 1, "d")}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: key 'a' is given twice"),
        ("a: &x 1", "line 1, column 4: anchors (&x) are not allowed"),
        ("a: !!python/name:os.system x", "tags (tag:yaml.org,2002:python/name:os.system)"),
        ("a: !!str 1", "tags (tag:yaml.org,2002:str) are not allowed"),
        ("a: .nan", ".nan is no finite number"),
        ("a: 1e999", "1e999 is no finite number"),
        ("a: " + "9" * 5_000, "integer with more than 18 digits"),
        ("a: [1", "line "),
        ("a: b: c", "line 1, column 5: mapping values are not allowed"),
        ("--- 1\n--- 2", "only one YAML document"),
        ("? [a]\n: 1", "a key must be plain text"),
        ("a: \x07", "is not allowed"),
        ("[" * 200_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("{a: " * 200_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("- " * 200_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("- 1\n" * 150_000, "more than 100000 values"),
        ("x" * (MAX_CHARACTERS + 1), f"at most {MAX_CHARACTERS} are read"),
    ],
)
def test_what_is_refused_says_where_and_why(text, problem):
    assert problem in " | ".join(read_yaml(text).problems)


def test_alias_bomb_is_refused_without_growing():
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
    )
    problems = read_yaml(bomb).problems
    assert any("aliases (*a0) are not allowed" in problem for problem in problems)
    assert read_yaml("a: &x 1\n*x : 2").problems


def test_reading_goes_on_after_a_repeated_key():
    parsed = read_yaml("a: {b: 1}\na: {c: [2]}\nd: 4\na: 5")
    assert parsed.data == {"a": {"b": 1}, "d": 4}
    assert len(parsed.problems) == 2
    assert not parsed.broken


@settings(deadline=None, max_examples=150)
@given(st.text() | st.text(alphabet="[]{}:,-?&*!|>'\"# \n\tab1.", max_size=60))
def test_any_text_gives_data_or_problems(text):
    parsed = read_yaml(text)
    assert not parsed.broken or parsed.problems


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text("ab:-#'\" \n", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=100)
@given(JSON, st.booleans())
def test_what_pyyaml_writes_is_read_back(value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow)
    if "&id" not in text:
        parsed = read_yaml(text)
        assert (parsed.data, parsed.problems) == (value, ())
