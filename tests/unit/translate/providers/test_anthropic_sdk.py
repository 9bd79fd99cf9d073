"""The real SDK against a service on this machine: every way a call can end has a status of its own."""

import json
import logging
import time

import pytest
from fake_service import GOOD, Told, event, good, refusal, serving, stream

from pytest_mecheval.errors import UsageError
from pytest_mecheval.translate.answer import Outcome, answer_from, answer_schema
from pytest_mecheval.translate.asks import Ask, Status, Usage
from pytest_mecheval.translate.cost import Budget, price_of
from pytest_mecheval.translate.providers.anthropic_sdk import (
    AnthropicProvider,
    key_from_environment,
)
from pytest_mecheval.translate.providers.limits import Limits
from pytest_mecheval.translate.request import Settings, request_body

KEY = "sk-test-4f9b1c7d2e8a"
QUICK = Limits(call=5, idle=0.5, connect=2, overall=20, tries=3, first_wait=0.01, longest_wait=0.05)
SETTINGS = Settings(max_tokens=1000)


def ask(number: int = 1) -> Ask:
    return Ask(
        name=f"documentation-{number}",
        role="finding",
        shared="instructions and texts",
        question=f"What does passage {number} claim?",
        schema=answer_schema(["ablation"]),
        prompt_version="1",
    )


def provider(service, limits=QUICK, settings=SETTINGS, max_cost=None):
    budget = Budget(settings, max_cost)
    return AnthropicProvider(settings, key=KEY, base_url=service.url, limits=limits, budget=budget)


def only_reply(service, **changed):
    (reply,) = provider(service, **changed).replies([ask()])
    return reply


def test_an_answer_comes_back_parsed_with_its_tokens():
    with serving(good()) as service:
        reply = only_reply(service)
    assert (reply.status, reply.body, reply.detail) == (Status.ANSWERED, GOOD, "")
    assert reply.usage == Usage(input=11, output=42, cache_read=700, cache_write=5)
    assert len(service.requests) == 1


def test_the_service_receives_exactly_the_body_that_a_dry_run_shows():
    with serving(good()) as service:
        only_reply(service)
    (request,) = service.requests
    assert request.body == json.loads(json.dumps(request_body(ask(), SETTINGS)))
    assert request.body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "5m"}
    assert request.body["output_config"]["effort"] == "medium"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert not {"tools", "tool_choice", "thinking", "temperature"} & set(request.body)


def test_an_effort_can_be_left_out():
    with serving(good()) as service:
        only_reply(service, settings=Settings("claude-haiku-4-5", effort="", max_tokens=1000))
    assert "effort" not in service.requests[0].body["output_config"]


def test_capitals_of_a_choice_are_no_obstacle():
    with serving(good(text=json.dumps(GOOD | {"outcome": "No_Claim"}))) as service:
        assert answer_from(only_reply(service).body).outcome is Outcome.NO_CLAIM


@pytest.mark.parametrize(
    ("text", "details", "said"),
    [
        ("", {"type": "refusal", "category": "frontier_llm"}, "declined to answer (frontier_llm)"),
        ("I would rather not.", None, "declined to answer: 'I would rather not.'"),
        (json.dumps(GOOD), {"type": "refusal", "category": "cyber"}, "declined to answer (cyber)"),
    ],
)
def test_a_refusal_is_one_with_and_without_prose_and_even_with_a_valid_answer(text, details, said):
    with serving(good(text=text, stop="refusal", details=details)) as service:
        reply = only_reply(service)
    assert reply.status is Status.REFUSED
    assert said in reply.detail
    assert not reply.body
    assert reply.usage.output == 42
    assert len(service.requests) == 1


@pytest.mark.parametrize("stop", ["max_tokens", "model_context_window_exceeded"])
def test_a_cut_off_answer_is_truncated_even_when_it_parses(stop):
    for text in (None, '{"outcome": "cla'):
        with serving(good(text=text, stop=stop)) as service:
            reply = only_reply(service)
        assert (reply.status, dict(reply.body)) == (Status.TRUNCATED, {})
        assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        (stream("Sure! Here is the JSON."), "not JSON"),
        (stream('{"outcome": "claims"'), "not JSON"),
        (stream('{"a": NaN}'), "NaN"),
        (stream('{"a": 1, "a": 2}'), "given twice"),
        (stream("[]"), "not a list"),
        (stream(""), "not JSON"),
        (stream(stop="tool_use"), "stopped for 'tool_use'"),
        (stream(stop=None), "no stop reason"),
        ((b'event: message_start\ndata: {"type": "message_st\n\n',), "unreadable"),
        ((b"event: message_start\ndata: [1, 2]\n\n", event("message_stop")), ""),
        ((event("message_start"), event("message_delta"), event("message_stop")), "no stop reason"),
        ((event("message_start", message=7), event("message_stop")), ""),
    ],
)
def test_what_is_no_answer_is_malformed_and_not_asked_again(chunks, said):
    with serving(Told(chunks=chunks)) as service:
        reply = only_reply(service)
    assert reply.status is Status.MALFORMED
    assert said in reply.detail
    assert "\n" not in reply.detail
    assert len(service.requests) == 1


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_page_instead_of_a_stream_is_malformed(kind):
    with serving(Told(chunks=(b'{"hello": "proxy"}',), kind=kind)) as service:
        reply = only_reply(service)
    assert reply.status is Status.MALFORMED
    assert kind in reply.detail


