"""Folders for small bundles; and no test here reaches beyond this machine."""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_mecheval.bundle.contents import Bundle
from pytest_mecheval.bundle.discovery import discover

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "providers"), str(HERE.parents[1] / "handmade")]

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ReachedOut(BaseException):
    """A test tried to leave the machine; no `except Exception` may swallow it."""


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch):
    """Connecting to, sending to or looking up any other host fails; yields the hosts that were tried."""
    tried: list[str] = []

    def refuse_beyond(real, host_of):
        def guarded(*arguments, **options):
            host = host_of(arguments)
            if host not in LOOPBACK:
                tried.append(host)
                raise ReachedOut(host)
            return real(*arguments, **options)

        return guarded

    def as_text(host):
        return host.decode() if isinstance(host, bytes) else str(host)

    def address(arguments):
        found = arguments[-1]
        return found[0] if isinstance(found, tuple) else "127.0.0.1"  # a path: a Unix socket

    for name in ("connect", "connect_ex", "sendto"):
        real = getattr(socket.socket, name)
        monkeypatch.setattr(socket.socket, name, refuse_beyond(real, address))
    lookup = refuse_beyond(socket.getaddrinfo, lambda arguments: as_text(arguments[0]))
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    for variable in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    yield tried
    assert not tried


@pytest.fixture
def bundle_of(tmp_path):
    """A bundle from a mapping of relative paths to contents."""

    def make(files: Mapping[str, str | bytes]) -> Bundle:
        root = tmp_path / "bundle"
        for path, content in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return discover(root)

    return make
