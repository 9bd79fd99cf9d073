"""The Anthropic model service: the only module that imports its SDK, and only when something is asked.

The SDK opens the connection and reads the stream; retries, waits, deadlines and the budget are ours,
because its own waits are unbounded, a stalled stream is not retried and a cut one goes unnoticed.
"""

import asyncio
import contextlib
import email.utils
import math
import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mecheval.bundle.escaping import escaped
from pytest_mecheval.errors import UsageError
from pytest_mecheval.translate.asks import Ask, Reply, Status, Usage
from pytest_mecheval.translate.cost import Budget
from pytest_mecheval.translate.providers.limits import Limits
from pytest_mecheval.translate.providers.message import Message
from pytest_mecheval.translate.request import Settings, request_body

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

KEY_VARIABLE = "ANTHROPIC_API_KEY"
SHOWN_CHARACTERS = 300
_TRY_AGAIN = frozenset({408, 409, 429})
_SERVER_ERROR = 500
_USELESS_FOR_ALL = frozenset({401, 402, 403, 404})
"""Key, payment, permission or model: no further ask can fare better."""
_TRY_AGAIN_TYPES = frozenset({"overloaded_error", "api_error", "rate_limit_error", "timeout_error"})
"""Errors that come inside a stream, whose HTTP status says 200."""
_STREAM = "text/event-stream"
_STOP_CHECK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Failure:
    """One call that brought no message."""

    status: Status
    detail: str
    again: bool = False
    wait: float | None = None
    """Seconds the service asked to wait."""
    billed: bool = True
    """False when it certainly cost nothing."""
    for_all: bool = False


