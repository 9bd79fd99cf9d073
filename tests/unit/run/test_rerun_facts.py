"""What a rerun tells beside its events: inputs by place, numbers by label, decoys read, kept results."""

import json
from pathlib import Path

import pytest

from pytest_mecheval.checks.phases import phase_of
from pytest_mecheval.checks.ran import labelled
from pytest_mecheval.errors import SubjectError
from pytest_mecheval.run.documents import code, prose
from pytest_mecheval.run.rerun import Script, rerun
from pytest_mecheval.sandbox.backends import available
from pytest_mecheval.wire import Decoy, Rerun

pytestmark = pytest.mark.skipif(not available(), reason="no sandbox works on this machine")

MODEL = """
import json, pathlib, torch

model = torch.nn.Linear(4, 2)

def feed(first, last):
    return model(torch.arange(4.0 * first, 4.0 * last).reshape(-1, 4))

def select():
    return feed(0, 6)

def evaluate(first):
    return feed(first, first + 4)

"""


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    (folder / "results").mkdir(parents=True)
    (folder / "results" / "nodes.json").write_text('{"nodes": ["a0.h1", "a0.h12"]}')
    (folder / "results" / "old.json").write_text("{}")
    return folder


@pytest.fixture
def facts_of(bundle, tmp_path):
    def run(text: str, name: str = "run.py", **how):
        (bundle / name).write_text(text)
        files = tuple(
            sorted(p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file())
        )
        script = Script(bundle, f"{hash(text)}", files, Rerun(name, **how))
        return rerun(script, tmp_path / "store").facts

    return run


def phases(facts, bundle: Path, *places):
    units = code(bundle, ("run.py",)).facts
    return [phase_of([place], facts, units) for place in places]


@pytest.mark.parametrize(("first", "common"), [(6, 0), (5, 1), (0, 4)])
def test_common_inputs_of_two_functions_are_counted(facts_of, bundle, first, common):
    facts = facts_of(MODEL + f"select()\nevaluate({first})\n")
    selection, evaluation = phases(facts, bundle, "run.py:select", "run.py:evaluate")
    assert (len(selection.rows), len(evaluation.rows)) == (6, 4)
    assert len(selection.rows & evaluation.rows) == common
    assert facts["inputs"]["complete"]


def test_a_file_written_between_tells_phases_apart(facts_of, bundle):
    facts = facts_of(
        MODEL + "select()\npathlib.Path('results/heads.json').write_text('[1]')\nevaluate(6)\n"
    )
    before, after = phases(facts, bundle, "before results/heads.json", "after results/heads.json")
    assert (len(before.rows), len(after.rows), before.rows & after.rows) == (6, 4, frozenset())


def test_cells_of_a_notebook_are_places(facts_of, bundle):
    sources = [MODEL, "select()", "evaluate(6)"]
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": s} for s in sources]
    facts = facts_of(json.dumps({"cells": cells, "nbformat": 4}), "nb.ipynb")
    second, third = phases(facts, bundle, "nb.ipynb:cell2", "nb.ipynb:cell3")
    assert (len(second.rows), len(third.rows)) == (6, 4)


def test_numbers_are_found_by_the_words_before_them(facts_of):
    facts = facts_of(
        "import json, pathlib\n"
        "print('baseline: accuracy 0.9140, margin = 2.50 (95% of 3)')\n"
        "pathlib.Path('results/a.json').write_text(json.dumps({'test': {'loss': 1.5}, 'n': 7}))\n"
    )
    assert labelled(facts, "accuracy") == [0.914]
    assert labelled(facts, "Baseline: accuracy") == [0.914]
    assert labelled(facts, "margin") == [2.5]
    assert labelled(facts, "test loss") == [1.5]
    assert labelled(facts, "racy") == []
    assert facts["lines"] == ["baseline: accuracy 0.9140, margin = 2.50 (95% of 3)"]
    assert facts["texts"] == {"results/a.json": '{"test": {"loss": 1.5}, "n": 7}'}


READ = "print(open('results/nodes.json').read())\n"


def test_kept_results_are_there_and_others_are_not(facts_of):
    listing = "import os\nprint(sorted(os.listdir('results')))\n"
    assert facts_of(listing)["lines"] == ["[]"]
    kept = facts_of(listing, keep=("results/nodes.json",))
    assert kept["lines"] == ["['nodes.json']"]


def test_a_decoy_changes_whole_names_and_the_bundle_stays(facts_of, bundle):
    decoy = Decoy("results/nodes.json", (("a0.h1", "a0.h3"),))
    facts = facts_of(READ, keep=("results/nodes.json",), decoy=decoy)
    assert facts["lines"] == ['{"nodes": ["a0.h3", "a0.h12"]}']
    assert ["results/nodes.json", "read"] in facts["files"]
    assert "a0.h3" not in (bundle / "results" / "nodes.json").read_text()


def test_a_decoy_without_effect_is_refused(facts_of):
    decoy = Decoy("results/nodes.json", (("m5", "m6"),))
    with pytest.raises(SubjectError, match=r"results/nodes\.json: none of the names m5 occurs"):
        facts_of(READ, keep=("results/nodes.json",), decoy=decoy)


def test_another_sham_seed_is_another_sham(facts_of, bundle):
    import torch

    torch.manual_seed(0)
    torch.save({"weight": torch.randn(2, 4), "bias": torch.zeros(2)}, bundle / "w.pt")
    text = MODEL + (
        "model.load_state_dict(torch.load('w.pt', weights_only=True))\n"
        "print('score', f'{feed(0, 6).sum().item():.4f}')\n"
    )
    runs = [facts_of(text), *(facts_of(text, sham="shuffle", sham_seed=seed) for seed in (0, 1))]
    assert [run["sham_applied"] for run in runs] == [False, True, True]
    assert len({tuple(labelled(run, "score")) for run in runs}) == 3


def test_prose_is_found_by_paragraph_with_its_line(bundle):
    (bundle / "report.md").write_text("# Title\n\nAccuracy is\n0.914 here.\n\nNothing else.\n")
    found = prose(bundle, "report.md", "is 0.914").facts["paragraphs"]
    assert found == [{"line": 3, "text": "Accuracy is 0.914 here."}]
    with pytest.raises(SubjectError, match=r"missing\.md"):
        prose(bundle, "missing.md", "0.914")
