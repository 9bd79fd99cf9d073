"""Which packages an interpreter would import, read from their metadata without starting it."""

import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

MAX_PACKAGES = 2000
SHOWN = (
    *("torch", "transformer-lens", "transformers", "nnsight", "numpy", "scipy", "pandas"),
    *("scikit-learn", "safetensors", "einops", "datasets", "jaxtyping"),
)
"""Packages whose version a reader wants to see, when they are there."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}")
"""A wheel's metadata is text by strangers: anything else is no package."""


@cache
def installed(site: Path | None = None) -> Mapping[str, str]:
    """Version by normalised package name.

    Args:
        site: the folder of its packages; None is this process's own path.
    """
    places = [str(site)] if site is not None else sys.path
    found: dict[str, str] = {}
    for distribution in metadata.distributions(path=places):
        # Either is None where a package's metadata lacks it.
        name, version = str(distribution.metadata["Name"]), str(distribution.version)
        if _NAME.fullmatch(name) and _VERSION.fullmatch(version):
            # The first on the path is the one that would be imported.
            found.setdefault(normalised(name), version)
        if len(found) >= MAX_PACKAGES:
            break
    return dict(sorted(found.items()))


def shown(packages: Mapping[str, str], declared: Iterable[str]) -> dict[str, str]:
    """The versions worth showing: what a bundle declares, and the field's libraries."""
    wanted = {*SHOWN, *map(normalised, declared)}
    return {name: version for name, version in packages.items() if name in wanted}


def normalised(name: str) -> str:
    """A package's name as indexes compare it.

    >>> normalised("Transformer_Lens")
    'transformer-lens'
    """
    return re.sub(r"[-_.]+", "-", name).lower()
