"""For all tests: pytester for pytest inside pytest, and no surprises from the outer environment."""

import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Tests of one bundle share a worker."""
    sys.path[:0] = [str(Path(__file__).parent)]
    from scheduling import ByBundle

    return ByBundle(config, log)


@pytest.fixture(autouse=True)
def _no_outer_ci(monkeypatch):
    """`CI=true` changes what the plugin accepts; tests say so when they mean it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
