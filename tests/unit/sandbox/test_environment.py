"""Which interpreter a bundle gets: ours, a private one built from wheels, or a reason why none."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile

import pytest
from wheels import wheel

from pytest_mecheval.sandbox import environment
from pytest_mecheval.sandbox.environment import Interpreter, NotRestored, described, interpreter_for
from pytest_mecheval.sandbox.requirements import declared, missing_here


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    return folder


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An installer that finds packages in one folder only."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not installed here")
    monkeypatch.setattr(environment.shutil, "which", lambda _: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


def test_nothing_declared_is_our_interpreter(bundle, tmp_path):
    result = interpreter_for(bundle, tmp_path / "cache")
    assert isinstance(result, Interpreter)
    assert str(result.python) == sys.executable
    assert result.origin == "the interpreter of this run"
    assert not (tmp_path / "cache").exists()


def test_requirements_that_we_satisfy_are_our_interpreter(bundle, tmp_path):
    (bundle / "requirements.txt").write_text("numpy>=1.20  # arrays\n\npytest\n-e .\n")
    result = interpreter_for(bundle, tmp_path / "cache")
    assert isinstance(result, Interpreter)
    assert result.origin.endswith("which satisfies requirements.txt")
    assert "run from its folder" in result.notes[0]


def test_a_private_environment_is_built_once_and_holds_the_package(bundle, tmp_path, offline):
    wheel(offline)
    (bundle / "requirements.txt").write_text("tinything==1.2\n")
    first = interpreter_for(bundle, tmp_path / "cache")
    assert isinstance(first, Interpreter)
    code = "import sys, tinything; print(tinything.version, 'pytest' in sys.modules)"
    said = subprocess.run(  # noqa: S603 - the interpreter just built, from our own wheel
        [first.python, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["1.2", "False"]
    assert "tinything==1.2 (not installed)" in first.notes[-1]
    built = first.python.parent.parent / "complete.json"
    before = built.stat().st_mtime_ns
    assert interpreter_for(bundle, tmp_path / "cache", install=False) == first
    assert built.stat().st_mtime_ns == before
    assert first.python.parent.parent in first.read_only


def test_an_interrupted_build_is_done_again(bundle, tmp_path, offline):
    wheel(offline)
    (bundle / "requirements.txt").write_text("tinything\n")
    place = tmp_path / "cache" / environment.address(("tinything",))
    (place / "lib").mkdir(parents=True)
    (place / "half").touch()
    result = interpreter_for(bundle, tmp_path / "cache")
    assert isinstance(result, Interpreter)
    assert not (place / "half").exists()


def test_what_cannot_be_installed_is_a_result_and_not_tried_again_at_once(
    bundle, tmp_path, offline, monkeypatch
):
    offline.mkdir()
    (bundle / "requirements.txt").write_text("tinything==9\n")
    result = interpreter_for(bundle, tmp_path / "cache")
    assert isinstance(result, NotRestored)
    assert "requirements.txt: tinything==9 (not installed)" in result.reason
    monkeypatch.setattr(environment, "_install", lambda *_: pytest.fail("tried again"))
    assert interpreter_for(bundle, tmp_path / "cache") == result


def test_without_permission_nothing_is_installed(bundle, tmp_path, monkeypatch):
    (bundle / "requirements.txt").write_text("tinything==9\n")
    monkeypatch.setattr(environment, "_build", lambda *_: pytest.fail("built"))
    result = interpreter_for(bundle, tmp_path / "cache", install=False)
    assert isinstance(result, NotRestored)
    assert "nothing may be installed" in result.reason


def test_a_source_distribution_is_never_built(bundle, tmp_path, offline):
    offline.mkdir()
    marker = tmp_path / "ran"
    setup = f"open({str(marker)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='evil', version='1')\n"
    with zipfile.ZipFile(offline / "evil-1.zip", "w") as archive:
        archive.writestr("evil-1/setup.py", setup)
    (bundle / "requirements.txt").write_text("evil\n")
    assert isinstance(interpreter_for(bundle, tmp_path / "cache"), NotRestored)
    assert not marker.exists()


def test_code_of_installed_packages_does_not_run_outside(bundle, tmp_path, offline):
    """A `.pth` line runs whenever its interpreter starts, so that interpreter is not started here."""
    marker = tmp_path / "ran"
    wheel(offline)
    path = offline / "tinything-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("evil.pth", f"import os; open({str(marker)!r}, 'w').close()\n")
    (bundle / "requirements.txt").write_text("tinything\n")
    result = interpreter_for(bundle, tmp_path / "cache")
    assert isinstance(result, Interpreter)
    site = next(result.python.parent.parent.glob("lib/*/site-packages"))
    assert (site / "evil.pth").exists()
    assert not marker.exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--index-url http://evil.example/simple", "an option of pip"),
        ("-r /etc/passwd", "an option of pip"),
        ("git+https://example.org/x.git", "not a named package"),
        ("x @ file:///etc/passwd", "an address"),
        ("./wheels/x.whl", "not a named package"),
        ("numpy; import os", "not a named package"),
    ],
)
def test_options_paths_and_addresses_are_refused(bundle, tmp_path, line, words):
    (bundle / "requirements.txt").write_text(f"numpy\n{line}\n")
    result = interpreter_for(bundle, tmp_path / "cache")
    assert isinstance(result, NotRestored)
    assert words in result.reason
    assert not (tmp_path / "cache").exists()


def test_another_python_is_told(bundle, tmp_path):
    (bundle / "pyproject.toml").write_text('[project]\nname = "b"\nrequires-python = "<3.8"\n')
    result = interpreter_for(bundle, tmp_path / "cache")
    assert isinstance(result, NotRestored)
    assert "needs Python <3.8" in result.reason


def test_pyproject_markers_and_other_tools(bundle):
    (bundle / "environment.yml").touch()
    (bundle / "pyproject.toml").write_text(
        '[project]\ndependencies = ["numpy>=1.20", "old; python_version < \'3.0\'"]\n'
    )
    found = declared(bundle)
    assert found.packages == ("numpy>=1.20",)
    assert found.notes == ("environment.yml: another tool's declaration, not read",)


@pytest.mark.parametrize(
    "text", ["[project\n", "[tool.poetry]\nname = 'x'\n", "[project]\ndependencies = 3\n"]
)
def test_unreadable_declarations_are_results(bundle, tmp_path, text):
    (bundle / "pyproject.toml").write_text(text)
    assert isinstance(interpreter_for(bundle, tmp_path / "cache"), NotRestored)


def test_hashes_and_continued_lines_are_understood(bundle):
    (bundle / "requirements.txt").write_text(
        "numpy==1.26.0 \\\n    --hash=sha256:aa \\\n --hash=sha256:bb\n"
    )
    assert declared(bundle).packages == ("numpy==1.26.0",)


def test_a_link_out_of_the_bundle_is_not_read(bundle, tmp_path):
    (tmp_path / "secret").write_text("numpy\n")
    (bundle / "requirements.txt").symlink_to(tmp_path / "secret")
    assert declared(bundle).refused


def test_missing_says_what_is_there():
    (line,) = missing_here(("numpy>=999",))
    assert line.startswith("numpy>=999 (installed: ")


def test_the_result_is_plain_json(bundle, tmp_path):
    body = described(interpreter_for(bundle, tmp_path / "cache"))
    assert json.loads(json.dumps(body))["restored"] is True


def test_installers_see_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-value")
    seen = {}

    def run(command, **options):
        seen.update(options.get("env") or {})
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(environment.subprocess, "run", run)
    assert environment._install(("x",), tmp_path / "site") == ""
    assert "planted-value" not in seen.values()
    assert seen["PATH"] == os.environ["PATH"]
