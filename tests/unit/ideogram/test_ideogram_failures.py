import inspect
import pickle
from datetime import UTC, datetime

import httpx2
import pytest

from pressroom import errors
from pressroom.ideogram.endpoint import Timeouts
from pressroom.ideogram.exchange import Exchange
from pressroom.ideogram.failures import Answered, Cost, answer_error, classify, transport_error

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HTTPX2_ERRORS = [
    kind
    for _, kind in inspect.getmembers(httpx2, inspect.isclass)
    if issubclass(kind, Exception) and kind is not Exception
]

BEFORE_SENDING = {
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
}

MEANINGS = [
    (400, None, "RequestRefused", "RequestRefused"),
    (401, None, "KeyRefused", "KeyRefused"),
    (402, None, "CreditsExhausted", "CreditsExhausted"),
    (402, "insufficient_funds", "CreditsExhausted", "CreditsExhausted"),
    (402, "daily_limit", "QuotaExhausted", "QuotaExhausted"),
    (402, "feature_limit", "RequestRefused", "RequestRefused"),
    (402, "subscription_required", "RequestRefused", "RequestRefused"),
    (402, "priority_credit_required", "RequestRefused", "RequestRefused"),
    (402, "inflight_limit", "InflightLimit", "InflightLimit"),
    (403, None, "RequestRefused", "RequestRefused"),
    (404, None, "RequestRefused", "RequestRefused"),
    (408, None, "OutcomeUnknown", "Unavailable"),
    (413, None, "RequestRefused", "RequestRefused"),
    (418, None, "RequestRefused", "RequestRefused"),
    (422, None, "ContentRefused", "ContentRefused"),
    (429, None, "RateLimited", "RateLimited"),
    (429, "inflight_limit", "InflightLimit", "InflightLimit"),
    (429, "insufficient_funds", "CreditsExhausted", "CreditsExhausted"),
    (429, "something_new", "RateLimited", "RateLimited"),
    (500, "insufficient_funds", "OutcomeUnknown", "Unavailable"),
    (503, None, "OutcomeUnknown", "Unavailable"),
    (200, None, "OutcomeUnknown", "Unavailable"),
    (302, None, "OutcomeUnknown", "Unavailable"),
    (101, None, "OutcomeUnknown", "Unavailable"),
]


@pytest.mark.parametrize(("status", "reason", "paid", "free"), MEANINGS)
def test_each_answer_means_what_the_design_says(status, reason, paid, free):
    """The table of design section 3, for paid and for free requests."""
    assert (paid, free) == tuple(classify(status, reason, cost).__name__ for cost in (Cost.PAID, Cost.FREE))


def test_403_means_the_key_where_the_operation_says_so_and_404_the_id_on_a_poll():
    """Three multipart operations answer 403 for a bad key; only a poll's 404 is about a generation."""
    assert errors.KeyRefused is classify(403, None, Cost.PAID, frozenset({403}))
    assert errors.GenerationNotFound is classify(404, None, Cost.POLL)


@pytest.mark.parametrize("kind", HTTPX2_ERRORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("cost", list(Cost))
async def test_no_exception_of_the_http_library_escapes(kind, begun, cost):
    """Every class that httpx2 exports becomes one of ours; after the first byte a paid one is never safe to repeat."""

    class Breaking(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if begun:
                await request.extensions["trace"]("http11.send_request_headers.started", {})
            raise kind.__new__(kind)

    exchange = Exchange(1, Timeouts(), transport=Breaking())
    with pytest.raises(errors.VendorError) as caught:
        await exchange.ask("POST", "http://127.0.0.1:9/generate", {}, b"{}", cost=cost, within_s=5)
    unsafe = errors.OutcomeUnknown if cost is Cost.PAID else errors.Unavailable
    assert (errors.NotSent if kind in BEFORE_SENDING and not begun else unsafe) is type(caught.value)


@pytest.mark.parametrize("error", [OSError("x"), RuntimeError("x"), KeyError("x"), UnicodeError("x")])
def test_an_exception_nobody_expected_is_never_safe_to_repeat(error):
    """A fault of the library itself counts as a lost answer."""
    assert errors.OutcomeUnknown is type(transport_error(error, Cost.PAID, may_have_left=False))


def test_an_error_keeps_what_the_vendor_said_and_shows_none_of_it():
    """Status, words, reason, wait and rate headers are attributes; str() has neither prompt nor key; it pickles."""
    body = b'{"error": "prompt: red fox, key: abc123", "reject_reason": "inflight_limit", "max_inflight_requests": 12, "task_completion_speed": "slow"}'
    answered = Answered(429, {"retry-after": "7", "x-ratelimit-limit": "10", "server": "x"}, body, NOW)
    error = pickle.loads(pickle.dumps(answer_error(answered, Cost.PAID, secrets=("abc123",))))
    assert (error.status, error.reject_reason, error.retry_after) == (429, "inflight_limit", 7.0)
    assert (error.max_inflight, error.queue) == (12, "slow")
    assert error.headers == {"retry-after": "7", "x-ratelimit-limit": "10"}
    assert error.vendor_message == "prompt: red fox, key: ***"
    assert "red fox" not in str(error)
    assert "abc123" not in repr(error)


def test_a_long_body_is_cut_and_a_strange_reason_not_shown():
    """No body over 2 kB is kept, and only a plain word becomes part of the message."""
    error = answer_error(
        Answered(402, {}, b'{"reject_reason": "Draw a RED fox!"}' + b" " * 5000, NOW), Cost.PAID
    )
    assert "RED" not in str(error)
    long = answer_error(Answered(400, {}, b"x" * 5000, NOW), Cost.PAID)
    assert len(long.vendor_message) == errors.MAX_VENDOR_TEXT


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "m", "error": "e"}', "m"),
        (b'{"error": {"message": "inside"}}', "inside"),
        (b'{"detail": "d"}', "d"),
        (b"<html>", "<html>"),
        (b"\xff\xfe", "��"),
    ],
)
def test_the_vendors_words_are_found_wherever_it_puts_them(body, words):
    """Untyped bodies are read as message, error, detail, then raw."""
    assert words == answer_error(Answered(400, {}, body, NOW), Cost.PAID).vendor_message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("Fri, 20 Nov 2026 12:00:09 GMT", 9.0),
        ("Fri, 20 Nov 2020 12:00:09 GMT", 0.0),
        ("soon", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    """RFC 9110 allows both; nonsense is no wait."""
    assert seconds == answer_error(Answered(429, {"retry-after": header}, b"", NOW), Cost.FREE).retry_after
