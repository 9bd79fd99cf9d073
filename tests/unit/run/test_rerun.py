"""A bundle's own script in the sandbox: what it did as facts, run once, and never believed about itself."""

import dataclasses
import threading
from pathlib import Path

import pytest

from pytest_mecheval.checks import ran
from pytest_mecheval.errors import SubjectError
from pytest_mecheval.run.rerun import Script, rerun
from pytest_mecheval.sandbox.backends import available
from pytest_mecheval.sandbox.confinement import Limits
from pytest_mecheval.wire import Rerun

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")

MODEL = """
import torch

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lower = torch.nn.Linear(4, 4)
        self.upper = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.upper(self.lower(x))

torch.manual_seed(0)
model = Model()
prompts = torch.arange(64.0).reshape(16, 4)
"""


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    (folder / "results").mkdir(parents=True)
    (folder / "results" / "old.json").write_text('{"drop": 0.123456}')
    return folder


@pytest.fixture
def facts_of(bundle, tmp_path):
    def run(code: str, name: str = "run.py"):
        (bundle / name).write_text(code)
        return rerun(script(bundle, name), tmp_path / "store").facts

    return run


def script(bundle: Path, entry: str, digest: str = "d", **how) -> Script:
    files = tuple(
        sorted(p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file())
    )
    return Script(bundle, digest, files, Rerun(entry, **how))


def test_an_ablation_is_recorded_with_site_prompts_and_place(facts_of):
    facts = facts_of(
        MODEL
        + "def zero(module, args, output):\n    return torch.zeros_like(output)\n"
        + "model.lower.register_forward_hook(zero)\nmodel(prompts)\nprint('drop', 1.25)\n"
    )
    (edit,) = facts["edits"]
    assert edit["site"].startswith("lower")
    assert (edit["kind"], edit["prompts"]) == ("zero", 16)
    assert edit["places"][0].startswith("run.py:")
    assert "1.25" in facts["numbers"]
    assert (facts["status"], facts["exit_code"], facts["standing"]) == ("finished", 0, "complete")


def test_a_hook_that_changes_nothing_is_a_read(facts_of):
    facts = facts_of(
        MODEL + "model.lower.register_forward_hook(lambda m, a, output: output)\nmodel(prompts)\n"
    )
    assert facts["edits"] == []
    assert [row["site"].split(".")[0] for row in facts["reads"]] == ["lower"]


def test_the_mean_of_a_large_batch_is_a_mean(facts_of):
    facts = facts_of(
        MODEL.replace("torch.arange(64.0)", "torch.rand(800)").replace("(16, 4)", "(200, 4)")
        + "def mean(module, args, output):\n    return output.mean(0, keepdim=True).expand_as(output)\n"
        + "model.lower.register_forward_hook(mean)\nmodel(prompts)\n"
    )
    assert [(row["kind"], row["prompts"]) for row in facts["edits"]] == [("mean", 200)]


def test_where_weights_came_from_is_told(facts_of):
    facts = facts_of(
        MODEL
        + "torch.save(model.state_dict(), 'a.pt')\nmodel.load_state_dict(torch.load('a.pt'))\n"
    )
    assert facts["loads"] == [{"source": "a.pt", "place": "run.py:17"}]


def test_what_a_killed_run_left_is_removed_and_nothing_else(facts_of, tmp_path, monkeypatch):
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(rooms))
    left, foreign = rooms / "run-left", rooms / "foreign"
    for folder in (left, foreign):
        (folder / "scratch").mkdir(parents=True)
    facts_of("print(1)")
    (record,) = (tmp_path / "store").glob("??/*.json")
    note = record.with_suffix(".workshop")
    assert not note.exists()
    for name in ("run-left", "foreign", "../store"):
        record.unlink()
        note.write_text(name)
        facts_of("print(1)")
    assert [folder.name for folder in rooms.iterdir()] == ["foreign"]
    assert record.exists()
    assert not note.exists()


def test_stored_results_are_gone_before_the_run(facts_of):
    facts = facts_of("import pathlib\nprint(sorted(map(str, pathlib.Path('results').iterdir())))\n")
    assert facts["exit_code"] == 0
    assert "0.123456" not in facts["numbers"]


