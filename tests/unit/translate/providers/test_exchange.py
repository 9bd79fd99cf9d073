"""Questions as files, answers read from beside them, in as many rounds as it takes."""

import dataclasses
import json
import os

import pytest

from pytest_mecheval.translate.answer import answer_schema
from pytest_mecheval.translate.asks import Ask, Status
from pytest_mecheval.translate.providers.exchange import GUIDE, Exchange, answer_file, question_file

ASKS = tuple(
    Ask(f"documentation-{n}", "finding", "Instructions.\n\nTexts.", f"Question {n}?", answer_schema(["ablation"]), "1")
    for n in (3, 7)
)  # fmt: skip
BODY = {"outcome": "no_claim"}


def statuses(folder, asks=ASKS):
    return [reply.status for reply in Exchange(folder).replies(asks)]


def test_each_question_is_complete_in_one_file(tmp_path):
    assert statuses(tmp_path) == [Status.MISSING] * 2
    for ask in ASKS:
        text = (tmp_path / question_file(ask)).read_text()
        assert ask.question in text
        assert ask.shared in text
        assert answer_file(ask) in text
        schema = text.partition("```json\n")[2].partition("```")[0]
        assert json.loads(schema) == ask.schema


def test_answers_are_read_as_they_come(tmp_path):
    statuses(tmp_path)
    (tmp_path / answer_file(ASKS[1])).write_text(json.dumps(BODY))
    first, second = Exchange(tmp_path).replies(ASKS)
    assert (first.status, second.status) == (Status.MISSING, Status.ANSWERED)
    assert second.body == BODY
    assert str(tmp_path / answer_file(ASKS[0])) in first.detail
    guide = (tmp_path / GUIDE).read_text()
    assert "1 of 2 questions are answered" in guide
    assert answer_file(ASKS[0]) in guide
    assert answer_file(ASKS[1]) not in guide


def test_a_second_run_changes_no_file(tmp_path):
    statuses(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    statuses(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_an_answer_to_an_older_question_is_not_taken(tmp_path):
    (tmp_path / answer_file(ASKS[0])).write_text(json.dumps(BODY))
    changed = dataclasses.replace(ASKS[0], shared="Other texts.")
    assert statuses(tmp_path, [changed]) == [Status.MISSING]
    assert Exchange(tmp_path).strangers([changed]) == (answer_file(ASKS[0]),)
    assert answer_file(ASKS[0]) in (tmp_path / GUIDE).read_text()
    assert Exchange(tmp_path / "nowhere").strangers([changed]) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"all passed", "not JSON"),
        (b"[]", "not a list"),
        (b'{"a": 1, "a": 2}', "given twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"x" * 1_000_001, "at most"),
    ],
)
def test_an_answer_nobody_can_read_stays_open(tmp_path, content, said):
    (tmp_path / answer_file(ASKS[0])).write_bytes(content)
    (reply,) = Exchange(tmp_path).replies(ASKS[:1])
    assert reply.status is Status.UNREADABLE
    assert said in reply.detail
    assert said in (tmp_path / GUIDE).read_text()


def test_a_fenced_answer_is_read(tmp_path):
    (tmp_path / answer_file(ASKS[0])).write_text(f"```json\n{json.dumps(BODY)}\n```\n")
    assert statuses(tmp_path, ASKS[:1]) == [Status.ANSWERED]


def test_an_answer_that_is_a_link_or_a_pipe_is_not_followed(tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text('{"private": true}')
    folder = tmp_path / "exchange"
    folder.mkdir()
    (folder / answer_file(ASKS[0])).symlink_to(secret)
    os.mkfifo(folder / answer_file(ASKS[1]))
    replies = list(Exchange(folder).replies(ASKS))
    assert [reply.status for reply in replies] == [Status.UNREADABLE] * 2
    assert not any(reply.body for reply in replies)


def test_the_guide_covers_all_rounds_of_a_translation(tmp_path):
    """Answers of the first rounds are still needed in the last: nobody may take them for left over."""
    first, second = ASKS
    exchange = Exchange(tmp_path)
    (tmp_path / answer_file(first)).write_text(json.dumps(BODY))
    list(exchange.replies([first]))
    list(exchange.replies([second]))
    guide = (tmp_path / GUIDE).read_text()
    assert "1 of 2 questions are answered" in guide
    assert f"- [ ] `{answer_file(second)}`" in guide
    assert answer_file(first) not in guide
