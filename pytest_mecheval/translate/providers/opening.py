"""A provider by its name on the command line; each is imported only when it is the one."""

from pathlib import Path

from pytest_mecheval.errors import UsageError
from pytest_mecheval.translate.asks import Provider
from pytest_mecheval.translate.request import Settings

NAMES = ("anthropic", "record", "replay", "exchange")
NEEDS_FOLDER = frozenset({"record", "replay", "exchange"})


def open_provider(
    name: str,
    *,
    folder: Path | None = None,
    settings: Settings | None = None,
    max_cost: float | None = None,
    base_url: str | None = None,
) -> Provider:
    """The provider of that name, ready to be asked; nothing is sent yet.

    Args:
        name: one of NAMES.
        folder: of recordings or questions, for those that need one.
        settings: model and limits, for those that ask the model service.
        max_cost: USD; None for no limit.
        base_url: of the model service; None for the usual one.

    Raises:
        UsageError: unknown name, no folder, no key, or a cost limit that cannot be kept.
    """
    if name not in NAMES:
        raise UsageError(f"provider '{name}': unknown (known: {', '.join(NAMES)})")
    if name not in NEEDS_FOLDER:
        return _model_service(settings or Settings(), max_cost, base_url)
    if folder is None:
        raise UsageError(f"provider {name}: name its folder with --dir DIR")
    if name == "exchange":
        from pytest_mecheval.translate.providers.exchange import Exchange

        return Exchange(folder)
    from pytest_mecheval.translate.providers.replay import Record, Replay

    if name == "replay":
        return Replay(folder)
    return Record(_model_service(settings or Settings(), max_cost, base_url), folder)


def _model_service(settings: Settings, max_cost: float | None, base_url: str | None) -> Provider:
    import importlib.util

    if importlib.util.find_spec("anthropic") is None:
        raise UsageError("provider anthropic: install it with: pip install 'pytest-mecheval[llm]'")
    from pytest_mecheval.translate.cost import Budget
    from pytest_mecheval.translate.providers.anthropic_sdk import (
        AnthropicProvider,
        key_from_environment,
    )

    budget = Budget(settings, max_cost)
    return AnthropicProvider(settings, key=key_from_environment(), base_url=base_url, budget=budget)
