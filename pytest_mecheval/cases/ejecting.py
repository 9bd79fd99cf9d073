"""Writes a bundle's test modules into a folder of the user's, where they work without `--mecheval`."""

import os
from pathlib import Path

from pytest_mecheval.cases.guard import why_not_writable
from pytest_mecheval.cases.loading import load
from pytest_mecheval.cases.rendering import modules, write_modules
from pytest_mecheval.cases.settings import folder_names
from pytest_mecheval.errors import UsageError


def eject(folder: Path, bundle: Path, claims: Path | None = None) -> tuple[Path, ...]:
    """Write the modules.

    Args:
        folder: created when missing; must not lie inside the bundle.
        bundle: the bundle's folder.
        claims: its claim file; None means beside the bundle.

    Returns:
        The written files.

    Raises:
        UsageError: every problem of bundle and claim file, a file there that is not ours, or no such folder can be.
    """
    (name,) = folder_names([bundle.absolute()], Path.cwd())
    loaded, problems = load(bundle.absolute(), claims, name, salt="")
    if loaded is None:
        raise UsageError("\n".join(problems))
    if folder.resolve().is_relative_to(loaded.bundle.root):
        raise UsageError(f"{folder}: lies inside the bundle; nothing there is ever collected")
    if why := why_not_writable(folder.absolute()):
        raise UsageError(f"{folder}: {why}; choose another folder")
    constants = {
        "BUNDLE": _relative(loaded.bundle.root, folder),
        "CLAIMS": _relative(loaded.claims_path.resolve(), folder),
    }
    sources = modules(name, loaded.claims_path.name, loaded.cases, constants)
    return write_modules(folder, sources)


def _relative(path: Path, folder: Path) -> str:
    """Relative to the module's own folder, so that the repository can be moved."""
    return Path(os.path.relpath(path, folder.resolve())).as_posix()
