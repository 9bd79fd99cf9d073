"""Which configurations are refused, when conftest.py files stay unread, and how options become settings."""

from argparse import Namespace
from pathlib import Path

import pytest

from pytest_mecheval.cases.guard import (
    conftests_reach_a_bundle,
    refuse_foreign_configuration,
    refuse_unconfined,
)
from pytest_mecheval.cases.settings import folder_names, read_settings
from pytest_mecheval.errors import UsageError


@pytest.mark.parametrize(
    ("positional", "reached"),
    [([], True), (["tests"], False), (["bundle/x"], True), (["bundle::y"], True), (["."], False)],
)
def test_conftests(tmp_path, positional, reached):
    assert conftests_reach_a_bundle([Path("bundle")], positional, tmp_path) is reached


def test_pytest_looks_into_test_folders_below_an_argument(tmp_path):
    assert conftests_reach_a_bundle([Path("test_bundle")], ["."], tmp_path)


@pytest.mark.parametrize(
    ("ini", "root", "start", "refused"),
    [
        ("work/bundle/pytest.ini", "work/bundle", "work", True),
        ("work/pr/pytest.ini", "work/pr", "work", False),
        ("other/pytest.ini", "other", "work", False),
        ("work/pytest.ini", "work", "work", False),
        ("work/pytest.ini", "work", "work/sub", False),
        (None, "work/bundle", "work", True),
        (None, "work/bundle", "work/bundle", False),
        (None, "work", "work", False),
    ],
)
def test_configuration(tmp_path, ini, root, start, refused):
    keywords = {
        "inipath": tmp_path / ini if ini else None,
        "rootpath": tmp_path / root,
        "invocation_dir": tmp_path / start,
    }
    bundles = [tmp_path / "work/bundle"]
    refuse_foreign_configuration(bundles, **keywords, chosen_by_user=True)
    if refused:
        with pytest.raises(UsageError, match=r"pytest --mecheval=.*work/bundle"):
            refuse_foreign_configuration(bundles, **keywords, chosen_by_user=False)
    else:
        refuse_foreign_configuration(bundles, **keywords, chosen_by_user=False)


def test_a_configuration_above_the_bundle_but_not_above_the_start(tmp_path):
    with pytest.raises(UsageError):
        refuse_foreign_configuration(
            [tmp_path / "pr/bundle"],
            inipath=tmp_path / "pr/pytest.ini",
            rootpath=tmp_path / "pr",
            invocation_dir=tmp_path,
            chosen_by_user=False,
        )


def options(**changes) -> Namespace:
    defaults = {
        "mecheval": ["b"],
        "mecheval_claims": [],
        "mecheval_out": "out",
        "mecheval_evidence": "ev",
        "mecheval_salt": "",
        "mecheval_sandbox": "auto",
        "mecheval_script_seconds": None,
        "mecheval_gpu": False,
        "mecheval_environment": "auto",
        "mecheval_frozen": False,
        "mecheval_inconclusive": "fail",
        "mecheval_jobs": 1,
        "mecheval_threads": 1,
    }
    return Namespace(**{**defaults, **changes})


def test_paths_start_where_pytest_was_started():
    settings = read_settings(options(mecheval=["b", "./b", "/x/../c"]), Path("/w"), "s", {})
    assert settings.bundles == (Path("/w/b"), Path("/c"))
    assert (settings.out, settings.evidence) == (Path("/w/out"), Path("/w/ev"))


@pytest.mark.parametrize(
    ("ci", "frozen"), [("true", True), ("1", True), ("", False), ("false", False)]
)
def test_ci_means_frozen(ci, frozen):
    assert read_settings(options(), Path("/w"), "s", {"CI": ci}).frozen is frozen


def test_claim_files_go_with_bundles_in_order():
    given = options(mecheval=["a", "b"], mecheval_claims=["x.yaml", "y.yaml"])
    settings = read_settings(given, Path("/w"), "s", {})
    assert settings.claim_files == (Path("/w/x.yaml"), Path("/w/y.yaml"))
    with pytest.raises(UsageError, match="1 given for 2 bundles"):
        read_settings(options(mecheval=["a", "b"], mecheval_claims=["x"]), Path("/w"), "s", {})


def test_equal_names_get_hashes_that_do_not_depend_on_the_machine():
    first = folder_names([Path("/w/a/x"), Path("/w/b/X"), Path("/w/y")], Path("/w"))
    assert first[2] == "y"
    assert first[0] != first[1]
    assert first == folder_names([Path("/v/a/x"), Path("/v/b/X"), Path("/v/y")], Path("/v"))


def test_unconfined_runs_are_chosen_on_the_command_line_only():
    refuse_unconfined("none", ["--mecheval=b", "--mecheval-sandbox=none"])
    refuse_unconfined("auto", ["--mecheval=b"])
    with pytest.raises(UsageError, match="accepted on the command line only"):
        refuse_unconfined("none", ["--mecheval=b"])


def test_a_gpu_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("pytest_mecheval.sandbox.view.gpu_nodes", lambda: ())
    with pytest.raises(UsageError, match=r"--mecheval-gpu: this machine shows no GPU .*nvidia"):
        read_settings(options(mecheval_gpu=True), tmp_path, "id")
    monkeypatch.setattr("pytest_mecheval.sandbox.view.gpu_nodes", lambda: (tmp_path,))
    assert read_settings(options(mecheval_gpu=True), tmp_path, "id").gpu
    assert not read_settings(options(), tmp_path, "id").gpu
