"""One ask as the body of a request to the model service: pure, so that a dry run shows what is sent."""

from dataclasses import dataclass
from typing import Any, Literal

from pytest_mecheval.translate.asks import Ask

Effort = Literal["", "low", "medium", "high", "xhigh", "max"]
"""How much the model may think; empty for models that know no such setting."""
CACHE_LIFETIME = "5m"
"""Every call renews it, so it only has to outlast the time between two calls."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Which model is asked, and how."""

    model: str = "claude-opus-5-5"
    effort: Effort = "medium"
    max_tokens: int = 12_000
    """Thinking and answer together."""


def request_body(ask: Ask, settings: Settings) -> dict[str, Any]:
    """The JSON body, streaming: the shared block first and marked for the cache, the question last."""
    output: dict[str, Any] = {"format": {"type": "json_schema", "schema": dict(ask.schema)}}
    if settings.effort:
        output["effort"] = settings.effort
    return {
        "model": settings.model,
        "max_tokens": settings.max_tokens,
        "stream": True,
        "system": [
            {
                "type": "text",
                "text": ask.shared,
                "cache_control": {"type": "ephemeral", "ttl": CACHE_LIFETIME},
            }
        ],
        "messages": [{"role": "user", "content": ask.question}],
        "output_config": output,
    }
