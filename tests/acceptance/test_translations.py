"""Examples and fixtures translated from recorded answers: the same bytes every time, and what a person wrote.

The recordings are hand-written answers (fixtures/record_answers.py); no model is asked, here or there.
"""

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from auditing import ROOT

from pytest_mecheval.bundle.discovery import discover
from pytest_mecheval.bundle.quoting import normalised
from pytest_mecheval.claims.location import SUFFIX
from pytest_mecheval.claims.model import ClaimFile, Entry
from pytest_mecheval.claims.reading import problems_of, read_claims
from pytest_mecheval.translate.bench import BY_HAND, NOTE_BY_HAND, Tally, bench, markdown
from pytest_mecheval.translate.outline import Outline
from pytest_mecheval.translate.proposals import Fate
from pytest_mecheval.translate.providers.replay import Replay
from pytest_mecheval.translate.workflow import NOT_VISIBLE, translate, write

RECORDINGS = ROOT / "fixtures" / "recordings"
FILES = sorted([*ROOT.glob(f"examples/*{SUFFIX}"), *ROOT.glob(f"fixtures/*{SUFFIX}")])
NAMES = [path.name.removesuffix(SUFFIX) for path in FILES]
LARGEST_TOTAL = 3_000_000
"""Bytes of all recordings: they are read by people."""
ADDED_REASONS = ("dismissed as stating nothing: ", NOT_VISIBLE)
"""Statements that the hand-written file leaves out are listed by the workflow itself, never dropped."""
UNUSABLE = ("broken_weights", "hostile_files")
"""Bundles whose stated model cannot be loaded from what is committed."""
FLOORS = {
    "covered": ("statements", 1.0),
    "quoted": ("candidates", 0.70),
    "found": ("findings", 0.35),
    "kind": ("findings", 0.23),
    "components": ("findings", 0.19),
    "numbers": ("findings", 0.23),
    "direction": ("findings", 0.23),
    "exact": ("findings", 0.19),
    "steps_found": ("steps", 0.50),
}
"""Least shares of the rules alone; measured ones are a few hundredths above (README)."""


@cache
def bundle_at(path):
    return discover(path.with_name(path.name.removesuffix(SUFFIX)))


def replayed(path: Path, folder: Path) -> bytes:
    bundle = bundle_at(path)
    name = bundle.name
    target = folder / path.name
    result = translate(bundle, target, Replay(RECORDINGS / name))
    survey = Replay(RECORDINGS / name).survey(result.asks)
    assert survey.problems == (), "\n".join(["run: make recordings", *survey.problems])
    write(result, target, bundle)
    return target.read_bytes()


def said(entry: Entry) -> dict:
    """An entry without the accidents of its file: white space and defaults."""
    document = entry.model_dump(mode="json")
    document["quote"]["text"] = normalised(entry.quote.text)
    return document


def by_id(entries) -> dict:
    return {entry.id: said(entry) for entry in entries}


def assert_same_untestable(hand: ClaimFile, found: ClaimFile) -> None:
    """All that a person lists is listed with that reason; anything more is named as left out by that person."""
    left = list(found.not_testable)
    for entry in hand.not_testable:
        same = [
            each
            for each in left
            if each.reason in (normalised(entry.reason), NOT_VISIBLE)
            and each.quote.file == entry.quote.file
            and normalised(entry.quote.text) in normalised(each.quote.text)
        ]
        assert len(same) == 1, entry.id
        left.remove(same[0])
    for each in left:
        assert each.reason.startswith(ADDED_REASONS), each


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_recordings_give_the_committed_bytes_twice_and_what_a_person_wrote(path, tmp_path):
    (tmp_path / "again").mkdir()
    committed = (RECORDINGS / bundle_at(path).name / f"translated{SUFFIX}").read_bytes()
    assert replayed(path, tmp_path) == committed
    assert replayed(path, tmp_path / "again") == committed
    found, problems = problems_of(tmp_path / path.name, bundle_at(path))
    assert problems == []
    hand = read_claims(path, bundle_at(path))
    if bundle_at(path).name in UNUSABLE:
        return
    assert found.subject == hand.subject
    assert found.documents.items() >= hand.documents.items()
    assert by_id(found.claims) == by_id(hand.claims)
    assert by_id(found.plan) == by_id(hand.plan)
    assert_same_untestable(hand, found)


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_model_that_cannot_be_loaded_is_refused_with_everything_that_needs_it(name, tmp_path):
    path = ROOT / "fixtures" / f"{name}{SUFFIX}"
    found = yaml.safe_load(replayed(path, tmp_path))
    assert "subject" not in found
    assert not {each["kind"] for each in found.get("claims", ())} & {"ablation", "reported_number"}
    assert any(
        "needs a model and none is known" in each["reason"] for each in found["not_testable"]
    )


