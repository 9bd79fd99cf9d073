"""What a script prints and writes without the tracer, set against what it did while it was watched.

A first plain run is compared with the traced one; only where they differ a second plain run tells numbers
that never repeat from code that behaves differently when watched (METHODS X05).
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.reading import read_file
from pytest_mecheval.errors import BundleError
from pytest_mecheval.run.copying import cleaned
from pytest_mecheval.sandbox.differential import Differential, Output, differential

TEXT_SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".md", ".yaml", ".yml", ".log")
"""Written files that are compared; pictures and weights are not text."""
MAX_FILES = 40
MAX_FILE_BYTES = 2**18
MAX_STDOUT = 2**20
MAX_LISTED = 20_000
"""Files looked at, at most, in a folder that foreign code filled."""
MAX_DEPTH = 32
"""Folders inside folders; foreign code may have made thousands."""
_CHANGING = re.compile(
    r"0x[0-9a-fA-F]{6,}"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b"
)
"""Memory addresses, dates and times of day: they differ between any two runs."""


def left_behind(
    exit_code: int,
    printed: str,
    workshop: Path,
    bundle: Path,
    original: Path,
    given: frozenset[str],
) -> Output:
    """What one run left, made comparable: its own folder's name and the clock are taken out.

    Args:
        exit_code: how it ended.
        printed: its standard output.
        workshop: the folder made for this run.
        bundle: the copy it ran in; hostile by now.
        original: the bundle itself.
        given: relative paths that the run was given; those still the same were not written.
    """
    files = {}
    for path in _text_files(bundle):
        try:
            content = read_file(bundle, path, MAX_FILE_BYTES)
        except BundleError:
            continue
        if path not in given or content != _before(original, path):
            files[path] = _steady(content.decode("utf-8", "replace"), workshop)
    return Output(exit_code, _steady(printed[:MAX_STDOUT], workshop), files)


def _steady(text: str, workshop: Path) -> str:
    return _CHANGING.sub("<moment>", text.replace(str(workshop), "<folder>"))


def _text_files(folder: Path) -> list[str]:
    found: list[str] = []
    looked = 0
    for place, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        if len(Path(place).relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()  # os.walk calls itself once per level
        for name in sorted(names):
            looked += 1
            if looked > MAX_LISTED or len(found) == MAX_FILES:
                return found
            if name.endswith(TEXT_SUFFIXES):
                found.append((Path(place) / name).relative_to(folder).as_posix())
    return found


def _before(original: Path, path: str) -> bytes:
    try:
        shown = cleaned(original, path)
        return read_file(original, path, MAX_FILE_BYTES) if shown is None else shown
    except BundleError:
        return b""


def compared(traced: Output, plain: Callable[[], Output]) -> Mapping[str, Any]:
    """Plain facts of the comparison.

    Args:
        traced: what the watched run left.
        plain: runs the script without the tracer; called once, or twice when the first differs.

    Returns:
        `differences`: where the watched run differs from plain ones that agree with each other;
        `unstable`: where plain runs differ; `unstable_numbers`: the watched run's numbers there;
        `compared`: words and numbers that agree.
    """
    first = plain()
    found = differential(traced, first)
    if found.differences:
        found = differential(traced, first, again=plain())
    return _facts(found)


def _facts(found: Differential) -> Mapping[str, Any]:
    return {
        "differences": list(found.differences),
        "compared": found.compared,
        "unstable": list(found.unstable_places),
        "unstable_numbers": list(found.unstable_numbers),
    }
