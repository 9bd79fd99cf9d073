import hashlib
import json
from pathlib import Path

import pytest

from pytest_mecheval.bundle.discovery import MAX_TEXT_BYTES, discover
from pytest_mecheval.errors import BundleError


def notebook(*cells):
    return json.dumps(
        {"cells": [{"cell_type": kind, "source": source} for kind, source in cells]}, indent=1
    )


NATURAL = {
    "logs/plan_v10.md": "# Plan ten\n",
    "logs/plan_v2.md": "# Plan two\n",
    "logs/plan_v1.md": "# Plan one\n",
    "logs/documentation.md": "# Findings\n\nHead 1.6 copies.\n",
    "logs/code_walk.md": "# Walk\n",
    "logs/agent.log": "done\n",
    "notebooks/2025-01-02-10-00_Main.ipynb": notebook(("code", "x = 1")),
    "notebooks/plan_v2_Md.ipynb": notebook(("markdown", ["# Plan two\n"])),
    "src/train.py": "print('train')\n",
    "run_all.sh": "python src/train.py\n",
    "results/real_circuits_1.json": '{"nodes": ["input", "a1.h6"]}',
    "model/config.json": "{}",
    "model/model.safetensors": b"\x00\x01",
    "README.md": "hello\n",
    "evaluation/verdict.md": "SUPPORTED\n",
    "exam/question.md": "leak\n",
    "final_evaluation_2.json": "{}",
    "results/real_circuits_1_reproduced.json": "{}",
    "src/evaluation/metrics.py": "# the agent's own\n",
    ".git/config": "[core]\n",
    "src/__pycache__/train.cpython-311.pyc": b"\x00",
}


def test_roles_follow_the_names_agents_use(folder):
    bundle = discover(folder(NATURAL))
    assert bundle.name == "induction_heads"
    assert [(d.role, d.path) for d in bundle.documents] == [
        ("plan", "logs/plan_v1.md"),
        ("plan", "logs/plan_v2.md"),
        ("plan", "logs/plan_v10.md"),
        ("report", "logs/documentation.md"),
        ("walkthrough", "logs/code_walk.md"),
        ("readme", "README.md"),
        ("log", "logs/agent.log"),
    ]
    assert [n.path for n in bundle.notebooks] == ["notebooks/2025-01-02-10-00_Main.ipynb"]
    assert [s.path for s in bundle.scripts] == [
        "run_all.sh",
        "src/evaluation/metrics.py",
        "src/train.py",
    ]
    assert [r.path for r in bundle.results] == ["results/real_circuits_1.json"]
    assert bundle.manifest is None


def test_evaluators_leftovers_and_tool_folders_are_not_considered(folder):
    considered = {file.path for file in discover(folder(NATURAL)).files}
    left_out = {
        "evaluation/verdict.md",
        "exam/question.md",
        "final_evaluation_2.json",
        "results/real_circuits_1_reproduced.json",
        ".git/config",
        "src/__pycache__/train.cpython-311.pyc",
    }
    assert considered == set(NATURAL) - left_out


def test_copy_of_a_log_is_dropped_and_a_differing_one_kept(folder):
    bundle = discover(
        folder(
            {
                "logs/plan.md": "# Plan\n\nAblate.\n",
                "logs/documentation.md": "Found it.\n",
                "notebooks/plan_Md.ipynb": notebook(("markdown", ["# Plan\n", "\n", "Ablate."])),
                "notebooks/documentation_Md.ipynb": notebook(("markdown", "Found more.")),
            }
        )
    )
    assert [n.path for n in bundle.notebooks] == ["notebooks/documentation_Md.ipynb"]
    assert bundle.notes == ("notebooks/plan_Md.ipynb: copy of logs/plan.md, not considered twice",)


def test_readme_is_the_report_only_when_there_is_no_other(folder):
    bundle = discover(folder({"README.md": "Head 1.6 matters.\n", "sub/README.md": "x\n"}))
    assert [(d.path, d.role) for d in bundle.documents] == [
        ("README.md", "report"),
        ("sub/README.md", "readme"),
    ]
    assert [d.path for d in bundle.findings] == ["README.md"]


def test_document_hash_is_of_the_bytes_and_text_has_plain_line_ends(folder):
    content = b"\xef\xbb\xbfone\r\ntwo\r\n"
    bundle = discover(folder({"logs/plan.md": content}))
    document = bundle.find("logs/plan.md")
    assert document is not None
    assert document.sha256 == hashlib.sha256(content).hexdigest()
    assert bundle.sha256_of("logs/plan.md") == document.sha256
    assert document.text == "one\ntwo\n"


