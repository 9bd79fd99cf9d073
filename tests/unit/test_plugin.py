"""The plugin module is light, and silent without its option."""

import subprocess
import sys

HEAVY = [
    "numpy",
    "torch",
    "pydantic",
    "yaml",
    "allure",
    "anthropic",
    "scipy",
    "filelock",
    "matplotlib",
    "rich",
    "transformer_lens",
]


def test_importing_the_plugin_loads_nothing_heavy():
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_mecheval.plugin; "
        f"print(sorted(set({HEAVY}) & set(sys.modules)), len(set(sys.modules) - before))"
    )
    shown = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded, count = shown.rsplit(" ", 1)
    assert loaded == "[]"
    assert int(count) <= 3


def test_a_run_loads_scipy_only_where_a_statistic_needs_it():
    code = (
        "import sys; import pytest_mecheval.cases.session; "
        "from pytest_mecheval.checks.registry import checks; assert len(checks()) > 10; "
        "print([name for name in ('torch', 'scipy', 'matplotlib', 'anthropic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


def test_an_idle_run_loads_nothing_heavy_and_says_nothing(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_idle():
            ours = {name for name in sys.modules if name.startswith("pytest_mecheval")}
            assert ours == {"pytest_mecheval", "pytest_mecheval.plugin"}
            assert not {"numpy", "torch", "pydantic", "scipy", "filelock"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess(
        "-p", "no:hypothesispytest", "-p", "no:jaxtyping", "-p", "no:typeguard"
    )
    result.assert_outcomes(passed=1)
    body = [line for line in result.outlines if not line.startswith(("plugins:", "rootdir:"))]
    assert "mecheval" not in "\n".join(body)
    assert sorted(path.name for path in pytester.path.iterdir() if "mecheval" in path.name) == []
