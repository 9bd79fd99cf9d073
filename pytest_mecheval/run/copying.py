"""The copy of a bundle that one of its own scripts is shown: everything it needs, nothing it could copy from.

Stored cell outputs and the digits of its findings are taken out, so that a number must be made again;
native binaries too, because no tracer in Python can follow them. Which files are shown is up to the caller.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytest_mecheval.bundle.notebooks import MAX_NOTEBOOK_BYTES
from pytest_mecheval.bundle.reading import TooLarge, read_file, stated_file
from pytest_mecheval.bundle.roles import kind_of, prose_role

MASKED_ROLES = frozenset({"plan", "report", "walkthrough", "readme"})
"""Documents that state findings; a script may open them, but finds no number to repeat."""
MAX_MASKED_BYTES = 4 * 2**20
"""A document larger than this is no prose; it is left out."""
NATIVE_SUFFIXES = (".so", ".pyd", ".dylib", ".dll", ".pth", ".egg-link")
"""Compiled code, and files that change what an interpreter loads when it starts."""
_MASK = bytes.maketrans(b"123456789", b"0" * 9)


def copy_bundle(root: Path, files: Iterable[str], target: Path) -> tuple[str, ...]:
    """Copy a bundle's files for a run.

    Args:
        root: the bundle's folder.
        files: relative paths of the files to show.
        target: the copy; folders are made as needed.

    Returns:
        One note per file that was left out although the script may miss it.

    Raises:
        BundleError: a file is gone, or no regular file any more.
    """
    notes = []
    for relative in files:
        if is_native(relative):
            notes.append(f"{relative}: native code, left out of the run")
            continue
        place = target / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            _copy(root, relative, place)
        except TooLarge as error:
            notes.append(f"{error}; left out of the run")
    return tuple(notes)


def is_native(path: str) -> bool:
    """Whether a file is compiled code, by name alone.

    >>> is_native("lib/fast.so"), is_native("lib/fast.so.2"), is_native("solve.py")
    (True, True, False)
    """
    name = path.rpartition("/")[2].lower()
    return name.endswith(NATIVE_SUFFIXES) or ".so." in name


def _copy(root: Path, relative: str, place: Path) -> None:
    content = cleaned(root, relative)
    if content is None:
        shutil.copyfile(stated_file(root, relative), place)
    else:
        place.write_bytes(content)


def cleaned(root: Path, relative: str) -> bytes | None:
    """What a run is shown of a file that is not shown as it is; None for all others.

    Raises:
        BundleError: it cannot be read, or is too large to be cleaned.
    """
    kind = kind_of(relative)
    if kind == "prose" and prose_role(relative) in MASKED_ROLES:
        return read_file(root, relative, MAX_MASKED_BYTES).translate(_MASK)
    if kind == "notebook":
        return _without_outputs(read_file(root, relative, MAX_NOTEBOOK_BYTES))
    return None


def _without_outputs(content: bytes) -> bytes:
    """A notebook without what an earlier run left in it and without digits in its prose cells."""
    try:
        body = json.loads(content)
        cells = [_bare(cell) for cell in body["cells"]]
    except (ValueError, RecursionError, KeyError, TypeError):
        return content  # no notebook; running it will say so
    return json.dumps({**body, "cells": cells}).encode()


def _bare(cell: dict[str, Any]) -> dict[str, Any]:
    if cell["cell_type"] == "code":
        return {**cell, "outputs": [], "execution_count": None}
    source = cell.get("source", "")
    text = source if isinstance(source, str) else "".join(source)
    return {**cell, "source": text.encode().translate(_MASK).decode(), "attachments": {}}