@pytest.mark.parametrize(
    "failing",
    [
        refusal(429, "rate_limit_error", retry_after="0"),
        refusal(529, "overloaded_error"),
        refusal(500),
        refusal(503),
        refusal(408),
        Told(502, {}, (b"<html>bad gateway</html>",), kind="text/html"),
        Told(chunks=(event("error", error={"type": "overloaded_error", "message": "later"}),)),
        Told(chunks=stream()[:4], then="cut"),
        Told(chunks=stream()[:4]),
        Told(chunks=stream()[:-1]),
        Told(then="cut"),
        Told(then="drop"),
        Told(then="silent"),
        Told(chunks=stream()[:4], then="stall"),
        Told(then="stall"),
    ],
    ids=lambda told: f"{told.status}-{told.then}-{len(told.chunks)}",
)
def test_what_passes_is_tried_again(failing):
    with serving(failing, failing, good()) as service:
        assert only_reply(service).status is Status.ANSWERED
    assert len(service.requests) == 3


@pytest.mark.parametrize(
    ("failing", "status", "said"),
    [
        (refusal(429, "rate_limit_error"), Status.UNREACHABLE, "3 tries: the service answered 429"),
        (refusal(529, "overloaded_error"), Status.UNREACHABLE, "529"),
        (refusal(500), Status.UNREACHABLE, "500"),
        (Told(chunks=stream()[:4], then="cut"), Status.UNREACHABLE, "3 tries: connection failed"),
        (Told(chunks=stream()[:4]), Status.UNREACHABLE, "broke off"),
        (Told(then="drop"), Status.UNREACHABLE, "3 tries: connection failed"),
        (Told(then="stall"), Status.TIMED_OUT, "nothing came for 0.5 s"),
        (Told(then="silent"), Status.TIMED_OUT, "nothing came for 0.5 s"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_does_not_pass_is_given_up_after_the_last_try(failing, status, said):
    with serving(failing) as service:
        reply = only_reply(service)
    assert reply.status is status
    assert said in reply.detail
    assert len(service.requests) == QUICK.tries


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_bad_request_is_not_repeated(status):
    with serving(refusal(status, "invalid_request_error"), good()) as service:
        replies = {r.ask.name: r.status for r in provider(service).replies([ask(1), ask(2)])}
    assert replies == {"documentation-1": Status.UNREACHABLE, "documentation-2": Status.ANSWERED}
    assert len(service.requests) == 2


def test_the_service_may_forbid_another_try():
    with serving(refusal(500, x_should_retry="false"), good()) as service:
        assert only_reply(service).status is Status.UNREACHABLE
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_refused_key_stops_all_asks(status):
    with serving(refusal(status, "authentication_error")) as service:
        replies = list(provider(service).replies([ask(n) for n in range(5)]))
    assert {reply.status for reply in replies} == {Status.UNREACHABLE}
    assert sum("not asked" in reply.detail for reply in replies) == 4
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "header",
    [{"retry_after": "3600"}, {"retry_after_ms": "1e12"}, {"retry_after": "inf"}, {"retry_after": "nan"},
     {"retry_after": "Fri, 31 Dec 2099 23:59:59 GMT"}, {"retry_after": "-5"}, {"retry_after": "soon"}],
    ids=str,
)  # fmt: skip
def test_a_huge_or_odd_wait_is_capped(header):
    started = time.monotonic()
    with serving(refusal(429, "rate_limit_error", **header), good()) as service:
        assert only_reply(service).status is Status.ANSWERED
    assert time.monotonic() - started < 3


def test_an_answer_that_drips_is_timed_out_by_our_own_clock():
    drops = tuple(bytes([byte]) for byte in b"".join(stream()))
    started = time.monotonic()
    with serving(Told(chunks=drops, every=0.1)) as service:
        reply = only_reply(service, limits=Limits(call=0.6, idle=5, overall=5, tries=3))
    assert reply.status is Status.TIMED_OUT
    assert "no whole answer within 0.6 s" in reply.detail
    assert time.monotonic() - started < 3
    assert len(service.requests) == 1


def test_all_asks_together_have_a_limit():
    limits = Limits(call=60, idle=60, overall=0.7, tries=3, concurrency=2)
    started = time.monotonic()
    with serving(good(), Told(chunks=stream()[:2], then="stall")) as service:
        replies = list(provider(service, limits=limits).replies([ask(n) for n in range(6)]))
    assert sorted(reply.status for reply in replies) == [Status.ANSWERED, *[Status.TIMED_OUT] * 5]
    assert time.monotonic() - started < 4
    assert len({reply.ask.name for reply in replies}) == 6


def test_the_first_call_goes_alone_and_the_others_only_a_few_at_a_time():
    slow = Told(chunks=stream(), every=0.02)
    with serving(slow) as service:
        limits = Limits(concurrency=3)
        replies = list(provider(service, limits=limits).replies([ask(n) for n in range(9)]))
    assert {reply.status for reply in replies} == {Status.ANSWERED}
    assert len(service.requests) == 9
    # The first may still be streaming when the others start: its cache entry is there by then.
    assert max(request.under_way for request in service.requests) in (3, 4)


def test_nothing_else_is_sent_before_the_first_answer_begins():
    begins_late = Told(chunks=stream(thinking="", text="{}"), every=0.2)
    with serving(begins_late, good()) as service:
        list(provider(service).replies([ask(1), ask(2)]))
    first, second = (request.at for request in service.requests)
    assert 0.2 <= second - first < 0.2 * len(begins_late.chunks)


def test_the_others_go_on_when_the_first_fails():
    with serving(refusal(500, x_should_retry="false"), good()) as service:
        replies = list(provider(service).replies([ask(n) for n in range(4)]))
    assert sorted(reply.status for reply in replies) == [*[Status.ANSWERED] * 3, Status.UNREACHABLE]


def test_no_service_at_all_is_unreachable_and_costs_nothing():
    with serving(good()) as service:
        gone = provider(service, max_cost=1.0)
    (reply,) = gone.replies([ask()])
    assert reply.status is Status.UNREACHABLE
    assert gone.budget.spent == 0


def test_no_asks_no_calls():
    with serving(good()) as service:
        assert list(provider(service).replies([])) == []
    assert not service.requests


def test_a_reader_who_stops_early_stops_the_asking():
    with serving(good(), Told(chunks=stream()[:2], then="stall")) as service:
        limits = Limits(idle=20, concurrency=2)
        replies = provider(service, limits=limits).replies([ask(n) for n in range(8)])
        assert next(replies).status is Status.ANSWERED
        started = time.monotonic()
        replies.close()
        assert time.monotonic() - started < 3
    assert len(service.requests) <= 3


class TestCost:
    """A limit on cost holds whatever the service does."""

    BOUND = Budget(SETTINGS, 1.0).bound(ask())

    def test_asks_that_might_exceed_it_are_not_sent(self):
        with serving(good()) as service:
            asked = provider(service, max_cost=self.BOUND * 1.5)
            replies = list(asked.replies([ask(n) for n in range(60)]))
        real = price_of(SETTINGS.model).cost(Usage(11, 42, 700, 5))
        answered = [reply for reply in replies if reply.status is Status.ANSWERED]
        refused = [reply for reply in replies if reply.status is Status.OVER_BUDGET]
        assert len(answered) + len(refused) == 60
        assert len(answered) == len(service.requests) == int(self.BOUND * 0.5 / real) + 1
        assert asked.budget.spent == pytest.approx(len(answered) * real)
        assert asked.budget.spent <= asked.budget.limit
        assert "could cost $0.03" in refused[0].detail

    def test_a_call_whose_cost_is_unknown_counts_in_full(self):
        cut = Told(chunks=stream()[:4], then="cut")
        with serving(cut) as service:
            asked = provider(service, max_cost=self.BOUND * 2.5)
            (reply,) = asked.replies([ask()])
        assert reply.status is Status.OVER_BUDGET
        assert "connection failed" in reply.detail
        assert len(service.requests) == 2
        assert asked.budget.spent == pytest.approx(2 * self.BOUND)

    def test_an_error_status_costs_nothing(self):
        with serving(refusal(529, "overloaded_error"), refusal(500), good()) as service:
            asked = provider(service, max_cost=self.BOUND * 1.01)
            (reply,) = asked.replies([ask()])
        assert reply.status is Status.ANSWERED

    def test_a_limit_too_small_for_one_call_sends_nothing(self):
        with serving(good()) as service:
            replies = list(provider(service, max_cost=0.0).replies([ask(1), ask(2)]))
        assert {reply.status for reply in replies} == {Status.OVER_BUDGET}
        assert not service.requests


class TestKey:
    """The key is read once and shown nowhere."""

    def test_it_appears_in_no_log_and_no_reply(self, caplog):
        caplog.set_level(logging.DEBUG)
        echo = json.dumps({"error": {"type": "api_error", "message": f"bad key {KEY}"}}).encode()
        told = Told(401, {}, (echo,), kind="application/json")
        with serving(told) as service:
            asked = provider(service)
            replies = list(asked.replies([ask(1), ask(2)]))
        assert service.requests[0].headers["authorization"].endswith(KEY)
        assert caplog.records
        assert KEY not in caplog.text
        assert KEY not in repr(replies) + repr(asked)
        assert "bad key [key]" in replies[0].detail

    def test_without_one_the_message_says_what_works(self, monkeypatch):
        monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
        with pytest.raises(UsageError, match=r"ANTHROPIC_API_KEY is not set.*exchange"):
            key_from_environment()
        monkeypatch.setenv("ANTHROPIC_API_KEY", f" {KEY}\n")
        assert key_from_environment() == KEY
