"""The copy a script is shown: complete enough to run, with nothing in it to repeat."""

import json

import pytest

from pytest_mecheval.bundle.notebooks import MAX_NOTEBOOK_BYTES
from pytest_mecheval.errors import BundleError
from pytest_mecheval.run.copying import MAX_MASKED_BYTES, copy_bundle


@pytest.fixture
def copied(tmp_path):
    def make(files: dict[str, bytes]):
        root = tmp_path / "bundle"
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        target = tmp_path / "copy"
        notes = copy_bundle(root, sorted(files), target)
        found = {
            path.relative_to(target).as_posix(): path.read_bytes()
            for path in target.rglob("*")
            if path.is_file()
        }
        return found, notes

    return make


def test_findings_lose_their_digits_and_nothing_else(copied):
    text = "Genauigkeit (µm): 0.953 at head 1.6\n".encode()
    found, notes = copied({"logs/documentation.md": text, "README.md": text, "plan_v2.md": text})
    assert set(found.values()) == {"Genauigkeit (µm): 0.000 at head 0.0\n".encode()}
    assert notes == ()


def test_what_a_script_reads_as_data_is_left_alone(copied):
    files = {
        "run.py": b"SEED = 7\n",
        "data/prompts.txt": b"12 34\n",
        "config.json": b'{"n": 128}',
        "notes/ideas.md": b"try 3 seeds\n",
    }
    assert copied(files)[0] == files


def test_notebooks_keep_their_code_only(copied):
    cells = [
        {"cell_type": "markdown", "source": ["accuracy ", "0.953"], "attachments": {"a": {}}},
        {
            "cell_type": "code",
            "source": "n = 128",
            "execution_count": 4,
            "outputs": [{"text": "0.953"}],
        },
    ]
    found, _ = copied({"a.ipynb": json.dumps({"cells": cells, "nbformat": 4}).encode()})
    body = json.loads(found["a.ipynb"])
    assert b"953" not in found["a.ipynb"]
    assert body["nbformat"] == 4
    assert body["cells"][1]["source"] == "n = 128"
    assert body["cells"][0]["source"] == "accuracy 0.000"


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"cells": 3}', b"[" * 5000, b'{"cells": [1]}'])
def test_what_is_no_notebook_is_copied_as_it_is(copied, content):
    assert copied({"a.ipynb": content})[0]["a.ipynb"] == content


def test_native_code_is_left_out_with_a_note(copied):
    files = {"fast.so": b"\x7fELF", "lib/x.so.1": b"", "run.py": b"", "path.pth": b"import os"}
    found, notes = copied(files)
    assert set(found) == {"run.py"}
    assert [note.partition(":")[0] for note in notes] == ["fast.so", "lib/x.so.1", "path.pth"]


def test_what_is_too_large_to_clean_is_left_out_with_a_note(copied):
    files = {"a.ipynb": b" " * (MAX_NOTEBOOK_BYTES + 1), "README.md": b" " * (MAX_MASKED_BYTES + 1)}
    found, notes = copied(files)
    assert found == {}
    assert all("left out of the run" in note for note in notes)


def test_a_link_that_appears_between_listing_and_copying_is_not_followed(tmp_path):
    root = tmp_path / "bundle"
    root.mkdir()
    (root / "run.py").symlink_to("/etc/hostname")
    with pytest.raises(BundleError, match=r"run\.py"):
        copy_bundle(root, ["run.py"], tmp_path / "copy")
