import asyncio
import json
import logging
import socket

import pytest

from pressroom.errors import (
    ContentRefused,
    CreditsExhausted,
    GenerationNotFound,
    InvalidRequest,
    InvalidSettings,
    KeyRefused,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    Unavailable,
    VendorError,
)
from pressroom.ideogram import Acknowledgement, Ideogram, ImageRequest, Images, Status, Timeouts, Wire, route

SHORT = Timeouts(connect=0.5, pool=0.5, asynchronous=0.4, synchronous=0.4, poll=0.4)
PROMPT = "a lighthouse nobody may read about"
PICTURE = {
    "url": "https://example.org/p.png?exp=1",
    "prompt": "p",
    "resolution": "8x8",
    "seed": 1,
    "is_image_safe": True,
}


def call(wire=Wire.AUTO, **fields):
    return route(ImageRequest(prompt=PROMPT, **fields), wire)


@pytest.fixture
async def client(vendor, key):
    async with Ideogram(
        key, base_url=vendor.base_url, timeouts=SHORT, sleep=lambda _s: asyncio.sleep(0)
    ) as opened:
        yield opened


async def test_an_asynchronous_call_is_acknowledged(vendor, client, key):
    """One POST with the key in its header and `async` in its body; the answer is an id."""
    vendor.answer(200, {"generation_id": "g1", "seed": 4})
    got = await client.send(call())
    (request,) = vendor.received
    assert Acknowledgement("g1", {"seed": 4}) == got
    assert (key, "/v2/image/generate/ideogram-4-5") == (request.headers["api-key"], request.target)
    assert (request.json()["async"], request.json()["prompt"]) == (True, PROMPT)


async def test_a_synchronous_call_brings_pictures(vendor, client):
    """Pictures come typed, with the fields nobody knows kept, also where the address is null, empty or absent."""
    unsafe = [{**PICTURE, "url": url, "is_image_safe": False, "new": 1} for url in (None, "")]
    without = {name: value for name, value in PICTURE.items() if name != "url"} | {"is_image_safe": False}
    vendor.answer(200, {"created": "2026-11-20T00:00:00Z", "data": [PICTURE, *unsafe, without]})
    got = await client.send(call(Wire.V3))
    assert isinstance(got, Images)
    assert [PICTURE["url"], None, None, None] == [image.url for image in got.images]
    assert [image.is_image_safe for image in got.images] == [True, False, False, False]
    assert (got.images[1].extra, got.extra) == ({"new": 1}, {"created": "2026-11-20T00:00:00Z"})


async def test_legacy_wraps_its_fields(vendor, client):
    """The legacy body is one object named image_request."""
    vendor.answer(200, {"data": [PICTURE]})
    await client.send(call(Wire.LEGACY))
    assert vendor.received[0].json() == {"image_request": {"prompt": PROMPT, "num_images": 1, "model": "V_2"}}


async def test_webhook_addresses_go_where_the_operation_takes_them(vendor, client):
    """In the query on v4, in the body on v2."""
    hook = "https://hooks.example.org/in?token=t&x=1"
    vendor.answer(200, {"generation_id": "a"})
    vendor.answer(200, {"generation_id": "b"})
    await client.send(call(Wire.V4), webhook_url=hook)
    await client.send(call(), webhook_url=hook)
    assert (
        vendor.received[0].target
        == "/v1/ideogram-v4/async/generate?webhook_url=https%3A%2F%2Fhooks.example.org%2Fin%3Ftoken%3Dt%26x%3D1"
    )
    assert hook == vendor.received[1].json()["webhook_url"]


@pytest.mark.parametrize(
    ("made", "hook"),
    [
        (call(Wire.V3), "https://hooks.example.org/in"),
        (call(model="auto"), "https://hooks.example.org/in"),
        (call(), "http://hooks.example.org/in"),
        (call(), "https://hooks.example.org/" + "x" * 2048),
    ],
)
async def test_a_webhook_that_cannot_be_is_refused_before_anything_is_sent(vendor, client, made, hook):
    """The operation may have none, and it has to be https of at most 2048 characters."""
    with pytest.raises(InvalidRequest, match="webhook_url"):
        await client.send(made, webhook_url=hook)
    assert vendor.received == []