def test_a_crash_is_told_with_its_last_words(facts_of):
    facts = facts_of("raise ValueError('halfway')\n")
    assert facts["exit_code"] != 0
    assert "halfway" in facts["last_words"]


def test_the_bundle_and_the_host_stay_as_they_were(facts_of, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret-in-the-environment")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret-in-a-file")
    facts = facts_of(
        "import os, pathlib\n"
        "print(os.environ.get('SOME_API_KEY'))\n"
        f"try:\n    print(pathlib.Path({str(secret)!r}).read_text())\n"
        "except OSError:\n    print('unreadable', 7.5)\n"
        f"try:\n    pathlib.Path({str(bundle / 'planted')!r}).write_text('x')\n"
        "except OSError:\n    print('unwritable', 8.5)\n"
    )
    assert {"7.5", "8.5"} <= set(facts["numbers"])
    assert not (bundle / "planted").exists()
    assert secret.read_text() == "secret-in-a-file"


def test_one_run_however_many_ask(bundle, tmp_path):
    (bundle / "run.py").write_text("import time\nprint(time.time_ns())\n")
    found = []
    asking = [
        threading.Thread(
            target=lambda: found.append(rerun(script(bundle, "run.py"), tmp_path / "store").facts)
        )
        for _ in range(3)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len({tuple(facts["numbers"]) for facts in found}) == 1
    changed = rerun(script(bundle, "run.py", digest="another"), tmp_path / "store").facts
    assert changed["numbers"] != found[0]["numbers"]


def test_what_the_clock_ended_is_tried_again_in_the_next_session_only(bundle, tmp_path):
    (bundle / "run.py").write_text(
        "import time\nprint(time.time_ns(), flush=True)\ntime.sleep(60)\n"
    )
    slow = dataclasses.replace(script(bundle, "run.py"), limits=Limits(wall_s=2.0))

    def numbers(session):
        folder = tmp_path / session
        folder.mkdir(exist_ok=True)
        facts = rerun(slow, tmp_path / "store", folder).facts
        assert facts["status"] == ran.TIMED_OUT
        assert "--mecheval-script-seconds" in ran.ending(facts)
        return facts["numbers"]

    first = numbers("first")
    assert numbers("first") == first
    assert numbers("second") != first


def test_a_damaged_record_is_no_record(bundle, tmp_path):
    (bundle / "run.py").write_text("print(7.5)\n")
    rerun(script(bundle, "run.py"), tmp_path / "store")
    (path,) = (tmp_path / "store").rglob("*.json")
    for damage in ("", "{}", path.read_text()[:-40], path.read_text().replace(path.stem, "0" * 64)):
        path.write_text(damage)
        assert "7.5" in rerun(script(bundle, "run.py"), tmp_path / "store").facts["numbers"]


def test_what_cannot_be_run_is_said_plainly(bundle, tmp_path):
    (bundle / "plan.md").write_text("# Plan")
    with pytest.raises(
        SubjectError, match=r"plan\.md: cannot be run \(allowed: \.py, \.ipynb, \.sh\)"
    ):
        rerun(script(bundle, "plan.md"), tmp_path / "store")
    with pytest.raises(SubjectError, match=r"missing\.py"):
        rerun(script(bundle, "missing.py"), tmp_path / "store")
    (bundle / "link.py").symlink_to("/etc/hostname")
    with pytest.raises(SubjectError, match=r"link\.py"):
        rerun(script(bundle, "link.py"), tmp_path / "store")


def test_a_script_that_forges_the_ledger_is_found_out(facts_of):
    facts = facts_of(
        "import glob, os\n"
        "for path in glob.glob(os.path.dirname(os.getcwd()) + '/ledger.jsonl'):\n"
        "    with open(path, 'a') as stream:\n"
        '        stream.write(\'{"t":"edit","site":"lower"}\\n\')\n'
    )
    assert facts["standing"] == "forged"
    assert facts["edits"] == []


def test_shuffled_weights_change_what_is_computed_and_nothing_typed(bundle, tmp_path):
    (bundle / "run.py").write_text(
        MODEL
        + "state = torch.load('w.pt', weights_only=True)\nmodel.load_state_dict(state)\n"
        + "print('computed', f'{model(prompts).abs().mean().item():.4f}', 'typed', 0.8642)\n"
    )
    import torch

    torch.manual_seed(0)
    shapes = {
        "lower.weight": (4, 4),
        "lower.bias": (4,),
        "upper.weight": (2, 4),
        "upper.bias": (2,),
    }
    torch.save({name: torch.randn(shape) for name, shape in shapes.items()}, bundle / "w.pt")
    real = rerun(script(bundle, "run.py"), tmp_path / "store").facts
    sham = rerun(script(bundle, "run.py", sham="shuffle"), tmp_path / "store").facts
    assert (real["sham_applied"], sham["sham_applied"]) == (False, True)
    assert set(real["numbers"]) & set(sham["numbers"]) == {"0.8642"}


ABLATION = (
    "def zero(module, args, output):\n    return torch.zeros_like(output)\n"
    "clean = model(prompts).abs().mean()\n"
    "handle = model.lower.register_forward_hook(zero)\nablated = model(prompts).abs().mean()\n"
    "handle.remove()\n"
)
WATCHED = "watched = hasattr(torch.nn.Module.register_forward_hook, '__wrapped__')\n"


def test_a_script_that_looks_for_the_tracer_gives_itself_away(facts_of):
    facts = facts_of(MODEL + WATCHED + "print('drop', 1.25 if watched else 3.5)\n")
    assert "1.25 traced, 3.5 plain" in facts["watched"]["differences"][0]


def test_a_script_that_does_the_same_is_left_alone(facts_of):
    facts = facts_of(
        MODEL + ABLATION + "import os, time\nprint('drop', (clean - ablated).item())\n"
        "print(os.getcwd(), object(), 'took', time.perf_counter(), 's')\n"
    )
    assert facts["watched"]["differences"] == []
    assert facts["watched"]["unstable_numbers"] == []
    assert facts["watched"]["compared"] > 5


def test_numbers_that_never_repeat_are_no_difference(facts_of):
    facts = facts_of("import random\nprint('fixed', 0.25, 'drawn', random.random())\n")
    drawn = facts["sequence"][1]
    assert facts["watched"]["differences"] == []
    assert facts["watched"]["unstable_numbers"] == [drawn]


def test_poison_moves_what_is_computed_from_the_edit_and_nothing_else(bundle, tmp_path):
    (bundle / "run.py").write_text(
        MODEL + ABLATION + "print(f'{clean.item():.4f} {ablated.item():.4f}')\n"
    )
    real, finite, nan, elsewhere = (
        rerun(script(bundle, "run.py", **how), tmp_path / "store").facts
        for how in (
            {},
            {"poison": "finite"},
            {"poison": "nan"},
            {"poison": "finite", "poison_sites": ("upper",)},
        )
    )
    assert finite["sequence"][0] == real["sequence"][0]
    assert finite["sequence"][1] != real["sequence"][1]
    assert (finite["poisoned"], nan["poisoned"], elsewhere["poisoned"]) == (1, 1, 0)
    assert nan["edited_outputs"] != real["edited_outputs"] == elsewhere["edited_outputs"]
    assert elsewhere["sequence"] == real["sequence"]


def test_other_seeds_and_arguments_reach_the_script(bundle, tmp_path):
    (bundle / "run.py").write_text(
        MODEL
        + "import sys\nx = torch.randn(int(sys.argv[1]) if sys.argv[1:] else 8, 4)\nprint(len(x))\n"
        + "model(x)\n"
    )
    real, seeded, half = (
        rerun(script(bundle, entry, **how), tmp_path / "store").facts
        for entry, how in (("run.py", {}), ("run.py", {"seed_shift": 1000}), ("run.py 4", {}))
    )
    assert real["inputs_digest"] != seeded["inputs_digest"]
    assert (real["prompts"], seeded["prompts"], half["prompts"]) == (8, 8, 4)
    assert "watched" in real
    assert "watched" not in seeded
