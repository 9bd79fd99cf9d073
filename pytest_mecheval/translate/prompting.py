"""The prompt files and their version; every text of ours that a model reads lies in `prompts/`."""

import functools
import hashlib
import json
from importlib import resources
from string import Template

_FOLDER = resources.files("pytest_mecheval.translate") / "prompts"
PROMPTS = ("shared", "subject", "finding", "plan", "again")


@functools.cache
def prompt_version() -> str:
    """Version of the prompt files; raised with every change, because recorded answers belong to one."""
    return str(_stamp()["version"])


def stamped_hash() -> str:
    """The hash that the prompt files had when their version was written down."""
    return str(_stamp()["sha256"])


def prompts_hash() -> str:
    """Hex SHA-256 of the prompt files as they are."""
    state = hashlib.sha256()
    for name in PROMPTS:
        state.update(f"{name}\0{_source(name)}\0".encode())
    return state.hexdigest()


def filled(name: str, **values: str) -> str:
    """A prompt with its blanks filled; values are put in as they are, `$` in them means nothing.

    Raises:
        KeyError: a blank has no value, which is our own mistake.
    """
    return Template(_source(name)).substitute(values)


def _stamp() -> dict[str, str]:
    stamp: dict[str, str] = json.loads((_FOLDER / "version.json").read_text(encoding="utf-8"))
    return stamp


@functools.cache
def _source(name: str) -> str:
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")
