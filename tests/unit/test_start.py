"""The gate starts itself again where no module of a bundle and no variable can reach it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

from pytest_mecheval import start
from pytest_mecheval.gate.running import environment


def test_it_imports_only_what_the_interpreter_has_loaded_already():
    tree = ast.parse(Path(start.__file__).read_text())
    named = {
        alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    }
    assert named == {"os", "sys"}
    assert not [node for node in tree.body if isinstance(node, ast.ImportFrom)]


def test_modules_in_the_working_directory_are_left_behind(tmp_path):
    marker = tmp_path / "ran"
    for name in ("json", "argparse", "importlib", "tomllib", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(
            f"open({str(marker)!r}, 'a').write('{name}')\nraise SystemExit(0)\n"
        )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        start.isolated_command(["gate", "nothing"]),
        cwd=tmp_path,
        env=start.clean_variables({**os.environ, "PYTHONPATH": str(tmp_path)}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "no such bundle" in done.stderr
    assert not marker.exists()


def test_variables_that_load_code_are_dropped():
    given = {"PYTHONPATH": ".", "PYTEST_ADDOPTS": "-p x", "LD_PRELOAD": "x.so", "HOME": "/h"}
    assert start.clean_variables(given) == {"HOME": "/h"}


def test_the_audit_sees_no_key_and_no_token():
    given = dict.fromkeys(
        ("ANTHROPIC_API_KEY", "GITHUB_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PYTEST_PLUGINS",
         "PYTHONPATH", "GITHUB_ENV", "GITHUB_STEP_SUMMARY", "SSH_AUTH_SOCK"),
        "x",
    )  # fmt: skip
    assert "x" not in environment(given).values()
    assert environment({"PATH": "/bin"})["PATH"] == "/bin"


def test_other_commands_start_directly(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest_mecheval", "schema"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)