class AnthropicProvider:
    """Answers asks with one streamed call each; the first alone, so that the others find a warm cache."""

    name = "anthropic"

    def __init__(
        self,
        settings: Settings,
        *,
        key: str,
        base_url: str | None = None,
        limits: Limits | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Nothing is imported or sent yet.

        Args:
            settings: model and longest answer.
            key: never shown or logged.
            base_url: of the service; None for the SDK's own choice.
            limits: times and tries.
            budget: shared by all calls; None for no limit.
        """
        self.settings = settings
        self.limits = limits or Limits()
        self.budget = budget or Budget(settings)
        self._key = key
        self._base_url = base_url

    def replies(self, asks: Sequence[Ask]) -> Iterator[Reply]:
        """One reply per ask, as they come in."""
        if not asks:
            return
        found: queue.Queue[Reply | BaseException] = queue.Queue()
        stop = threading.Event()
        thread = threading.Thread(
            target=self._thread, args=(asks, found, stop), name="mecheval-asking", daemon=True
        )
        thread.start()
        try:
            for _ in asks:
                reply = found.get()
                if isinstance(reply, BaseException):
                    raise reply
                yield reply
        finally:
            stop.set()
            thread.join()

    def _thread(
        self,
        asks: Sequence[Ask],
        found: "queue.Queue[Reply | BaseException]",
        stop: threading.Event,
    ) -> None:
        """A loop of its own: the caller may work on a reply while others come in, or run in a loop itself."""
        try:
            asyncio.run(_Asking(self, found, self._key).run(asks, self._base_url, stop))
        except BaseException as error:  # noqa: BLE001 - our own mistake, raised again where replies are read
            found.put(error)


class _Asking:
    """One run of asking, inside its event loop."""

    def __init__(
        self,
        provider: AnthropicProvider,
        found: "queue.Queue[Reply | BaseException]",
        key: str,
    ) -> None:
        self.settings = provider.settings
        self.limits = provider.limits
        self.budget = provider.budget
        self.found = found
        self.key = key
        self.useless = ""
        """Why nothing more needs to be asked."""
        self.deadline = 0.0
        self.warm = asyncio.Event()
        self.settled = asyncio.Condition()
        self.slots = asyncio.Semaphore(self.limits.concurrency)

    async def run(self, asks: Sequence[Ask], base_url: str | None, stop: threading.Event) -> None:
        """Answer all asks, or as many as are wanted."""
        import anthropic

        self.deadline = asyncio.get_running_loop().time() + self.limits.overall
        timeout = anthropic.Timeout(self.limits.idle, connect=self.limits.connect)
        async with anthropic.AsyncAnthropic(
            api_key=self.key, base_url=base_url, max_retries=0, timeout=timeout
        ) as client:
            first = asyncio.create_task(self._one(client, asks[0]))
            others = [asyncio.create_task(self._after_first(client, ask)) for ask in asks[1:]]
            everything = asyncio.gather(first, *others)
            while not everything.done() and not stop.is_set():
                await asyncio.wait([everything], timeout=_STOP_CHECK_SECONDS)
            if not everything.done():
                everything.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await everything

    async def _after_first(self, client: "AsyncAnthropic", ask: Ask) -> None:
        await self.warm.wait()
        async with self.slots:
            await self._one(client, ask)

    async def _one(self, client: "AsyncAnthropic", ask: Ask) -> None:
        try:
            self.found.put(await self._reply(client, ask))
        finally:
            self.warm.set()

    async def _reply(self, client: "AsyncAnthropic", ask: Ask) -> Reply:
        """Tries until there is a message, or no sense in trying."""
        failure = _Failure(Status.TIMED_OUT, "")
        for tried in range(1, self.limits.tries + 1):
            if self.useless:
                return Reply(ask, Status.UNREACHABLE, detail=f"not asked: {self.useless}")
            if self._left() <= 0:
                return self._overdue(ask, failure.detail)
            bound = self.budget.bound(ask)
            if not await self._afford(bound):
                return self._over_budget(ask, bound, failure.detail)
            result = await self._call(client, ask, bound)
            if isinstance(result, Reply):
                return result
            failure = result
            if failure.for_all:
                self.useless = failure.detail
            if not failure.again or tried == self.limits.tries:
                break
            wait = self.limits.wait(tried, failure.wait, ask.name)
            if wait >= self._left():
                return self._overdue(ask, failure.detail)
            await asyncio.sleep(wait)
        tries = f"{tried} tries: " if tried > 1 else ""
        return Reply(ask, failure.status, detail=f"{tries}{failure.detail}")

    async def _call(self, client: "AsyncAnthropic", ask: Ask, bound: float) -> Reply | _Failure:
        """One call within its own deadline, and what it cost."""
        usage: Usage | None = None
        self.budget.reserve(bound)
        try:
            async with asyncio.timeout(min(self.limits.call, self._left())):
                result = await self._streamed(client, ask)
            usage = result.usage if isinstance(result, Reply) else None
            if isinstance(result, _Failure) and not result.billed:
                usage = Usage()
        except TimeoutError:
            seconds = f"{min(self.limits.call, self.limits.overall):g}"
            return _Failure(Status.TIMED_OUT, f"no whole answer within {seconds} s")
        else:
            return result
        finally:
            self.budget.settle(bound, usage)
            async with self.settled:
                self.settled.notify_all()

    async def _streamed(self, client: "AsyncAnthropic", ask: Ask) -> Reply | _Failure:
        import anthropic
        import httpx2

        message = Message()
        body = request_body(ask, self.settings)
        try:
            async with await client.messages.create(**body) as stream:
                found = stream.response.headers.get("content-type", "")
                if _STREAM not in found:
                    said = f"the service sent '{escaped(found, 60)}' instead of a stream"
                    return _Failure(Status.MALFORMED, said)
                async for event in stream:
                    self.warm.set()
                    message.take(event.model_dump(warnings=False))
        except anthropic.APIStatusError as error:
            return self._refused(error)
        except (anthropic.APITimeoutError, httpx2.TimeoutException) as error:
            connecting = _never_connected(error)
            said = "no connection" if connecting else f"nothing came for {self.limits.idle:g} s"
            return _Failure(Status.TIMED_OUT, said, again=True, billed=not connecting)
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            said = f"connection failed: {self._shown(error.__cause__ or error)}"
            return _Failure(
                Status.UNREACHABLE, said, again=True, billed=not _never_connected(error)
            )
        except (anthropic.APIError, ValueError, AttributeError, TypeError) as error:
            # Not JSON, or JSON that is no event: the SDK reads events without checking them.
            return _Failure(Status.MALFORMED, f"the stream is unreadable: {self._shown(error)}")
        if not message.ended:
            return _Failure(Status.UNREACHABLE, "the answer broke off", again=True)
        return message.reply(ask)

    def _refused(self, error: Any) -> _Failure:
        """An error that the service sent, as status or within the stream."""
        status = int(error.status_code)
        kind = str(error.type or "")
        in_stream = status < min(_USELESS_FOR_ALL)
        code = kind if in_stream else str(status)
        again = kind in _TRY_AGAIN_TYPES if in_stream else status in _TRY_AGAIN
        again = again or status >= _SERVER_ERROR
        headers = error.response.headers
        if headers.get("x-should-retry") == "false":
            again = False
        return _Failure(
            Status.UNREACHABLE,
            f"the service answered {code}: {self._shown(error)}",
            again=again,
            wait=_asked_wait(headers),
            billed=in_stream,
            for_all=status in _USELESS_FOR_ALL,
        )

    def _shown(self, error: BaseException) -> str:
        """An error's text in one line, without the key should a server have echoed it."""
        text = " ".join(str(error).replace(self.key, "[key]").split())
        return escaped(text, SHOWN_CHARACTERS) or type(error).__name__

    def _left(self) -> float:
        return self.deadline - asyncio.get_running_loop().time()

    def _overdue(self, ask: Ask, before: str) -> Reply:
        said = f"not within {self.limits.overall:g} s for all questions"
        return Reply(ask, Status.TIMED_OUT, detail=f"{said}; {before}" if before else said)

    def _over_budget(self, ask: Ask, bound: float, before: str) -> Reply:
        limit = self.budget.limit or 0.0
        said = f"could cost ${bound:.2f}; ${max(limit - self.budget.spent, 0):.2f} of ${limit:.2f} are left"
        return Reply(ask, Status.OVER_BUDGET, detail=f"{said}; {before}" if before else said)

    async def _afford(self, bound: float) -> bool:
        """Whether a call fits; calls under way usually cost less than they reserved, so they are awaited."""
        async with self.settled:
            while not self.budget.fits(bound):
                if self.budget.reserved <= 0:
                    return False
                await self.settled.wait()
        return True


def _never_connected(error: BaseException) -> bool:
    """Whether the request cannot have reached the service."""
    import httpx2

    return isinstance(error.__cause__ or error, httpx2.ConnectError | httpx2.ConnectTimeout)


def _asked_wait(headers: Any) -> float | None:
    """Seconds that the service asks to wait, or None; it may write a number or a date."""
    asked: float | None = None
    with contextlib.suppress(TypeError, ValueError):
        date = email.utils.parsedate_to_datetime(headers.get("retry-after"))
        asked = date.timestamp() - time.time()
    for name, unit in (("retry-after", 1.0), ("retry-after-ms", 1e-3)):
        with contextlib.suppress(TypeError, ValueError):
            asked = float(headers.get(name)) * unit
    return None if asked is None or math.isnan(asked) else asked


def key_from_environment() -> str:
    """The key, read once.

    Raises:
        UsageError: there is none; says what works without.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise UsageError(
            f"{KEY_VARIABLE} is not set; set it, or use a way that needs no key: "
            "--llm exchange --dir DIR (questions as files), --llm replay (recorded answers)"
        )
    return key
