"""The dry run: every byte that would be sent, what it would cost, and what is kept back."""

import json
from collections.abc import Iterator, Sequence

from pytest_mecheval.translate.asks import Ask
from pytest_mecheval.translate.cost import estimate
from pytest_mecheval.translate.material import Kept
from pytest_mecheval.translate.request import Settings, request_body


def preview(asks: Sequence[Ask], settings: Settings, kept_back: Sequence[Kept] = ()) -> str:
    """All requests as text: what they share once, then what differs.

    Args:
        asks: of one bundle.
        settings: model and limits.
        kept_back: what of the bundle is in none of them.
    """
    return "\n".join(_lines(asks, settings, kept_back))


def _lines(asks: Sequence[Ask], settings: Settings, kept_back: Sequence[Kept]) -> Iterator[str]:
    yield f"nothing was sent; would ask {settings.model}: {estimate(asks, settings)}"
    yield f"kept back: {len(kept_back)}" if kept_back else "kept back: nothing"
    yield from (f"  {kept}" for kept in kept_back)
    shown: set[str] = set()
    for number, ask in enumerate(asks, start=1):
        body = request_body(ask, settings)
        (system,) = body.pop("system")
        (message,) = body.pop("messages")
        text = system.pop("text")
        frame = json.dumps({**body, "system": [system]}, sort_keys=True)
        for title, content in (("the frame", frame), ("the system text", text)):
            if content not in shown:
                shown.add(content)
                yield f"\n##### {title} of every request from here on\n{content}"
        yield f"\n##### request {number} of {len(asks)}: {ask.name}; the user's message\n{message['content']}"
