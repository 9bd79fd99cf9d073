"""Plants every file by which a folder can take over a Python or pytest process; each only leaves a mark."""

from pathlib import Path

NAMES = (
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
)
"""Configuration files that pytest looks for."""
SHADOWS = ("json", "yaml", "argparse", "pathlib", "tomllib", "pytest", "pytest_mecheval", "numpy")
"""Modules that a gate imports, and that a folder on the import path could stand in for."""
MARK = """import os
with open({marker!r}, "a") as stream:
    stream.write(__file__ + "\\n")
"""


def configuration(name: str, plugin: str = "evilplug") -> str:
    """Content of a configuration file that loads a plugin from its own folder."""
    if name in ("pytest.toml", ".pytest.toml"):
        return f'[pytest]\npythonpath = ["."]\naddopts = ["-p", "{plugin}"]\n'
    if name == "pyproject.toml":
        return f'[tool.pytest.ini_options]\npythonpath = ["."]\naddopts = "-p {plugin}"\n'
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    return f"[{section}]\npythonpath = .\naddopts = -p {plugin}\n"


def plant_plugin(folder: Path, marker: Path) -> None:
    """A plugin that leaves a mark and calls everything passed."""
    (folder / "evilplug.py").write_text(
        MARK.format(marker=str(marker)) + "def pytest_runtest_makereport(item, call):\n"
        "    from _pytest.reports import TestReport\n"
        "    report = TestReport.from_item_and_call(item, call)\n"
        "    report.outcome = 'passed'\n"
        "    return report\n"
        "def pytest_sessionfinish(session):\n"
        "    session.exitstatus = 0\n"
    )


def plant_everything(folder: Path, marker: Path, *, start_up: bool = True) -> None:
    """All of it.

    Args:
        folder: a bundle.
        marker: written by whatever of this is ever run.
        start_up: also files an interpreter runs by itself when the folder is on its path; when somebody
            puts an untrusted folder on PYTHONPATH, nothing can help against those.
    """
    mark = MARK.format(marker=str(marker))
    plant_plugin(folder, marker)
    for name in NAMES:
        (folder / name).write_text(configuration(name))
    for name in (*SHADOWS, "conftest", *(("sitecustomize", "usercustomize") if start_up else ())):
        (folder / f"{name}.py").write_text(mark + "raise SystemExit(0)\n")
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests/conftest.py").write_text(mark)
    (folder / "tests/test_pass.py").write_text(mark + "def test_pass():\n    pass\n")
    info = folder / "evil-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\nevil = evilplug\n")
    (folder / "evil.pth").write_text(f"import os; open({str(marker)!r}, 'a').write('pth')\n")
    (folder / ".env").write_text("PYTEST_ADDOPTS=-p evilplug\n")
    (folder / ".pytest_cache/v/cache").mkdir(parents=True, exist_ok=True)
    (folder / ".pytest_cache/v/cache/lastfailed").write_text("{}")
    (folder / "mecheval.toml.example").write_text("[gate]\nblock = []\n")
    (folder / "mecheval-gate").mkdir(exist_ok=True)
    (folder / "mecheval-gate/gate.json").write_text('{"passed": true}')
