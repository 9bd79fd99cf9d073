"""Answers are parsed by one strict reader."""

import pytest

from pytest_mecheval.translate.strict_json import MAX_DEPTH, NotJson, json_object


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("I refuse.", "not JSON"),
        ('{"a": 1} and more', "not JSON"),
        ('{"a": 1', "not JSON"),
        ("[1]", "not a list"),
        ("null", "not null"),
        ('"text"', "not a str"),
        ('{"tol": 0.01, "tol": 1e9}', "'tol' is given twice"),
        ('{"a": {"b": 1, "b": 2}}', "'b' is given twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": [1e999]}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "inside each other"),
        ('{"a":' * (MAX_DEPTH + 1), "inside each other"),
        ('"' + "x" * 1_000_001 + '"', "at most"),
    ],
)
def test_what_is_not_one_plain_object_is_refused(text, said):
    with pytest.raises(NotJson, match=said):
        json_object(text)


def test_brackets_inside_a_text_are_no_depth():
    assert json_object('{"a": "' + "[" * 100 + '\\"[[["}') == {"a": "[" * 100 + '"[[['}


def test_a_code_fence_around_the_object_is_dropped():
    assert json_object('```json\n{"a": 1}\n```\n') == {"a": 1}


def test_a_refusal_shows_no_control_characters():
    with pytest.raises(NotJson) as refused:
        json_object('{"\x1b[31m": 1, "\x1b[31m": 2}'.replace("\x1b", "\\u001b"))
    assert "\x1b" not in str(refused.value)
