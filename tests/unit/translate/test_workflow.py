import handmade_model
import pytest
import yaml
from answering import (
    OWNED,
    REPORT,
    SPEC,
    STEP,
    SUBJECT,
    Says,
    body,
    bundle_in,
    claim,
    sensible,
)

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.claims.reading import problems_of, read_claims
from pytest_mecheval.errors import ClaimFileError, UsageError
from pytest_mecheval.translate import workflow
from pytest_mecheval.translate.asks import Status
from pytest_mecheval.translate.proposals import Fate
from pytest_mecheval.translate.telling import summary
from pytest_mecheval.translate.workflow import translate, why_translate, write


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "b").mkdir()
    handmade_model.write(tmp_path / "b" / "model")
    return bundle_in(tmp_path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "b.claims.yaml"


def done(bundle, path, answer=sensible, **options):
    provider = Says(answer)
    result = translate(bundle, path, provider, **options)
    write(result, path, bundle)
    return result, provider


def test_prose_becomes_a_claim_file_that_reads_without_a_problem(bundle, path):
    result, provider = done(bundle, path)
    claims, problems = problems_of(path, bundle)
    assert problems == []
    assert claims == result.claims
    assert [each.id for each in claims.claims] == ["needed", "key"]
    assert claims.plan[0].spec == STEP
    assert claims.not_testable[0].quote.text == "It is an elegant circuit."
    assert claims.subject.model is not None
    assert [ask.role for ask in provider.asked] == ["subject", "plan", *["finding"] * 3]
    assert why_translate(path, bundle) == ""


def test_same_answers_same_bytes(bundle, path):
    done(bundle, path)
    first = path.read_bytes()
    done(bundle, path)
    assert path.read_bytes() == first
    path.unlink()
    done(bundle, path)
    assert path.read_bytes() == first


def test_missing_and_stale_files_are_to_be_translated(bundle, path, tmp_path):
    assert "no claim file" in why_translate(path, bundle)
    done(bundle, path)
    changed = bundle_in(tmp_path, REPORT + "\nHead 1.0 is necessary.\n")
    assert "stale" in why_translate(path, changed)


def test_what_a_person_edited_survives_and_is_marked(bundle, path, tmp_path):
    done(bundle, path)
    text = path.read_text().replace("min_drop: 2.5", "min_drop: 3.5").replace("id: key", "id: mine")
    path.write_text(text)
    changed = bundle_in(tmp_path, REPORT + "\nHead 1.0 is necessary.\n")
    result, provider = done(changed, path)
    by_id = {each.id: each for each in read_claims(path, changed).claims}
    assert by_id["needed"].spec["min_drop"] == 3.5
    assert by_id["needed"].edited
    assert by_id["mine"].edited
    assert {each.id for each in result.changes.kept} == {"needed", "mine"}
    asked = {ask.text for ask in provider.asked if ask.role == "finding"}
    assert asked == {"It is an elegant circuit.", "Head 1.0 is necessary."}
    # ... and survives the next one too.
    done(changed, path)
    assert {each.id for each in read_claims(path, changed).claims if each.edited} == {
        "needed",
        "mine",
    }


def test_a_hand_written_file_without_stamp_is_edited_throughout(bundle, path):
    done(bundle, path)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# as")]
    path.write_text("\n".join(lines) + "\n")
    _, provider = done(bundle, path)
    assert provider.asked == []
    assert all(entry.edited for entry in read_claims(path, bundle).entries())


def test_changes_are_a_diff(bundle, path, tmp_path):
    first, _ = done(bundle, path)
    assert len(first.changes.added) == 4
    changed = bundle_in(
        tmp_path, REPORT.replace("It is an elegant circuit.", "Head 1.0 is necessary.")
    )

    def other(ask):
        if "1.0 is necessary" in ask.text:
            spec = {key: value for key, value in SPEC.items() if key != "min_drop"}
            return body("claims", claim(ask.text, spec, owned=[*OWNED, "metric"]))
        if ask.role == "plan":
            requires = [{**STEP["requires"][0], "sites": ["attn.o"]}]
            return body("plan_step", claim(ask.text, {**STEP, "requires": requires}, "plan_step"))
        return sensible(ask)

    second, _ = done(changed, path, other)
    lines = list(second.changes.lines())
    assert [line[0] for line in lines] == ["+", "~", "-"]
    assert "attn.o" in lines[1]
    assert "was: plan step" in lines[1]


def test_an_edited_entry_whose_quote_is_gone_is_named(bundle, path, tmp_path):
    done(bundle, path)
    path.write_text(path.read_text().replace("min_drop: 2.5", "min_drop: 3.5"))
    changed = bundle_in(tmp_path, REPORT.replace("by more than 2.5 nats", "by much, 2.5 nats"))
    result, _ = done(changed, path)
    assert any("'needed'" in line and "has no such text" in line for line in result.changes.lost)


@pytest.mark.parametrize(
    "status", [Status.REFUSED, Status.TRUNCATED, Status.TIMED_OUT, Status.OVER_BUDGET]
)
def test_a_passage_without_answer_counts_as_untested(bundle, path, status):
    result, _ = done(bundle, path, lambda ask: status if "1.1" in ask.text else sensible(ask))
    (lost,) = [each for each in result.claims.not_testable if "1.1" in each.quote.text]
    assert lost.reason == f"not translated: {status}: so it is"
    assert result.count(Fate.FAILED) == 1
    assert len(list(result.claims.entries())) == 4


def test_an_unusable_answer_goes_back_once_with_what_is_wrong(bundle, path):
    def weak_first(ask):
        if "1.1" in ask.text and not ask.name.endswith("-again"):
            spec = {key: value for key, value in SPEC.items() if key != "min_drop"}
            spec["components"] = ["a1.h1"]
            return body("claims", claim(ask.text, spec, owned=[*OWNED, "metric"]))
        return sensible(ask)

    result, provider = done(bundle, path, weak_first)
    assert result.count(Fate.FAILED) == 0
    (second,) = [ask for ask in provider.asked if ask.name.endswith("-again")]
    assert "key head" in second.question
    assert "special: false" in second.question


def test_an_answer_that_stays_weaker_than_its_quote_is_no_claim(bundle, path):
    def weak(ask):
        if "1.1" in ask.text:
            spec = {key: value for key, value in SPEC.items() if key != "min_drop"}
            spec["components"] = ["a1.h1"]
            return body("claims", claim(ask.text, spec, owned=[*OWNED, "metric"]))
        return sensible(ask)

    result, provider = done(bundle, path, weak)
    assert [each.id for each in result.claims.claims] == ["needed"]
    (lost,) = [each for each in result.claims.not_testable if "1.1" in each.quote.text]
    assert lost.reason.startswith("not translated: weakened: ")
    assert "'key head'" in lost.reason
    assert sum("again" in ask.name for ask in provider.asked) == 1


def test_a_statement_cannot_be_dismissed(bundle, path):
    result, _ = done(
        bundle, path, lambda ask: sensible(ask) if ask.role == "subject" else body("no_claim", explanation="all fine")
    )  # fmt: skip
    assert result.claims.claims == ()
    reasons = [each.reason for each in result.claims.not_testable]
    assert reasons == ["dismissed as stating nothing: all fine"] * 3
    assert result.count(Fate.DISMISSED) == 1


def test_while_questions_are_open_nothing_is_written(bundle, path):
    result = translate(bundle, path, Says(lambda _ask: Status.MISSING))
    assert [line.partition(":")[0] for line in result.open] == ["subject"]
    with pytest.raises(UsageError, match="1 questions have no answer"):
        write(result, path, bundle)
    assert not path.exists()

    result = translate(
        bundle, path, Says(lambda ask: sensible(ask) if ask.role == "subject" else Status.MISSING)
    )
    assert len(result.open) == 4


def test_an_answer_nobody_can_read_is_waited_for_like_a_missing_one(bundle, path):
    """A comma too many must not turn a finding into one that cannot be tested, nor waste the other answers."""
    result = translate(bundle, path, Says(lambda _ask: Status.UNREADABLE))
    assert result.open == ("subject: so it is",)
    assert result.proposals == ()

    def one_wrong(ask):
        return Status.UNREADABLE if "1.1" in ask.text else sensible(ask)

    result = translate(bundle, path, provider := Says(one_wrong))
    assert len(result.open) == 1
    assert "1 without an answer" in summary(result, provider)
    with pytest.raises(UsageError, match="1 questions have no answer"):
        write(result, path, bundle)


def test_a_broken_claim_file_is_never_overwritten(bundle, path):
    path.write_text("format: 1\nclaims: {")
    with pytest.raises(ClaimFileError, match="remove it to start anew"):
        translate(bundle, path, Says())
    assert path.read_text() == "format: 1\nclaims: {"


def test_a_stated_subject_is_kept_and_not_asked_about(bundle, path):
    done(bundle, path)
    _, provider = done(bundle, path)
    assert all(ask.role != "subject" for ask in provider.asked)


SUBJECT_DEFECTS = [
    ({"model": {**SUBJECT["model"], "weights": "model/other.safetensors"}}, "no such file"),
    ({"model": {**SUBJECT["model"], "config": "run.py"}}, "model"),
    ({"tasks": {"t": {"generator": "inductoin"}}}, "inductoin"),
    ({"tasks": {"t": {"generator": "induction", "vocab": -3}}}, "vocab"),
    ({"models": {}}, "unknown field"),
]


@pytest.mark.parametrize(("stated", "words"), SUBJECT_DEFECTS)
def test_a_subject_that_does_not_fit_the_bundle_goes_back_once_and_is_then_left_out(
    bundle, path, stated, words
):
    answer = lambda ask: body("subject", subject=stated) if ask.role == "subject" else sensible(ask)  # noqa: E731
    result, provider = done(bundle, path, answer)
    assert words in " ".join(result.problems)
    again = [ask for ask in provider.asked if ask.name == "subject-again"]
    assert len(again) == 1
    assert words in again[0].question
    assert result.claims.subject.model is None
    assert result.claims.claims == ()
    assert any("subject.model" in each.reason for each in result.claims.not_testable)


def test_a_subject_whose_trial_fails_is_left_out(bundle, path):
    result, provider = done(
        bundle, path, trial=lambda _sources: ("subject.tasks.t: no better than chance",)
    )
    assert result.problems == ("subject.tasks.t: no better than chance",)
    assert result.claims.subject.model is None
    assert any("chance" in ask.question for ask in provider.asked)


def test_a_bundle_that_states_nothing_is_a_usage_error(tmp_path):
    bundle = bundle_in(tmp_path, "# Report\n", "# Plan\n")
    with pytest.raises(UsageError, match="no plan step and no finding"):
        translate(bundle, tmp_path / "b.claims.yaml", Says())


def test_every_progress_step_is_told(bundle, path):
    told = []
    done(bundle, path, on_reply=lambda done, wanted, _reply: told.append((done, wanted)))
    assert told == [(1, 1), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_file_is_yaml_for_other_readers(bundle, path):
    result, _ = done(bundle, path)
    assert len(yaml.safe_load(path.read_text())["claims"]) == len(result.claims.claims)
    assert discover(bundle.root).digest == bundle.digest


def test_the_second_try_at_a_subject_may_run_what_the_first_may(bundle, path, monkeypatch):
    seen = []

    def never_fits(_reply, _bundle, _trial, running=None):
        seen.append(running)
        return None, ("does not fit",)

    monkeypatch.setattr(workflow, "proposed_subject", never_fits)
    done(bundle, path)
    assert len(seen) == 2
    assert seen[0] is seen[1] is not None


def test_a_subject_without_tasks_in_a_translated_file_is_asked_for_again(bundle, path):
    done(bundle, path)
    data = yaml.safe_load(path.read_text())
    model, tasks = SUBJECT["model"], SUBJECT["tasks"]
    stamps = [line for line in path.read_text().splitlines() if line.startswith("# as")]
    data["claims"] = []  # they need the tasks
    data["subject"] = {"model": model}
    path.write_text(yaml.safe_dump(data) + "\n".join(stamps) + "\n")
    result, provider = done(bundle, path)
    assert provider.asked[0].role == "subject"
    assert set(result.claims.subject.tasks) == set(tasks)
    assert [each.id for each in result.claims.claims] == ["needed", "key"]


def test_a_model_that_stands_in_the_file_is_kept_over_the_answers(bundle, path):
    done(bundle, path)
    data = yaml.safe_load(path.read_text())
    stamps = [line for line in path.read_text().splitlines() if line.startswith("# as")]
    mine = {"loader": "hub", "name": "gpt2"}
    data |= {"claims": [], "plan": [], "subject": {"model": mine}}
    path.write_text(yaml.safe_dump(data) + "\n".join(stamps) + "\n")
    result = translate(bundle, path, Says(sensible))
    assert result.claims.subject.model is not None
    assert result.claims.subject.model.loader == "hub"
    assert result.claims.subject.tasks
    assert "was kept" in result.problems[0]


def test_open_questions_are_told_once_and_no_change_is_announced(bundle, path):
    provider = Says(lambda ask: sensible(ask) if ask.role == "subject" else Status.MISSING)
    text = summary(translate(bundle, path, provider), provider)
    assert "4 without an answer" in text
    assert "no answer yet: 4" in text
    assert "changes" not in text
    assert "not translated" not in text


def test_a_quote_is_put_in_place_with_the_characters_that_were_not_shown(path, tmp_path):
    (tmp_path / "b").mkdir()
    handmade_model.write(tmp_path / "b" / "model")
    shown = "\u26a0 Ablating head 1.0 lowers the logit difference by more than 2.5 nats."
    held = shown.replace("\u26a0", "\u26a0\ufe0f").replace("lowers", "low\u00aders")
    marked = REPORT.replace(shown[2:], held)

    def quotes_what_it_was_shown(ask):
        if "1.0" not in ask.text:
            return sensible(ask)
        assert shown in ask.question
        return body("claims", claim(shown, SPEC, owned=OWNED, name="needed"))

    result, _ = done(bundle_in(tmp_path, marked), path, quotes_what_it_was_shown)
    quote = next(each.quote.text for each in result.claims.claims if each.id == "needed")
    assert quote == held
    assert problems_of(path, discover(tmp_path / "b"))[1] == []
