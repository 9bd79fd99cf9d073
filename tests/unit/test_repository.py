"""Promises about the source tree itself."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "pytest_mecheval").rglob("*.py"))
LONGEST_MODULE = 400


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_long(path):
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_lives_there(path):
    text = path.read_text()
    assert text.startswith('"""'), f"{path.name} starts without a docstring"


def test_no_module_is_named_after_nothing():
    vague = {"utils", "helpers", "common", "base", "misc", "manager"}
    assert not [path for path in PACKAGE if path.stem in vague]


def test_readme_lists_every_kind_as_the_registry_has_it():
    from pytest_mecheval.cases.explaining import with_kinds_table

    readme = (ROOT / "README.md").read_text()
    assert with_kinds_table(readme) == readme, "run: mecheval kinds --update README.md"
