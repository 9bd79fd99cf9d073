"""The GitHub Action, the pre-commit hook and docs/gate.md: they say what the code does, and their steps run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from toy_bundle import HONEST_DOCUMENTATION, claims, write_bundle

from pytest_mecheval.gate.policy import Policy, read_policy

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


def blocks(language: str) -> list[str]:
    """Code blocks of the gate's page."""
    page = (ROOT / "docs/gate.md").read_text()
    return re.findall(rf"```{language}\n(.+?)```", page, re.DOTALL)


def run_step(name: str, place: Path, tools: Path | None = None, **inputs: str):
    """Run one step of the action as a runner would."""
    values = {
        "runner.temp": str(place / "temp"),
        "github.workspace": str(place),
        "github.action_path": str(ROOT),
        **{
            f"inputs.{key}": str(given.get("default", ""))
            for key, given in ACTION["inputs"].items()
        },
        **{f"inputs.{key}": value for key, value in inputs.items()},
    }
    (place / "temp").mkdir(exist_ok=True)
    fill = lambda text: EXPRESSION.sub(lambda match: values[match[1]], str(text))  # noqa: E731
    step = STEPS[name]
    environment = {key: fill(value) for key, value in step.get("env", {}).items()}
    search = [str(tools)] if tools else []
    search += [str(Path(sys.executable).parent), os.environ["PATH"]]
    return subprocess.run(  # noqa: S603 - a step of our own action
        ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=fill(step["working-directory"]),
        env={
            "PATH": os.pathsep.join(search),
            "HOME": str(place),
            "RUNNER_TEMP": str(place / "temp"),
            "GITHUB_STEP_SUMMARY": str(place / "summary.md"),
            "GITHUB_OUTPUT": str(place / "output.txt"),
            "GITHUB_TOKEN": "not-for-the-audit",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_is_a_composite_action_whose_steps_are_complete():
    assert ACTION["runs"]["using"] == "composite"
    assert {"name", "description", "inputs", "runs"} <= set(ACTION)
    assert [key for key, given in ACTION["inputs"].items() if given.get("required")] == ["bundle"]
    for step in STEPS.values():
        assert ("run" in step) != ("uses" in step)
        if "run" in step:
            assert step["shell"] == "bash"
            # A checkout as working directory would put its files on import and search paths.
            assert step["working-directory"] == "${{ runner.temp }}"
        else:
            assert re.fullmatch(r"[\w-]+/[\w/-]+@v\d+", step["uses"])


def test_no_input_is_pasted_into_a_script():
    for step in STEPS.values():
        assert not EXPRESSION.search(step.get("run", ""))


def test_every_expression_names_something_that_exists():
    known = {"runner.temp", "github.workspace", "github.action_path", "steps.gate.outputs.reports"}
    known |= {f"inputs.{name}" for name in ACTION["inputs"]}
    assert set(EXPRESSION.findall((ROOT / "action.yml").read_text())) <= known


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    honest = claims()
    honest["claims"] = [claim for claim in honest["claims"] if claim["id"] != "decoy"]
    write_bundle(folder / "proposed" / "honest", honest, HONEST_DOCUMENTATION)
    write_bundle(folder / "proposed" / "a $(touch pwned) `b`")
    (folder / "base").mkdir()
    (folder / "proposed/honest.claims.yaml").rename(folder / "base/honest.claims.yaml")
    (folder / "base/mecheval.toml").write_text("[gate]\nmeasured = 2\n")
    return folder


def test_the_gate_step_passes_an_honest_bundle(place):
    done = run_step(
        "Gate", place, bundle="proposed/honest", claims="base/honest.claims.yaml",
        policy="base/mecheval.toml",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| mecheval gate: PASSED" in done.stdout
    summary = (place / "summary.md").read_text()
    assert "mecheval gate: PASSED" in summary
    assert "needed" in summary
    assert f"reports={place}/temp/mecheval-gate" in (place / "output.txt").read_text()
    assert (place / "temp/mecheval-gate/honest/results.sarif").exists()


def test_the_gate_step_fails_a_flawed_bundle_whatever_its_name(place):
    (place / "summary.md").unlink(missing_ok=True)
    done = run_step("Gate", place, bundle="proposed/a $(touch pwned) `b`")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "mecheval gate: FAILED" in (place / "summary.md").read_text()
    assert not list(place.rglob("pwned"))


def test_the_gate_step_tells_an_unusable_bundle(place):
    done = run_step("Gate", place, bundle="proposed/nothing")
    assert done.returncode == 4
    assert "no such bundle" in done.stdout


def test_the_other_steps_run(place):
    tools = place / "tools"
    tools.mkdir()
    for name in ("sudo", "python"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{place}/called.txt"\n')
        (tools / name).chmod(0o755)
    assert run_step("Install", place, tools).returncode == 0
    assert run_step("Isolation", place, tools).returncode == 0
    assert f"python -I -m pip install --quiet {ROOT}" in (place / "called.txt").read_text()


def test_the_hook_is_valid():
    manifest = ROOT / ".pre-commit-hooks.yaml"
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(manifest)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    (hook,) = yaml.safe_load(manifest.read_text())
    (recipe,) = [block for block in blocks("yaml") if "repos:" in block]
    (used,) = yaml.safe_load(recipe)["repos"][0]["hooks"]
    assert used["id"] == hook["id"]
    assert hook["pass_filenames"] is False


def test_the_policy_on_the_page_is_the_default(tmp_path):
    (block,) = blocks("toml")
    path = tmp_path / "mecheval.toml"
    path.write_text(block)
    assert read_policy(path) == Policy()
    for name in Policy.model_fields:
        assert re.search(rf"^(\[gate\.)?{name}\b", block, re.MULTILINE), name


def test_the_recipe_on_the_page_is_the_safe_one():
    (block,) = [block for block in blocks("yaml") if "runs-on" in block]
    body = yaml.safe_load(block)
    assert body[True] == "pull_request"  # YAML 1.1 reads `on` as true
    assert body["permissions"] == {"contents": "read"}
    job = body["jobs"]["gate"]
    *checkouts, use = job["steps"]
    assert "timeout-minutes" in job
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert set(use["with"]) <= set(ACTION["inputs"])
    assert use["with"]["claims"].startswith("base/")
    assert use["with"]["policy"].startswith("base/")


def test_the_gate_step_does_not_believe_a_silent_success(place):
    tools = place / "silent"
    tools.mkdir()
    (tools / "mecheval").write_text("#!/bin/sh\nexit 0\n")
    (tools / "mecheval").chmod(0o755)
    shutil.rmtree(place / "temp/mecheval-gate", ignore_errors=True)
    assert run_step("Gate", place, tools, bundle="proposed/honest").returncode == 1