BROKEN = {
    "closed": lambda vendor: vendor.hang_up(),
    "reset": lambda vendor: vendor.hang_up(reset=True),
    "reset in the head": lambda vendor: vendor.hang_up(reset=True, first=b"HTTP/1.1 200 OK\r\nConte"),
    "silent": lambda vendor: vendor.stay_silent(),
    "silent in the body": lambda vendor: vendor.stay_silent(
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"gen'
    ),
    "truncated": lambda vendor: vendor.answer(200, b'{"generation_id": "g', declared=200),
    "no JSON": lambda vendor: vendor.answer(200, b'{"generation_id": '),
    "no object": lambda vendor: vendor.answer(200, b"[1]"),
    "no id": lambda vendor: vendor.answer(200, {"seed": 1}),
    "empty": lambda vendor: vendor.answer(204),
    "data of another kind": lambda vendor: vendor.answer(200, {"data": "x"}),
    "an error without status": lambda vendor: vendor.answer(200, {"error": "later"}),
    "not HTTP": lambda vendor: vendor.hang_up(first=b"hello\r\n\r\n"),
    "500": lambda vendor: vendor.answer(500, {"error": PROMPT}),
    "408": lambda vendor: vendor.answer(408),
    "redirect": lambda vendor: vendor.answer(307, headers={"Location": "/generate"}),
    "huge": lambda vendor: vendor.answer(200, b" " * (9 * 1024 * 1024)),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("wire", [Wire.AUTO, Wire.V3])
async def test_a_lost_or_broken_answer_leaves_the_outcome_unknown_and_is_not_repeated(
    vendor, client, case, wire
):
    """After the first byte there is one POST and no second one, even with retries allowed."""
    BROKEN[case](vendor)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.send(call(wire), connect_retries=3)
    assert vendor.posts == 1
    assert PROMPT not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": PROMPT}, RequestRefused),
        (401, {}, KeyRefused),
        (403, {}, RequestRefused),
        (402, {"error": "x", "reject_reason": "insufficient_funds"}, CreditsExhausted),
        (422, {"error": PROMPT}, ContentRefused),
        (200, {"error": "bad image", "status_code": 422}, ContentRefused),
        (200, {"error": "bad request", "status_code": 400}, RequestRefused),
        (200, {"error": "down", "status_code": 503}, OutcomeUnknown),
    ],
)
async def test_a_refusal_is_told_apart(vendor, client, key, status, body, kind):
    """The kind of error decides what the caller may do; neither prompt nor key is in its text."""
    vendor.answer(status, body)
    with pytest.raises(kind) as caught:
        await client.send(call())
    assert kind is type(caught.value)
    assert not {PROMPT, key} & {str(caught.value), repr(caught.value)}
    assert PROMPT not in str(caught.value)


async def test_a_refusal_whose_body_breaks_off_is_still_a_refusal(vendor, client):
    """The status came whole: nothing was bought."""
    vendor.answer(400, b'{"err', declared=100)
    with pytest.raises(RequestRefused):
        await client.send(call())


async def test_the_time_to_answer_counts_from_the_first_byte(vendor, key):
    """A generation may take far longer than connecting does."""

    async def late(_reader, writer):
        await asyncio.sleep(0.5)
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"generation_id": "g"}')

    vendor.script.append(late)
    limits = Timeouts(connect=0.1, pool=0.1, asynchronous=20)
    async with Ideogram(key, base_url=vendor.base_url, timeouts=limits) as client:
        assert await client.send(call()) == Acknowledgement("g")


async def test_an_answer_that_only_drips_ends_at_the_limit(vendor, client):
    """Bytes that keep coming do not hold a paid request open; its outcome is unknown."""

    async def drip(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.05)

    vendor.script.append(drip)
    with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.4 s"):
        await client.send(call())


