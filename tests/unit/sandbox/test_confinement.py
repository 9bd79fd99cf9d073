"""What may be asked of a sandbox, and what must not come into it."""

import sys
from pathlib import Path

import pytest

from pytest_mecheval.errors import UsageError
from pytest_mecheval.sandbox.backends import NAMES, choose
from pytest_mecheval.sandbox.capabilities import CAPABILITIES, all_but
from pytest_mecheval.sandbox.confinement import Confinement, Limits
from pytest_mecheval.sandbox.variables import is_sensitive, scrubbed
from pytest_mecheval.sandbox.view import interpreter_paths, outermost


@pytest.mark.parametrize("name", ["cpu_s", "wall_s", "memory_mib", "processes", "output_kib"])
def test_a_limit_of_zero_is_refused(name):
    with pytest.raises(UsageError, match=f"limit {name}: must be above 0"):
        Limits(**{name: 0})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argv": ("python",)}, "absolute path"),
        ({"argv": ()}, "absolute path"),
        ({"scratch": Path("here")}, "absolute path"),
        ({"read_only": (Path("src"),)}, "absolute path"),
        ({"argv": ("/bin/true", "a\0b")}, "NUL"),
        ({"environment": {"A": "x\0y"}}, "NUL"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(tmp_path, changes, words):
    with pytest.raises(UsageError, match=words):
        Confinement(**({"argv": ("/bin/true",), "scratch": tmp_path} | changes))


def test_a_read_only_folder_inside_the_writable_one_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "scratch" / "bundle")
    for path in (tmp_path / "scratch" / "bundle", tmp_path / "link", tmp_path / "scratch"):
        with pytest.raises(UsageError, match="inside the writable folder"):
            Confinement(("/bin/true",), scratch=tmp_path / "scratch", read_only=(path,))


def test_nothing_of_our_environment_is_handed_in(tmp_path, monkeypatch):
    for name in (
        "ANTHROPIC_API_KEY",
        "HF_TOKEN",
        "PYTEST_CURRENT_TEST",
        "LD_PRELOAD",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, "planted-value")
    variables = scrubbed(tmp_path)
    assert "planted-value" not in variables.values()
    assert not [
        name for name in variables if is_sensitive(name) and name != "TOKENIZERS_PARALLELISM"
    ]


@pytest.mark.parametrize(
    "name", ["ANTHROPIC_API_KEY", "GH_TOKEN", "PYTEST_ADDOPTS", "LD_PRELOAD", "db_password"]
)
def test_secrets_cannot_be_added(tmp_path, name):
    with pytest.raises(UsageError, match=name):
        scrubbed(tmp_path, extra={name: "x"})


def test_threads_and_additions_are_set(tmp_path):
    variables = scrubbed(tmp_path, threads=3, extra={"MODE": "fast"})
    assert variables["OMP_NUM_THREADS"] == "3"
    assert variables["MODE"] == "fast"


def test_the_interpreter_is_in_its_own_view():
    paths = interpreter_paths()
    real = Path(sys.executable).resolve()
    system = (Path("/usr"), Path("/bin"), Path("/lib"))
    assert any(real.is_relative_to(path) for path in (*paths, *system))
    assert Path(sys.prefix) in paths or sys.prefix.startswith(("/usr", *map(str, paths)))


def test_every_link_on_the_way_to_an_interpreter_counts(tmp_path):
    real = tmp_path / "store" / "python-3.99.1" / "bin"
    real.mkdir(parents=True)
    (real / "python3").touch()
    (tmp_path / "store" / "python-3.99").symlink_to("python-3.99.1")
    environment = tmp_path / "env" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(tmp_path / "store" / "python-3.99" / "bin" / "python3")
    names = {path.name for path in interpreter_paths(environment / "python")}
    assert {"env", "python-3.99", "python-3.99.1"} <= names


def test_an_interpreter_in_the_home_folder_itself_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    with pytest.raises(UsageError, match="home folder"):
        interpreter_paths(tmp_path / "bin" / "python")


def test_inner_places_are_dropped():
    assert outermost({Path("/a/b/c"), Path("/a/b"), Path("/ab")}) == (Path("/a/b"), Path("/ab"))


def test_guarantees_are_what_is_not_a_gap():
    assert set(all_but([("links", "why")])) == set(CAPABILITIES) - {"links"}
    with pytest.raises(KeyError, match="no such capability: lnks"):
        all_but([("lnks", "why")])


def test_an_unknown_backend_is_named():
    with pytest.raises(UsageError, match="unknown backend 'docker'") as caught:
        choose("docker")
    assert all(name in str(caught.value) for name in NAMES)


def test_seatbelt_says_why_it_is_not_offered():
    with pytest.raises(UsageError, match="never been run on macOS"):
        choose("seatbelt")


def test_without_any_backend_nothing_is_run(monkeypatch):
    from pytest_mecheval.sandbox import backends, bubblewrap
    from pytest_mecheval.sandbox.launcher import restrict

    monkeypatch.setattr(bubblewrap, "executable", lambda: None)
    monkeypatch.setattr(restrict, "landlock_abi", lambda: 0)
    backends._working_bubblewrap.cache_clear()
    backends._working_landlock.cache_clear()
    try:
        with pytest.raises(UsageError, match="none is run") as caught:
            choose("auto")
    finally:
        backends._working_bubblewrap.cache_clear()
        backends._working_landlock.cache_clear()
    assert "apt install bubblewrap" in str(caught.value)
    assert "--mecheval-sandbox=none" in str(caught.value)


def test_a_backend_that_does_not_confine_is_not_taken():
    from pytest_mecheval.sandbox import unconfined
    from pytest_mecheval.sandbox.backends import try_out

    assert "read outside" in try_out(unconfined.backend)
