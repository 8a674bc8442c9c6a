import base64
import socket

import pytest

from pressroom.ideogram import Ideogram, Timeouts
from pressroom.ideogram.probe import UNKNOWN_GENERATION

SHORT = Timeouts(connect=0.3, pool=0.3, poll=0.3)


@pytest.mark.parametrize(
    ("status", "verdict", "failing"),
    [
        (404, "accepted", False),
        (401, "refused", False),
        (403, "refused", False),
        (429, "unknown", False),
        (400, "unknown", False),
        (500, "unknown", True),
        (503, "unknown", True),
    ],
)
async def test_an_answer_about_nothing_tells_about_the_key(vendor, status, verdict, failing):
    """A GET of a generation that does not exist costs nothing."""
    vendor.answer(status, {"error": "x"})
    async with Ideogram("k", base_url=vendor.base_url, timeouts=SHORT) as client:
        seen = await client.probe()
    assert (verdict, True, status, failing) == (seen.key, seen.reachable, seen.status, seen.failing)
    assert ("GET", f"/v2/generations/{UNKNOWN_GENERATION}") == (
        vendor.received[0].method,
        vendor.received[0].target,
    )
    assert seen.latency_ms > 0


async def test_an_unreachable_vendor_is_a_result_not_an_exception(key):
    """Nothing listens on that port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    async with Ideogram(key, base_url=f"http://127.0.0.1:{port}", timeouts=SHORT) as client:
        seen = await client.probe()
    assert (seen.key, seen.reachable, seen.status, seen.failing) == ("unknown", False, None, True)
    assert key not in seen.detail


async def test_silence_is_not_reachable(vendor, key):
    """It accepts and never answers."""
    vendor.stay_silent()
    async with Ideogram(key, base_url=vendor.base_url, timeouts=SHORT) as client:
        assert not (await client.probe()).reachable


async def test_the_probe_works_without_a_key(vendor):
    """Then the vendor is expected to refuse it."""
    vendor.answer(401)
    async with Ideogram(base_url=vendor.base_url, timeouts=SHORT) as client:
        assert (await client.probe()).key == "refused"
    assert "api-key" not in vendor.received[0].headers


def test_the_unknown_id_is_well_formed():
    """22 characters of URL-safe base64, 16 bytes, no stray bits: no vendor can call it malformed."""
    decoded = base64.urlsafe_b64decode(UNKNOWN_GENERATION + "==")
    assert (len(UNKNOWN_GENERATION), len(decoded)) == (22, 16)
    assert base64.urlsafe_b64encode(decoded).decode().rstrip("=") == UNKNOWN_GENERATION
