"""SECURITY A: no file of a bundle, or above it, configures pytest; where pytest lets it, the run is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from planting import NAMES, configuration, plant_everything, plant_plugin
from toy_bundle import write_bundle


def toml_is_known(name: str) -> bool:
    """pytest reads `pytest.toml` since version 9."""
    return not name.endswith("pytest.toml") or pytest.version_tuple >= (9,)


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository with its own configuration, and the bundle of a pull request in a folder below it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    write_bundle(tmp_path / "incoming" / "toy")
    return tmp_path


def start(folder: Path, *arguments: str, **variables: str):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-P", "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["incoming/toy", "incoming"], ids=["bundle", "parent"])
class TestConfigurationFiles:
    """The seven names, in the bundle and above it, with both ways to write the option."""

    def test_space_form_is_refused_with_the_safe_command(self, repository, name, where):
        (repository / where / name).write_text(configuration(name, "no:doctest"))
        done = start(repository, "--mecheval", "incoming/toy")
        text = done.stdout + done.stderr
        if toml_is_known(name):
            assert done.returncode == 4, text
            assert f"pytest --mecheval={repository}/incoming/toy" in text
            assert "mecheval gate" in text
            assert "Traceback" not in text
        else:
            assert done.returncode == 0, text

    def test_equals_form_never_reads_it(self, repository, name, where):
        marker = repository / "planted_code_ran"
        plant_plugin(repository / where, marker)
        (repository / where / name).write_text(configuration(name))
        done = start(repository, "--mecheval=incoming/toy")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "test_needed" in done.stdout
        assert not marker.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_repository_whose_root_is_the_bundle_is_refused(tmp_path, name):
    bundle = write_bundle(tmp_path / "toy")
    (bundle / name).write_text(configuration(name, "no:doctest"))
    done = start(bundle, "--mecheval=.")
    text = done.stdout + done.stderr
    if toml_is_known(name):
        assert done.returncode == 4, text
        assert "mecheval gate" in text
    assert "Traceback" not in text


def test_the_unsafe_sandbox_cannot_come_from_a_file_or_variable(repository):
    (repository / "pytest.ini").write_text("[pytest]\naddopts = --mecheval-sandbox=none\n")
    done = start(repository, "--mecheval=incoming/toy")
    assert done.returncode == 4
    assert "accepted on the command line only" in done.stdout + done.stderr
    (repository / "pytest.ini").write_text("[pytest]\n")
    done = start(repository, "--mecheval=incoming/toy", PYTEST_ADDOPTS="--mecheval-sandbox=none")
    assert done.returncode == 4


def test_planted_code_is_never_run_from_outside_the_bundle(repository):
    marker = repository / "planted_code_ran"
    plant_everything(repository / "incoming/toy", marker)
    done = start(repository, "--mecheval=incoming/toy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not marker.exists()


def test_a_bundle_on_the_import_path_is_refused(tmp_path):
    bundle = write_bundle(tmp_path / "toy")
    done = start(tmp_path, "--mecheval=toy", PYTHONPATH=str(bundle))
    text = done.stdout + done.stderr
    assert done.returncode == 4, text
    assert "import path" in text
    assert "mecheval gate" in text


def test_a_plugin_from_the_bundle_is_refused(tmp_path):
    bundle = write_bundle(tmp_path / "toy")
    (bundle / "helper.py").write_text("")
    done = start(tmp_path, "--mecheval=toy", "-p", "toy.helper", PYTHONPATH=str(tmp_path))
    text = done.stdout + done.stderr
    assert done.returncode == 4, text
    assert "toy.helper" in text


def test_every_generated_module_lies_outside_the_bundle(repository):
    done = start(repository, "--mecheval=incoming/toy")
    assert done.returncode == 0
    written = list(repository.glob("mecheval-out/toy/tests/*.py"))
    assert written
    assert not list((repository / "incoming/toy").rglob("test_*.py"))