@pytest.mark.parametrize(
    ("path", "content"),
    [("logs/plan.md", "changed"), ("model/model.safetensors", b"\x02"), ("new.txt", "new")],
)
def test_digest_changes_with_any_considered_file(folder, path, content):
    before = discover(folder(NATURAL)).digest
    assert discover(folder(NATURAL)).digest == before
    assert discover(folder({**NATURAL, path: content})).digest != before


def test_digest_ignores_what_is_not_considered(folder):
    before = discover(folder(NATURAL)).digest
    assert discover(folder({**NATURAL, "evaluation/verdict.md": "REFUTED"})).digest == before


def test_digest_tells_a_moved_file(folder):
    before = discover(folder({"a.md": "x", "b.md": "y"})).digest
    assert discover(folder({"a.md": "y", "b.md": "x"})).digest != before


def test_undecodable_document_is_read_with_a_note(folder):
    bundle = discover(folder({"logs/documentation.md": b"caf\xe9 works\n"}))
    assert bundle.documents[0].text == "caf\ufffd works\n"
    assert bundle.notes == (
        "logs/documentation.md: not UTF-8, undecodable bytes are shown as \ufffd",
    )


def test_oversized_document_is_hashed_not_read(folder):
    bundle = discover(folder({"logs/documentation.md": "x" * (MAX_TEXT_BYTES + 1), "plan.md": "p"}))
    assert [d.path for d in bundle.documents] == ["plan.md"]
    assert bundle.sha256_of("logs/documentation.md") is not None
    assert "hashed, its text is not considered" in bundle.notes[0]


def test_broken_notebook_is_noted_and_the_rest_read(folder):
    bundle = discover(folder({"plan.md": "p", "n.ipynb": "{not json"}))
    assert bundle.notebooks == ()
    assert bundle.notes[0].startswith("n.ipynb: not JSON")


def test_missing_bundle_and_file_and_empty_folder_are_one_clear_line(tmp_path):
    with pytest.raises(BundleError, match="no such bundle"):
        discover(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="a bundle is a folder"):
        discover(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="no files a bundle has"):
        discover(tmp_path / "empty")


def test_a_name_survives_dots_and_links(folder, tmp_path, monkeypatch):
    root = folder({"logs/plan.md": "p"})
    monkeypatch.chdir(root)
    assert discover(Path()).name == "induction_heads"
    assert discover(Path("logs") / "..").name == "induction_heads"
    (tmp_path / "alias").symlink_to(root)
    linked = discover(tmp_path / "alias")
    assert (linked.name, linked.root) == ("alias", root)


class TestManifest:
    def test_states_roles_and_the_subject(self, folder):
        bundle = discover(
            folder(
                {
                    "mecheval.yaml": (
                        "plan: [notes/intent.tex]\n"
                        "findings: [logs/summary.md]\n"
                        "entry_points: [src/run.py, 'src/run.py:main']\n"
                        "environment: {requirements: requirements.txt, python: '3.11'}\n"
                        "model: {loader: hub, name: gpt2}\n"
                        "tasks: {rep: {generator: induction, vocab: 64}}\n"
                    ),
                    "notes/intent.tex": "We ablate.",
                    "logs/summary.md": "It works.",
                    "src/run.py": "",
                    "requirements.txt": "torch",
                }
            )
        )
        assert [(d.path, d.role) for d in bundle.documents] == [
            ("notes/intent.tex", "plan"),
            ("logs/summary.md", "report"),
        ]
        assert bundle.manifest is not None
        assert bundle.manifest.model is not None
        assert bundle.manifest.model.name == "gpt2"
        assert bundle.manifest.tasks["rep"].parameters == {"vocab": 64}

    def test_all_problems_come_at_once_closest_name_first(self, folder):
        root = folder(
            {
                "mecheval.yaml": (
                    "finding: [a.md]\n"
                    "plan: ['../../etc/passwd']\n"
                    "model: {loader: transformer_lens, config: c.json}\n"
                ),
                "plan.md": "p",
            }
        )
        with pytest.raises(BundleError) as caught:
            discover(root)
        assert str(caught.value).split("\n") == [
            "mecheval.yaml: unknown field 'finding' (closest: findings)",
            "mecheval.yaml: field 'plan[0]': path '../../etc/passwd' leaves the bundle with '..'",
            "mecheval.yaml: field 'model': loader transformer_lens needs weights",
        ]

    def test_named_files_must_exist(self, folder):
        root = folder({"mecheval.yaml": "findings: [gone.md]", "plan.md": "p"})
        with pytest.raises(BundleError, match=r"^mecheval.yaml: gone.md: no such file"):
            discover(root)

    def test_python_tags_are_refused(self, folder):
        root = folder({"mecheval.yaml": "plan: !!python/object/apply:os.system [id]"})
        with pytest.raises(BundleError, match=r"tags \(.*\) are not allowed"):
            discover(root)
