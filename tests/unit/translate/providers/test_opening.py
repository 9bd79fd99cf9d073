"""Providers by name: what is missing is said, nothing that is not needed is imported, nobody reaches out."""

import socket
import subprocess
import sys

import pytest

from pytest_mecheval.errors import UsageError
from pytest_mecheval.translate.asks import Ask
from pytest_mecheval.translate.cost import Budget
from pytest_mecheval.translate.providers.anthropic_sdk import AnthropicProvider
from pytest_mecheval.translate.providers.opening import NAMES, NEEDS_FOLDER, open_provider
from pytest_mecheval.translate.request import Settings


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_has_the_name_it_is_opened_by(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    assert open_provider(name, folder=tmp_path).name == name


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(
        UsageError, match=r"'gpt': unknown \(known: anthropic, record, replay, exchange\)"
    ):
        open_provider("gpt")


@pytest.mark.parametrize("name", sorted(NEEDS_FOLDER))
def test_a_folder_is_demanded_where_it_is_needed(name):
    with pytest.raises(UsageError, match="--dir"):
        open_provider(name)


@pytest.mark.parametrize("name", ["anthropic", "record"])
def test_a_key_is_demanded_where_it_is_needed(name, tmp_path):
    with pytest.raises(UsageError, match="ANTHROPIC_API_KEY is not set"):
        open_provider(name, folder=tmp_path)


def test_without_the_sdk_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "anthropic", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pytest-mecheval\[llm\]"):
        open_provider("anthropic")


def test_replay_and_exchange_import_no_sdk(tmp_path):
    code = f"""
import sys
from pathlib import Path
from pytest_mecheval.translate.asks import Ask, Reply, Status
from pytest_mecheval.translate import asking, cost, preview
from pytest_mecheval.translate.providers.opening import open_provider
from pytest_mecheval.translate.providers.replay import record
import pytest_mecheval.translate.providers.anthropic_sdk
ask = Ask("a", "finding", "s", "q", {{}}, "1")
folder = Path({str(tmp_path)!r})
record(folder, Reply(ask, Status.ANSWERED, {{"x": 1}}))
for name in ("replay", "exchange"):
    print([reply.status.value for reply in open_provider(name, folder=folder).replies([ask])])
print(sorted({{"anthropic", "httpx2", "httpx", "httpcore2", "torch"}} & set(sys.modules)))
"""
    shown = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.splitlines() == ["['answered']", "['missing']", "[]"]


class TestNobodyReachesOut:
    """The guard of these tests works: a real address is refused before a packet leaves."""

    def test_for_plain_sockets(self, only_loopback):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            for attempt in (
                lambda: socket.create_connection(("192.0.2.1", 443), timeout=1),
                lambda: datagrams.sendto(b"x", ("192.0.2.1", 53)),
                lambda: socket.getaddrinfo("api.anthropic.com", 443),
            ):
                with pytest.raises(BaseException, match=r"192\.0\.2\.1|api\.anthropic\.com"):
                    attempt()
        assert set(only_loopback) == {"192.0.2.1", "api.anthropic.com"}
        only_loopback.clear()

    def test_for_the_sdk_with_its_own_address(self, only_loopback):
        ask = Ask("a", "finding", "s", "q", {}, "1")
        asked = AnthropicProvider(Settings(), key="sk-test", budget=Budget(Settings()))
        with pytest.raises(BaseException, match=r"api\.anthropic\.com"):
            list(asked.replies([ask]))
        assert only_loopback == ["api.anthropic.com"]
        only_loopback.clear()
