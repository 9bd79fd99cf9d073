"""The optional `mecheval.yaml`: what a bundle states about itself, checked for form, never trusted."""

from typing import Annotated

from pydantic import Field, ValidationError

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.bundle.problems import validation_problems
from pytest_mecheval.bundle.roles import MANIFEST
from pytest_mecheval.bundle.strict_yaml import read_yaml
from pytest_mecheval.bundle.subject import (
    CommandOrEntry,
    ModelSection,
    RelativePath,
    Section,
    TaskSection,
)
from pytest_mecheval.errors import BundleError

MAX_MANIFEST_BYTES = 256 * 2**10


class EnvironmentSection(Section):
    """What the bundle's code needs to run."""

    requirements: RelativePath | None = None
    """A requirements file of the bundle."""
    python: str | None = Field(default=None, pattern=r"^[0-9]+(\.[0-9]+){0,2}$")
    """Python version, such as 3.11."""


class Manifest(Section):
    """Everything a bundle may state; each field is optional."""

    plan: tuple[RelativePath, ...] = ()
    """Plan documents, all versions."""
    findings: tuple[RelativePath, ...] = ()
    """Documents whose statements are findings."""
    entry_points: tuple[CommandOrEntry, ...] = ()
    """Scripts, notebooks (with arguments, as in a shell) or functions that produce the results."""
    environment: EnvironmentSection | None = None
    """What the code needs to run."""
    model: ModelSection | None = None
    """The model under study."""
    tasks: dict[Annotated[str, Field(min_length=1, max_length=100)], TaskSection] = Field(
        default_factory=dict
    )
    """Named sources of prompts."""


def parse_manifest(text: str) -> Manifest:
    """The manifest in a YAML text.

    Raises:
        BundleError: one line per problem.
    """
    parsed = read_yaml(text)
    problems = [escaped(f"{MANIFEST}: {problem}", 400) for problem in parsed.problems]
    manifest = Manifest()
    if not parsed.broken:
        try:
            manifest = Manifest.model_validate({} if parsed.data is None else parsed.data)
        except ValidationError as error:
            problems += [f"{MANIFEST}: {line}" for line in validation_problems(error, Manifest)]
    if problems:
        raise BundleError("\n".join(problems))
    return manifest
