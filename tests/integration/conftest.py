"""Evidence shared by all tests, and the ways to run pytest inside pytest."""

import sys
from pathlib import Path

import pytest

# pytester forgets modules that a run inside this process imported first, and numpy loads only once.
import pytest_mecheval.cases.audit
import pytest_mecheval.cases.session
import pytest_mecheval.checks.registry

pytest_mecheval.checks.registry.checks()

sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parents[1] / "handmade"),
    str(Path(__file__).parents[1]),
]


@pytest.fixture(scope="session")
def evidence(tmp_path_factory) -> str:
    """Evidence measured once by the first test that needs it."""
    return f"--mecheval-evidence={tmp_path_factory.mktemp('evidence')}"


@pytest.fixture
def toy(pytester) -> Path:
    """The bundle `toy` in the directory pytest is started in."""
    from toy_bundle import write_bundle

    return write_bundle(pytester.path / "toy")


@pytest.fixture(params=["plain", "-n0", "-n2"])
def plugin_args(request) -> list[str]:
    """Every integration test that asks for this runs without xdist, with it idle, and with two workers."""
    return {"plain": ["-p", "no:xdist"], "-n0": ["-n", "0"], "-n2": ["-n", "2"]}[request.param]


@pytest.fixture
def run(pytester, evidence):
    """Run pytest in a process of its own on the bundle, without Allure unless asked for."""

    def run_pytest(*arguments: str, allure: bool = False):
        plugins = [] if allure else ["-p", "no:allure_pytest"]
        return pytester.runpytest_subprocess(*plugins, evidence, *arguments, timeout=180)

    return run_pytest
