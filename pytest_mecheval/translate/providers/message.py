"""A streamed message, put together event by event, and what its end says about the ask."""

from collections.abc import Mapping
from typing import Any

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.translate.asks import Ask, Reply, Status, Usage
from pytest_mecheval.translate.strict_json import NotJson, json_object

SHOWN_CHARACTERS = 120
_ENDED_WELL = ("end_turn", "stop_sequence")
_TRUNCATED = {
    "max_tokens": "the answer was cut off at the longest length allowed",
    "model_context_window_exceeded": "question and answer together exceed what the model can hold",
}


class Message:
    """What has come in of one answer. Every event may lack anything: it came over the network."""

    def __init__(self) -> None:
        self.ended = False
        """The service said that this is all."""
        self.usage: Usage | None = None
        self._texts: dict[int, list[str]] = {}
        self._stop_reason = ""
        self._refusal = ""

    def take(self, event: Mapping[str, Any]) -> None:
        """One event of the stream, as plain data; unknown ones are skipped."""
        kind = event.get("type")
        if kind == "message_start":
            self._count(_inner(_inner(event, "message"), "usage"))
        elif kind == "content_block_start":
            block = _inner(event, "content_block")
            if block.get("type") == "text":  # thinking comes in blocks of its own
                self._texts[_whole(event.get("index"))] = [str(block.get("text") or "")]
        elif kind == "content_block_delta":
            delta = _inner(event, "delta")
            if delta.get("type") == "text_delta":
                texts = self._texts.setdefault(_whole(event.get("index")), [])
                texts.append(str(delta.get("text") or ""))
        elif kind == "message_delta":
            delta = _inner(event, "delta")
            self._stop_reason = str(delta.get("stop_reason") or self._stop_reason)
            self._refusal = str(_inner(delta, "stop_details").get("category") or self._refusal)
            self._count(_inner(event, "usage"))
        elif kind == "message_stop":
            self.ended = True

    def reply(self, ask: Ask) -> Reply:
        """What an ended message means; why it stopped is looked at before its content."""
        usage = self.usage or Usage()
        text = "".join(part for index in sorted(self._texts) for part in self._texts[index])
        beginning = f": '{escaped(' '.join(text.split()), SHOWN_CHARACTERS)}'" if text else ""
        reason = self._stop_reason
        if reason == "refusal":
            category = f" ({escaped(self._refusal, 40)})" if self._refusal else ""
            return Reply(
                ask,
                Status.REFUSED,
                detail=f"the model declined to answer{category}{beginning}",
                usage=usage,
            )
        if reason in _TRUNCATED:
            return Reply(ask, Status.TRUNCATED, detail=_TRUNCATED[reason], usage=usage)
        if reason not in _ENDED_WELL:
            why = f"the answer stopped for '{escaped(reason, 40)}'" if reason else "no stop reason"
            return Reply(ask, Status.MALFORMED, detail=why, usage=usage)
        try:
            body = json_object(text)
        except NotJson as error:
            return Reply(ask, Status.MALFORMED, detail=f"{error}{beginning}", usage=usage)
        return Reply(ask, Status.ANSWERED, body=body, usage=usage)

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Later counts replace earlier ones: they are totals so far."""
        old = self.usage or Usage()
        if not usage:
            return
        self.usage = Usage(
            input=_whole(usage.get("input_tokens"), old.input),
            output=_whole(usage.get("output_tokens"), old.output),
            cache_read=_whole(usage.get("cache_read_input_tokens"), old.cache_read),
            cache_write=_whole(usage.get("cache_creation_input_tokens"), old.cache_write),
        )


def _inner(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def _whole(value: Any, otherwise: int = 0) -> int:
    return value if isinstance(value, int) and value >= 0 else otherwise
