"""For all tests: pytester for pytest inside pytest, and no surprises from the outer environment."""

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _no_outer_ci(monkeypatch):
    """`CI=true` changes what the plugin accepts; tests say so when they mean it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
