"""The `trace` fixture: one script, traced in a process of its own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from traced_runs import Trace, Traced, run, write


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Trace one script given as text; further files as keywords (`data__py` is `data.py`)."""

    def traced(text: str, *options: str, **more: str) -> Traced:
        files = {name.replace("__", "."): content for name, content in more.items()}
        folder = write(tmp_path / "bundle", {"main.py": text, **files})
        return run(folder, "main.py", *options)

    return traced
