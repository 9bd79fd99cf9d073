"""What packages a bundle declares, read as data: named releases only, never an option, a path or an address."""

import re
import tomllib
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pytest_mecheval.bundle.reading import decoded, read_file
from pytest_mecheval.errors import BundleError

FILES = ("requirements.txt", "pyproject.toml")
"""Read in this order; the first that declares something counts."""
FOREIGN_FILES = ("environment.yml", "environment.yaml", "Pipfile", "setup.py", "setup.cfg")
"""Declarations of other tools; their presence is told, their content is not read."""
MAX_FILE_BYTES = 200_000
MAX_PACKAGES = 300
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash[= ]\S+")
_ITSELF = re.compile(r"(-e|--editable)?[ =]?\.(\[[\w,-]+\])?/?$")


@dataclass(frozen=True, slots=True)
class Declared:
    """The packages a bundle says it needs."""

    file: str
    """Where it says so; empty when nowhere."""
    packages: tuple[str, ...] = ()
    """Normalised requirements such as `numpy>=1.24`, sorted, for this interpreter and platform."""
    python: str = ""
    """Its `requires-python`."""
    refused: tuple[str, ...] = ()
    """Lines that name no released package, with the reason."""
    notes: tuple[str, ...] = ()


def declared(bundle: Path, stated: str = "", python: str = "") -> Declared:
    """What the bundle declares; problems are in the result, never raised.

    Args:
        bundle: its folder.
        stated: the requirements file its manifest names, read instead of looking for one.
        python: the Python version its manifest names, such as 3.11; counts beside the file's own.
    """
    found = _declared(bundle, (stated,) if stated else FILES)
    if not python:
        return found
    both = ",".join(filter(None, (found.python, f"=={python}.*")))
    return replace(found, file=found.file or "mecheval.yaml", python=both)


def _declared(bundle: Path, names: tuple[str, ...]) -> Declared:
    notes = [
        f"{name}: another tool's declaration, not read"
        for name in FOREIGN_FILES
        if (bundle / name).is_file()
    ]
    for name in names:
        if not (bundle / name).is_file():
            continue
        try:
            text, _ = decoded(read_file(bundle, name, MAX_FILE_BYTES))
        except BundleError as error:
            return Declared(name, refused=(str(error),), notes=tuple(notes))
        found = _pyproject(text) if name.endswith(".toml") else _requirements_txt(text)
        if found.packages or found.refused or found.python:
            return Declared(
                name, found.packages, found.python, found.refused, (*notes, *found.notes)
            )
    return Declared("", notes=tuple(notes))


def _requirements_txt(text: str) -> Declared:
    lines = [
        _HASH.sub("", _COMMENT.sub("", line)).strip()
        for line in text.replace("\\\n", " ").splitlines()
    ]
    return _named([line for line in lines if line])


def _pyproject(text: str) -> Declared:
    try:
        body: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return Declared("", refused=(f"not TOML: {error}",))
    project = body.get("project")
    if not isinstance(project, dict):
        if isinstance(body.get("tool"), dict) and "poetry" in body["tool"]:
            return Declared("", refused=("[tool.poetry]: only [project] is read",))
        return Declared("")
    packages, python = project.get("dependencies", []), project.get("requires-python", "")
    if not isinstance(packages, list) or not all(isinstance(one, str) for one in packages):
        return Declared("", refused=("[project] dependencies: must be a list of texts",))
    found = _named(packages)
    return Declared("", found.packages, str(python), found.refused, found.notes)


def _named(lines: list[str]) -> Declared:
    packages, refused, notes = set(), [], []
    for line in lines:
        if _ITSELF.fullmatch(line):
            notes.append("the bundle itself: run from its folder, not installed")
            continue
        if line.startswith("-"):
            refused.append(f"{line[:80]}: an option of pip; only named packages are installed")
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            refused.append(f"{line[:80]}: not a named package (such as numpy>=1.24)")
            continue
        if requirement.url:
            refused.append(f"{line[:80]}: an address; only released packages are installed")
        elif requirement.marker is None or requirement.marker.evaluate():
            requirement.marker = None
            packages.add(str(requirement))
    if len(packages) > MAX_PACKAGES:
        refused.append(f"{len(packages)} packages, at most {MAX_PACKAGES}")
    return Declared("", tuple(sorted(packages)), "", tuple(refused), tuple(notes))


def names(packages: tuple[str, ...]) -> tuple[str, ...]:
    """The package names of normalised requirements.

    >>> names(("numpy>=1.24", "torch"))
    ('numpy', 'torch')
    """
    return tuple(Requirement(text).name for text in packages)


def python_fits(wanted: str, version: str) -> bool:
    """Whether an interpreter of this version satisfies `requires-python`.

    >>> python_fits(">=3.9,<3.11", "3.11.7"), python_fits("", "3.11.7")
    (False, True)
    """
    try:
        return SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier:
        return False


def missing_here(packages: tuple[str, ...]) -> tuple[str, ...]:
    """The requirements that the interpreter of this process does not satisfy, each with what is there."""
    missing = []
    for text in packages:
        requirement = Requirement(text)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(f"{text} (not installed)")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            missing.append(f"{text} (installed: {version})")
    return tuple(missing)
