"""Recorded answers are found by key, and whatever does not fit exactly is named."""

import dataclasses
import json

import pytest

from pytest_mecheval.errors import UsageError
from pytest_mecheval.translate.asks import Ask, Reply, Status, Usage
from pytest_mecheval.translate.providers.replay import Record, Replay, record

ASK = Ask(
    name="documentation-41",
    role="finding",
    shared="instructions and a bundle " * 4000,
    question="What does it claim?",
    schema={"type": "object"},
    prompt_version="1",
    file="logs/documentation.md",
    line=41,
    text="Head 1.6 copies \u2192 tokens",
)
OTHER = dataclasses.replace(ASK, name="plan-3", role="plan", question="Does it promise a step?")
BODY = {"outcome": "no_claim", "explanation": "caf\u00e9"}


class Scripted:
    """Answers as told and remembers what it was asked."""

    name = "scripted"

    def __init__(self, **by_name):
        self.by_name = by_name
        self.asked = []

    def replies(self, asks):
        for ask in asks:
            self.asked.append(ask.name)
            yield self.by_name[ask.name.replace("-", "_")](ask)


def answered(ask):
    return Reply(ask, Status.ANSWERED, BODY, usage=Usage(1, 2, 3, 4))


def test_what_was_recorded_comes_back_the_same(tmp_path):
    record(tmp_path, answered(ASK))
    record(tmp_path, Reply(OTHER, Status.REFUSED, detail="declined", usage=Usage(output=7)))
    assert list(Replay(tmp_path).replies([OTHER, ASK])) == [
        Reply(OTHER, Status.REFUSED, detail="declined", usage=Usage(output=7)),
        answered(ASK),
    ]
    assert not Replay(tmp_path).survey([ASK, OTHER]).problems


def test_a_recording_is_small_readable_and_steady(tmp_path):
    path = record(tmp_path, answered(ASK))
    text = path.read_text()
    assert path.name == "documentation-41.json"
    assert len(text) < 2000 < len(ASK.shared)
    assert "Head 1.6 copies \u2192 tokens" in text
    assert json.loads(text)["answer"] == BODY
    assert record(tmp_path, answered(ASK)).read_text() == text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shared": "another bundle"}, "the bundle or the instructions changed"),
        ({"question": "another question"}, "the question changed"),
        ({"schema": {"type": "array"}}, "the answer's schema changed"),
        ({"prompt_version": "2"}, "the prompts' version changed"),
        (
            {"question": "x", "shared": "y"},
            "the bundle or the instructions and the question changed",
        ),
    ],
)
def test_a_stale_recording_is_not_used_and_says_what_changed(tmp_path, change, said):
    path = record(tmp_path, answered(ASK))
    now = dataclasses.replace(ASK, **change)
    replay = Replay(tmp_path)
    (reply,) = replay.replies([now])
    assert reply.status is Status.MISSING
    assert said.removesuffix(" changed") in reply.detail
    assert str(path) in reply.detail
    survey = replay.survey([now])
    assert survey.problems == (f"{path}: stale, {said}",)
    assert survey.orphans == (path,)


def test_missing_and_orphaned_recordings_are_named(tmp_path):
    path = record(tmp_path, answered(OTHER))
    replay = Replay(tmp_path)
    (reply,) = replay.replies([ASK])
    assert (reply.status, reply.detail) == (Status.MISSING, "no recorded answer")
    assert replay.survey([ASK]).problems == (
        "documentation-41: no recorded answer",
        f"{path}: no question belongs to it",
    )


def test_the_name_of_the_file_does_not_matter(tmp_path):
    record(tmp_path, answered(ASK)).rename(tmp_path / "renamed.json")
    (reply,) = Replay(tmp_path).replies([ASK])
    assert reply == answered(ASK)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "not JSON",
        "[]",
        '{"format": 2}',
        '{"format": 1, "key": "x"}',
        '{"a": 1, "a": 2}',
    ],
)
def test_a_file_that_is_no_recording_is_refused_by_name(tmp_path, content):
    record(tmp_path, answered(ASK))
    (tmp_path / "broken.json").write_text(content)
    with pytest.raises(UsageError, match=r"broken\.json"):
        Replay(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "passed"},
        {"answer": [1]},
        {"usage": {"gifts": 3}},
        {"usage": 7},
        {"shared": None},
    ],
)
def test_a_damaged_recording_is_refused_by_name(tmp_path, change):
    path = record(tmp_path, answered(ASK))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError, match=r"documentation-41\.json: no recorded answer"):
        Replay(tmp_path)


def test_two_recordings_of_one_question_are_refused(tmp_path):
    path = record(tmp_path, answered(ASK))
    (tmp_path / "twin.json").write_text(path.read_text())
    with pytest.raises(UsageError, match="same question"):
        Replay(tmp_path)


def test_a_missing_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="recorded answers"):
        Replay(tmp_path / "nowhere")


class TestRecord:
    """Recording asks only what is not there yet."""

    def test_what_is_recorded_is_not_asked_again(self, tmp_path):
        record(tmp_path, answered(ASK))
        other = Scripted(plan_3=answered)
        replies = list(Record(other, tmp_path).replies([ASK, OTHER]))
        assert other.asked == ["plan-3"]
        assert {reply.ask.name for reply in replies} == {ASK.name, OTHER.name}
        assert [r.status for r in Replay(tmp_path).replies([ASK, OTHER])] == [Status.ANSWERED] * 2

    def test_a_stale_recording_is_replaced(self, tmp_path):
        record(tmp_path, answered(ASK))
        now = dataclasses.replace(ASK, question="another question")
        list(Record(Scripted(documentation_41=answered), tmp_path).replies([now]))
        assert not Replay(tmp_path).survey([now]).problems

    @pytest.mark.parametrize("status", list(Status))
    def test_only_what_would_come_again_is_kept(self, tmp_path, status):
        lasting = {Status.ANSWERED, Status.REFUSED, Status.TRUNCATED, Status.MALFORMED}
        other = Scripted(documentation_41=lambda ask: Reply(ask, status))
        (reply,) = Record(other, tmp_path / "new").replies([ASK])
        assert reply.status is status
        assert (tmp_path / "new").exists() == (status in lasting)

    def test_answers_are_kept_although_a_later_one_fails(self, tmp_path):
        def breaks(_ask):
            raise KeyboardInterrupt

        other = Scripted(documentation_41=answered, plan_3=breaks)
        with pytest.raises(KeyboardInterrupt):
            list(Record(other, tmp_path).replies([ASK, OTHER]))
        assert next(iter(Replay(tmp_path).replies([ASK]))) == answered(ASK)
