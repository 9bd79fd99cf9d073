"""A model service on this machine that answers as it is told: one `Answer` per request, the last one for ever."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = {
    "outcome": "no_claim",
    "claims": [],
    "reason": "",
    "explanation": "a heading",
    "subject_json": "",
}
USAGE = {
    "input_tokens": 11,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 700,
    "output_tokens": 1,
}


@dataclass(frozen=True)
class Told:
    """How one request is answered."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Sequence[bytes] = ()
    """Sent one after the other; what follows is up to `then`."""
    every: float = 0.0
    """Seconds before each chunk."""
    then: str = "end"
    """`end`: all is well; `cut`: the connection drops; `stall`: nothing more comes.
    `drop` and `silent`: the same before a single byte of the answer."""
    kind: str = "text/event-stream"


def event(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


def stream(
    text: str | None = None,
    *,
    stop: str | None = "end_turn",
    thinking: str = "well",
    details: Mapping[str, Any] | None = None,
    output: int = 42,
) -> tuple[bytes, ...]:
    """The events of one message, as the service sends them: thinking first, text in two pieces."""
    said = json.dumps(GOOD) if text is None else text
    half = len(said) // 2
    blocks: list[bytes] = []
    if thinking:
        blocks += [
            event(
                "content_block_start",
                index=0,
                content_block={"type": "thinking", "thinking": "", "signature": ""},
            ),
            event(
                "content_block_delta",
                index=0,
                delta={"type": "thinking_delta", "thinking": thinking},
            ),
            event("content_block_stop", index=0),
        ]
    if said:
        blocks += [
            event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
            event("ping"),
            event(
                "content_block_delta", index=1, delta={"type": "text_delta", "text": said[:half]}
            ),
            event(
                "content_block_delta", index=1, delta={"type": "text_delta", "text": said[half:]}
            ),
            event("content_block_stop", index=1),
        ]
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE,
    }
    ending = {"stop_reason": stop, "stop_sequence": None, "stop_details": details}
    return (
        event("message_start", message=message),
        *blocks,
        event("message_delta", delta=ending, usage={"output_tokens": output}),
        event("message_stop"),
    )


def good(**changed: Any) -> Told:
    return Told(chunks=stream(**changed))


def refusal(status: int, kind: str = "api_error", **headers: str) -> Told:
    """An error the service sends instead of a message."""
    body = {"type": "error", "error": {"type": kind, "message": f"told to say {status}"}}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Told(status, sent, (json.dumps(body).encode(),), kind="application/json")


@dataclass
class Request:
    """What came in."""

    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    """When it came, seconds of the monotonic clock."""
    under_way: int
    """Requests being answered when it came, itself included."""


class FakeService:
    """Listens on loopback; `requests` holds what was asked."""

    def __init__(self, tell: Callable[[int, dict[str, Any]], Told]) -> None:
        self.requests: list[Request] = []
        self.release = threading.Event()
        self._tell = tell
        self._under_way = 0
        self._lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                service._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        with self._lock:
            self._under_way += 1
            headers = {name.lower(): value for name, value in handler.headers.items()}
            self.requests.append(Request(headers, body, time.monotonic(), self._under_way))
            told = self._tell(len(self.requests) - 1, body)
        try:
            self._send(handler, told)
        except OSError:
            handler.close_connection = True  # the client has gone
        finally:
            with self._lock:
                self._under_way -= 1

    def _send(self, handler: BaseHTTPRequestHandler, told: Told) -> None:
        if told.then in ("drop", "silent"):
            handler.close_connection = True
            self.release.wait(30 if told.then == "silent" else 0)
            return
        handler.send_response(told.status)
        for name, value in {"content-type": told.kind, **told.headers}.items():
            handler.send_header(name, value)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for chunk in told.chunks:
            if told.every:
                self.release.wait(told.every)
            handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            handler.wfile.flush()
        if told.then == "stall":
            self.release.wait(30)
        if told.then != "end":
            handler.close_connection = True
            return
        handler.wfile.write(b"0\r\n\r\n")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def serving(
    *told: Told, by: Callable[[int, dict[str, Any]], Told] | None = None
) -> Iterator[FakeService]:
    """A service that answers the n-th request with the n-th `Told`, further ones with the last."""
    service = FakeService(by or (lambda number, _body: told[min(number, len(told) - 1)]))
    service.start()
    try:
        yield service
    finally:
        service.stop()