async def test_a_refused_connection_is_not_sent_and_may_be_repeated(vendor, key):
    """Nothing listens: NotSent at once; with retries the request arrives once somebody does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    started = []

    async def start_listening(_seconds):
        started.append(await asyncio.start_server(vendor.serve, "127.0.0.1", port))

    async with Ideogram(
        key, base_url=f"http://127.0.0.1:{port}", timeouts=SHORT, sleep=start_listening
    ) as client:
        with pytest.raises(NotSent):
            await client.send(call())
        vendor.answer(200, {"generation_id": "g"})
        assert Acknowledgement("g") == await client.send(call(), connect_retries=1)
    started[0].close()
    assert vendor.posts == 1


async def test_a_failed_tls_handshake_is_not_sent(vendor, key):
    """The server speaks plain HTTP where TLS was meant."""
    async with Ideogram(key, base_url=f"https://127.0.0.1:{vendor.port}", timeouts=SHORT) as client:
        with pytest.raises(NotSent):
            await client.send(call())
    assert vendor.received == []


async def test_an_unknown_name_is_not_sent(key):
    """`.invalid` never resolves (RFC 6761)."""
    async with Ideogram(key, base_url="https://nowhere.invalid", timeouts=Timeouts(connect=2)) as client:
        with pytest.raises(NotSent):
            await client.send(call())


async def test_waiting_for_a_connection_is_not_sent(vendor, key):
    """With the pool used up the next request gives up before its first byte."""
    vendor.stay_silent()
    limits = Timeouts(pool=0.1, synchronous=2, asynchronous=2)
    async with Ideogram(key, base_url=vendor.base_url, timeouts=limits, max_connections=1) as client:
        first = asyncio.create_task(client.send(call()))
        await vendor.busy.wait()
        with pytest.raises(NotSent):
            await client.send(call())
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert vendor.posts == 1


async def test_a_closed_client_and_one_without_key_send_nothing(vendor, client):
    """Both say so before any byte."""
    async with Ideogram(base_url=vendor.base_url) as keyless:
        with pytest.raises(InvalidSettings, match="key"):
            await keyless.send(call())
    await client.aclose()
    with pytest.raises(NotSent, match="closed"):
        await client.send(call())
    assert vendor.received == []


async def test_polling_reads_every_state(vendor, client):
    """Pending, completed with pictures and cost, failed by policy; the id is percent-encoded."""
    vendor.answer(200, {"generation_id": "a/b", "status": "pending", "created": "x"})
    vendor.answer(
        200,
        {"generation_id": "a/b", "status": "completed", "data": [PICTURE], "usage_cost_usd_micros": 2**40},
    )
    vendor.answer(
        200,
        {
            "generation_id": "a/b",
            "status": "failed",
            "failure_reason": "content_policy_violation",
            "error": "x",
        },
    )
    pending, completed, failed = [await client.poll("a/b", api="v2") for _ in range(3)]
    assert (pending.status, pending.extra) == (Status.PENDING, {"created": "x"})
    assert (len(completed.images), completed.usage_cost_usd_micros) == (1, 2**40)
    assert failed.refused_by_policy
    assert {"/v2/generations/a%2Fb"} == {request.target for request in vendor.received}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {}, GenerationNotFound),
        (401, {}, KeyRefused),
        (429, {}, RateLimited),
        (500, {}, Unavailable),
        (200, b"<html>", Unavailable),
        (200, {"generation_id": "g", "status": "dreaming"}, Unavailable),
        (200, {"generation_id": "g", "status": "completed"}, Unavailable),
    ],
)
async def test_a_poll_fails_without_meaning_a_purchase(vendor, client, status, body, kind):
    """Free requests never leave an outcome unknown."""
    vendor.answer(status, body, {"Retry-After": "4"})
    with pytest.raises(kind) as caught:
        await client.poll("g", api="v1")
    assert (kind, 4.0) == (type(caught.value), caught.value.retry_after)


async def test_a_poll_that_breaks_off_is_unavailable(vendor, client):
    """The connection ends in the middle of the answer."""
    vendor.hang_up(reset=True)
    with pytest.raises(Unavailable):
        await client.poll("g", api="v2")


async def test_a_quote_asks_with_dry_run_and_never_with_async(vendor, client):
    """The same body, priced: 64-bit micro-dollars and the upper bound of an estimate."""
    vendor.answer(
        200,
        {
            "object": "price_quote",
            "usd_micros": 2**53 + 1,
            "qualifier": "estimate",
            "upper_bound_usd_micros": 2**60,
        },
    )
    quote = await client.quote(call())
    assert (quote.usd_micros, quote.exact, quote.most_usd_micros) == (2**53 + 1, False, 2**60)
    assert vendor.received[0].target == "/v2/image/generate/ideogram-4-5?dry_run=true"
    assert "async" not in vendor.received[0].json()


async def test_a_quote_is_refused_where_none_is_declared(vendor, client):
    """Asking there may run and bill, so nothing is sent."""
    for wire in (Wire.V3, Wire.V4, Wire.LEGACY):
        with pytest.raises(InvalidRequest, match="quote"):
            await client.quote(call(wire))
    assert vendor.received == []


async def test_a_result_in_place_of_a_quote_is_no_quote(vendor, client):
    """An answer that is no price_quote is never read as a price."""
    vendor.answer(200, {"generation_id": "g", "usd_micros": 5})
    with pytest.raises(Unavailable):
        await client.quote(call())


async def test_generate_waits_through_passing_trouble(vendor, client):
    """A fresh id that is not known yet, a 429 and a 500 are polled through."""
    vendor.answer(200, {"generation_id": "g"})
    vendor.answer(404)
    vendor.answer(429, {}, {"Retry-After": "1"})
    vendor.answer(500)
    vendor.answer(200, {"generation_id": "g", "status": "pending"})
    vendor.answer(200, {"generation_id": "g", "status": "completed", "data": [PICTURE]})
    (image,) = await client.generate(PROMPT, num_images=1)
    assert (PICTURE["url"], 1) == (image.url, vendor.posts)


@pytest.mark.parametrize(
    ("reason", "kind"), [("content_policy_violation", ContentRefused), ("gpu_lost", VendorError)]
)
async def test_generate_says_why_a_generation_failed(vendor, client, reason, kind):
    """By its content, or otherwise; the id is named."""
    vendor.answer(200, {"generation_id": "g77"})
    vendor.answer(200, {"generation_id": "g77", "status": "failed", "failure_reason": reason})
    with pytest.raises(kind, match="g77") as caught:
        await client.generate(PROMPT)
    assert (kind, reason) == (type(caught.value), caught.value.vendor_message)


async def test_a_key_revoked_while_waiting_does_not_hide_the_purchase(vendor, client):
    """The generation was accepted: its id is in the error, and the error does not say that nothing was bought."""
    vendor.answer(200, {"generation_id": "g78"})
    vendor.answer(401)
    with pytest.raises(OutcomeUnknown, match="g78"):
        await client.generate(PROMPT)


async def test_nothing_secret_reaches_the_log(vendor, client, key, caplog):
    """At DEBUG neither key, prompt, webhook address nor query shows up."""
    caplog.set_level(logging.DEBUG)
    vendor.answer(200, {"generation_id": "g"})
    await client.send(call(Wire.V4), webhook_url="https://hooks.example.org/SECRETTOKEN")
    assert not [word for word in (key, PROMPT, "SECRETTOKEN") if word in caplog.text]
    assert key not in repr(client)


async def test_json_is_sent_as_utf8(vendor, client):
    """Any script and emoji arrive unchanged."""
    vendor.answer(200, {"generation_id": "g"})
    await client.send(route(ImageRequest(prompt="漢字 🦊 ñ")))
    assert json.loads(vendor.received[0].body.decode())["prompt"] == "漢字 🦊 ñ"
