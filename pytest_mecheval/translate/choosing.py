"""Which provider answers, by name; what each needs to be told."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.errors import UsageError
from pytest_mecheval.translate.asks import Provider
from pytest_mecheval.translate.merging import read_old
from pytest_mecheval.translate.outline import Outline
from pytest_mecheval.translate.providers.opening import open_provider
from pytest_mecheval.translate.request import Settings

PROVIDERS = ("anthropic", "replay", "exchange", "outline")
NEEDS_FOLDER = ("replay", "exchange")


@dataclass(frozen=True)
class Choice:
    """What the command line says about the provider."""

    name: str
    folder: Path | None = None
    """For replay: the recordings; for exchange: questions and answers; for anthropic: where to record."""
    max_cost: float | None = None
    """USD; None for no limit."""
    settings: Settings = field(default_factory=Settings)

    @property
    def retry(self) -> bool:
        """Rules say the same thing twice."""
        return self.name != Outline.name


def automatic(environment: Mapping[str, str] = os.environ) -> str:
    """The model service when there is a key, else the rules alone."""
    from pytest_mecheval.translate.providers.anthropic_sdk import KEY_VARIABLE

    return "anthropic" if environment.get(KEY_VARIABLE, "").strip() else Outline.name


def provider_for(choice: Choice, bundle: Bundle, path: Path) -> Provider:
    """The provider of one bundle.

    Args:
        choice: from the command line.
        bundle: read by the outline.
        path: its claim file, whose subject the outline uses when there is one.

    Raises:
        UsageError: unknown name, missing folder or one in the bundle, key or SDK, unusable recordings.
    """
    if choice.name not in PROVIDERS:
        raise UsageError(f"--llm {choice.name}: unknown (allowed: {', '.join(PROVIDERS)})")
    if choice.name in NEEDS_FOLDER and choice.folder is None:
        raise UsageError(f"--llm {choice.name} needs --dir DIR")
    if choice.folder is not None and choice.folder.resolve().is_relative_to(bundle.root):
        raise UsageError(
            f"{choice.folder}: lies inside the bundle, whose author could have prepared the answers, and "
            "where questions would be read as findings; name a folder outside"
        )
    if choice.name == Outline.name:
        subject = read_old(path, bundle).subject
        stated = bundle.manifest.tasks if bundle.manifest else {}
        return Outline(bundle, tuple(subject.tasks if subject else stated))
    recording = choice.name == "anthropic" and choice.folder is not None
    return open_provider(
        "record" if recording else choice.name,
        folder=choice.folder,
        settings=choice.settings,
        max_cost=choice.max_cost,
    )