def test_every_recording_is_by_hand_small_and_belongs_to_a_bundle():
    assert sorted(folder.name for folder in RECORDINGS.iterdir()) == sorted(NAMES)
    files = [path for path in RECORDINGS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST_TOTAL
    for path in files:
        if path.suffix == ".json":
            assert json.loads(path.read_text())["answered_by"] == BY_HAND, path


def test_a_recording_that_no_longer_fits_is_named_and_nothing_is_written(tmp_path):
    """One stale, one missing, one without a question: each by its file or question."""
    folder = tmp_path / "recordings"
    shutil.copytree(RECORDINGS / "ablation_run", folder)
    changed = json.loads((folder / "plan-6.json").read_text())
    changed["key"], changed["question_sha256"] = "0" * 64, "0" * 64
    (folder / "plan-6.json").write_text(json.dumps(changed))
    (folder / "plan-7.json").unlink()
    (folder / "else.json").write_text(json.dumps({**changed, "name": "else", "key": "1" * 64}))
    result = translated_by_command("fixtures/ablation_run", folder, tmp_path / "out.claims.yaml")
    assert result.returncode == 1
    assert "plan-6.json: stale, the question changed" in result.stdout
    assert "plan-7: no recorded answer" in result.stdout
    assert "else.json: no question belongs to it" in result.stdout
    assert "nothing was written" in result.stdout
    assert not (tmp_path / "out.claims.yaml").exists()


def translated_by_command(bundle: str, recordings: Path, out: Path):
    arguments = ["translate", bundle, "--llm", "replay", "--dir", str(recordings)]
    arguments += ["--claims", str(out), "--no-trial"]
    code = (
        "import sys; from pytest_mecheval.cli import main; status = main(sys.argv[1:]); "
        "loaded = {'anthropic', 'httpx2', 'torch'} & set(sys.modules); "
        "assert not loaded, loaded; sys.exit(status)"
    )
    return subprocess.run(  # noqa: S603 - our own interpreter and options
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["induction_heads", "modular_addition"])
def test_the_command_writes_the_committed_bytes_without_key_or_sdk(name, tmp_path, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    out = tmp_path / f"{name}{SUFFIX}"
    result = translated_by_command(f"examples/{name}", RECORDINGS / name, out)
    assert result.returncode == 0, result.stdout + result.stderr
    assert out.read_bytes() == (RECORDINGS / name / f"translated{SUFFIX}").read_bytes()


def test_recordings_hold_wherever_the_checkout_lies(tmp_path):
    """Questions that repeat a problem must not carry the path of the machine it occurred on."""
    home = tmp_path / "home" / "someone" / "work" / "repo" / "fixtures"
    name = UNUSABLE[0]
    shutil.copytree(ROOT / "fixtures" / name, home / name)
    bundle = discover(home / name)
    result = translate(bundle, home / f"{name}{SUFFIX}", Replay(RECORDINGS / name))
    assert result.open == ()
    assert any(ask.name == "subject-again" for ask in result.asks)


class TestBench:
    def test_replay_is_full_marks_and_says_that_this_is_no_merit(self):
        names = ("ablation_run", "injected_prose", "kept_step")
        files = [f"fixtures/{name}{SUFFIX}" for name in names]
        result = bench_command("--llm", "replay", "--dir", "fixtures/recordings", *files)
        assert result.stdout.startswith(NOTE_BY_HAND)
        shares = [line for line in result.stdout.splitlines() if " of " in line and "(" in line]
        of_rules = "candidates that are statements"
        assert all(
            " 1.00 (" in line for line in shares if of_rules not in line and "hand" not in line
        )
        assert len(shares) >= len(FLOORS)

    def test_a_recording_too_few_ends_the_bench(self, tmp_path):
        (tmp_path / "ablation_run").mkdir()
        result = bench_command(
            "--llm", "replay", "--dir", str(tmp_path), f"fixtures/ablation_run{SUFFIX}"
        )
        assert result.returncode != 0
        assert "questions have no answer (subject: no recorded answer)" in result.stderr

    def test_rules_alone_do_not_fall_below_their_floors(self):
        found = bench(FILES, lambda bundle, _path: Outline(bundle), retry=False)
        total = sum(found.values(), Tally())
        shares = {
            part: getattr(total, part) / getattr(total, of) for part, (of, _) in FLOORS.items()
        }
        low = {part: shares[part] for part, (_, floor) in FLOORS.items() if shares[part] < floor}
        assert low == {}
        assert shares["found"] < 1
        assert f"| over {len(FILES)} bundles | `outline` |" in markdown(found, "outline")


def bench_command(*arguments: str):
    return subprocess.run(  # noqa: S603 - our own interpreter and options
        [sys.executable, "-m", "pytest_mecheval.cli", "bench", "translate", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_passage_that_is_dismissed_by_hand_is_counted_not_hidden():
    bundle = bundle_at(ROOT / f"fixtures/ablation_run{SUFFIX}")
    nowhere = Path("nowhere") / "ablation_run.claims.yaml"
    result = translate(bundle, nowhere, Replay(RECORDINGS / "ablation_run"))
    assert result.count(Fate.FAILED) == 0
    dismissed = {each.reason for each in result.claims.not_testable}
    assert all(reason.startswith(ADDED_REASONS) for reason in dismissed)
    assert dismissed
