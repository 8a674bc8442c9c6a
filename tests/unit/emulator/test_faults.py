"""Every fault of the table, met over a bare socket."""

from __future__ import annotations

import asyncio
import hashlib
import json

import httpx2
import pytest
from tests.unit.emulator.raw import exchange, get, post
from tests.unit.emulator.test_pictures import decode

from pressroom.emulator import FAULTS, EmulatorOptions, create_app

PATH = "/v2/image/generate/ideogram-4"
BODY = {"prompt": "a cat", "async": True}
SHORT = {"seconds": 0.05}

# fault: how the exchange ends, status, whether it is in the ledger, parameters
POSTS = {
    "delay": ("complete", 200, True, SHORT),
    "delay_after": ("complete", 200, True, SHORT),
    "unsafe": ("complete", 200, True, {}),
    "stuck_pending": ("complete", 200, True, {}),
    "failed_generation": ("complete", 200, True, {}),
    "failed_policy": ("complete", 200, True, {}),
    "reset_before": ("reset", 0, False, {}),
    "close_before": ("closed", 0, False, {}),
    "hang_before": ("closed", 0, False, SHORT),
    "reset_after": ("reset", 0, True, {}),
    "lost_answer_close": ("closed", 0, True, {}),
    "lost_answer_hang": ("closed", 0, True, SHORT),
    "truncated_body": ("cut", 200, True, {}),
    "malformed_json": ("complete", 200, True, {}),
    "slow_drip": ("complete", 200, True, {"seconds": 0.01}),
    "error_in_200": ("complete", 200, False, {"status_code": 422}),
    "error_in_200_after": ("complete", 200, True, {}),
    "400": ("complete", 400, False, {}),
    "401": ("complete", 401, False, {}),
    "402_insufficient_funds": ("complete", 402, False, {}),
    "402_subscription_required": ("complete", 402, False, {}),
    "402_daily_limit": ("complete", 402, False, {}),
    "402_priority_credit_required": ("complete", 402, False, {}),
    "402_feature_limit": ("complete", 402, False, {}),
    "403": ("complete", 403, False, {}),
    "404": ("complete", 404, False, {}),
    "408": ("complete", 408, False, {}),
    "413": ("complete", 413, False, {}),
    "422": ("complete", 422, False, {}),
    "429": ("complete", 429, False, {}),
    "429_retry_after": ("complete", 429, False, {"seconds": 7}),
    "429_inflight_limit": ("complete", 429, False, {}),
    "429_daily_limit": ("complete", 429, False, {}),
    "500": ("complete", 500, False, {}),
    "500_after": ("complete", 500, True, {}),
    "502_after": ("complete", 502, True, {}),
    "503": ("complete", 503, False, {}),
    "503_after": ("complete", 503, True, {}),
    "504_after": ("complete", 504, True, {}),
}
POLLS = {
    "poll_delay": ("complete", 200, SHORT),
    "poll_400": ("complete", 400, {}),
    "poll_401": ("complete", 401, {}),
    "poll_404": ("complete", 404, {}),
    "poll_429": ("complete", 429, {}),
    "poll_500": ("complete", 500, {}),
    "poll_503": ("complete", 503, {}),
    "poll_reset": ("reset", 0, {}),
    "poll_hang": ("closed", 0, SHORT),
    "poll_truncated": ("cut", 200, {}),
    "poll_malformed": ("complete", 200, {}),
}
DOWNLOADS = {
    "download_delay": ("complete", 200, SHORT),
    "download_403": ("complete", 403, {}),
    "download_404": ("complete", 404, {}),
    "download_410": ("complete", 410, {}),
    "download_429": ("complete", 429, {}),
    "download_500": ("complete", 500, {}),
    "download_503": ("complete", 503, {}),
    "download_reset": ("reset", 0, {}),
    "download_hang": ("closed", 0, SHORT),
    "download_truncated": ("cut", 200, {}),
    "download_drip": ("complete", 200, {"seconds": 0.001, "bytes": 2048}),
    "download_cut": ("complete", 200, {}),
    "download_corrupt": ("complete", 200, {}),
    "download_garbage": ("complete", 200, {}),
    "download_empty": ("complete", 200, {}),
    "download_html": ("complete", 200, {}),
    "download_text": ("complete", 200, {}),
    "download_oversized": ("complete", 200, {"bytes": 70_000}),
    "download_redirect": ("complete", 302, {}),
}


def test_every_fault_of_the_table_is_tried_here():
    """A fault added to the table without an expectation fails this test."""
    assert set(FAULTS) == {*POSTS, *POLLS, *DOWNLOADS}


@pytest.mark.parametrize("name", POSTS)
def test_a_post_meets_its_fault_once_and_the_ledger_knows_whether_it_was_accepted(emulator, name):
    """The exchange ends as the table says, the ledger holds the generation or not, and the next POST is well."""
    end, status, accepted, params = POSTS[name]
    emulator.control.fault(name, "v2.generate.*", first=1, params=params)
    met = exchange(emulator.port, post(PATH, BODY))
    assert (end, status) == (met.end, met.status)
    assert emulator.control.totals().generations == int(accepted)
    assert FAULTS[name].accepted == accepted or FAULTS[name].kind == "delay"
    assert exchange(emulator.port, post(PATH, BODY)).json()["generation_id"]
    assert emulator.control.totals().posts_received == 2
    (rule,) = emulator.control.faults()
    assert (rule.seen, rule.acted) == (2, 1)


@pytest.mark.parametrize("name", POLLS)
def test_a_poll_meets_its_fault_and_the_generation_is_unharmed(emulator, name):
    """The exchange ends as the table says, and the next poll answers completed."""
    end, status, params = POLLS[name]
    generation_id = exchange(emulator.port, post(PATH, BODY)).json()["generation_id"]
    emulator.control.fault(name, "v2.poll", first=1, params=params)
    met = exchange(emulator.port, get(f"/v2/generations/{generation_id}"))
    assert (end, status) == (met.end, met.status)
    assert exchange(emulator.port, get(f"/v2/generations/{generation_id}")).json()["status"] == "completed"


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_meets_its_fault_and_the_picture_is_unharmed(emulator, name):
    """The exchange ends as the table says, and the next download brings the picture of the ledger."""
    end, status, params = DOWNLOADS[name]
    url = exchange(emulator.port, post(PATH, {"prompt": "a cat"})).json()["data"][0]["url"]
    path = url.removeprefix("http://127.0.0.1")
    emulator.control.fault(name, "download", first=1, params=params)
    met = exchange(emulator.port, get(path))
    assert (end, status) == (met.end, met.status)
    (entry,) = emulator.control.ledger()
    good = exchange(emulator.port, get(path)).body
    assert entry.sha256 == [hashlib.sha256(good).hexdigest()]
    assert (met.body == good) == (name in {"download_delay", "download_drip"})


@pytest.mark.parametrize(
    "reason", [name[4:] for name in POSTS if name.startswith(("402_", "429_")) and "retry" not in name]
)
def test_typed_refusals_carry_their_reason_on_v2_and_nothing_on_v1(emulator, reason):
    """`reject_reason` stands in v2 bodies only; `inflight_limit` also names the limit and the queue."""
    name = next(fault for fault in POSTS if fault.endswith(reason))
    emulator.control.fault(name)
    body = exchange(emulator.port, post(PATH, BODY)).json()
    assert body["reject_reason"] == reason
    assert body["error"]
    assert ("max_inflight_requests" in body) == (reason == "inflight_limit")
    older = exchange(emulator.port, post("/v1/ideogram-v3/generate", {"prompt": "a"})).json()
    assert set(older) == {"message"}


def test_retry_after_is_sent_only_where_the_fault_says_so(emulator):
    """One 429 names seconds, the other leaves the client alone."""
    emulator.control.fault("429_retry_after", first=1, params={"seconds": 7})
    assert exchange(emulator.port, post(PATH, BODY)).headers["retry-after"] == "7"
    emulator.control.clear_faults()
    emulator.control.fault("429")
    assert "retry-after" not in exchange(emulator.port, post(PATH, BODY)).headers


def test_an_error_in_a_200_names_its_status_code(emulator):
    """The body has `error` and `status_code`, and no data."""
    emulator.control.fault("error_in_200", params={"status_code": 422})
    body = exchange(emulator.port, post(PATH, BODY)).json()
    assert (422, {"error", "status_code"}) == (body["status_code"], set(body))


def test_malformed_json_is_whole_and_cannot_be_parsed(emulator):
    """The length fits the body; only the JSON is broken."""
    emulator.control.fault("malformed_json")
    met = exchange(emulator.port, post(PATH, BODY))
    with pytest.raises(json.JSONDecodeError):
        met.json()


@pytest.mark.parametrize(
    ("name", "reason"), [("failed_policy", "content_policy_violation"), ("failed_generation", None)]
)
def test_a_failed_generation_is_told_by_polling_and_is_not_billed(emulator, name, reason):
    """The acknowledgement is a success; the poll says failed."""
    emulator.control.fault(name)
    generation_id = exchange(emulator.port, post(PATH, BODY)).json()["generation_id"]
    told = exchange(emulator.port, get(f"/v2/generations/{generation_id}")).json()
    assert ("failed", reason) == (told["status"], told.get("failure_reason"))
    assert emulator.control.totals().billed_micros == 0


@pytest.mark.parametrize(("name", "status"), [("failed_policy", 422), ("failed_generation", 500)])
def test_a_failed_generation_of_a_synchronous_request_is_an_error_answer(emulator, name, status):
    """A blocking call learns of the failure from its own answer."""
    emulator.control.fault(name)
    assert exchange(emulator.port, post(PATH, {"prompt": "a"})).status == status


def test_a_stuck_generation_stays_pending_in_flight_until_it_is_released(emulator):
    """It holds its place under the limit, and completes when the control path lets it go."""
    emulator.control.fault("stuck_pending", first=1)
    generation_id = exchange(emulator.port, post(PATH, BODY)).json()["generation_id"]
    poll = get(f"/v2/generations/{generation_id}")
    assert exchange(emulator.port, poll).json()["status"] == "pending"
    assert emulator.control.totals().in_flight.now == 1
    assert emulator.control.release(generation_id) == 1
    assert exchange(emulator.port, poll).json()["status"] == "completed"
    assert emulator.control.totals().in_flight.now == 0


def test_a_stuck_generation_can_end_by_itself(emulator):
    """With `seconds` it is pending for so long."""
    emulator.control.fault("stuck_pending", params={"seconds": 0.05})
    generation_id = exchange(emulator.port, post(PATH, BODY)).json()["generation_id"]
    told = "pending"
    while told == "pending":  # ends, or the suite's own time limit fails the test
        told = exchange(emulator.port, get(f"/v2/generations/{generation_id}")).json()["status"]
    assert told == "completed"


def test_an_oversized_download_is_streamed_beyond_64_mib_behind_a_png_signature(emulator):
    """By default more comes than any careful client takes, with no length announced; or announced when asked."""
    url = exchange(emulator.port, post(PATH, {"prompt": "a cat"})).json()["data"][0]["url"]
    path = url.removeprefix("http://127.0.0.1")
    emulator.control.fault("download_oversized", first=1, params={"declared": True})
    met = exchange(emulator.port, get(path))
    assert met.body.startswith(b"\x89PNG")
    assert len(met.body) == int(met.headers["content-length"]) > 64 * 1024 * 1024
    emulator.control.clear_faults()
    emulator.control.fault("download_oversized", params={"bytes": 70_000})
    assert "content-length" not in exchange(emulator.port, get(path)).headers


def test_a_corrupt_picture_has_the_right_length_and_does_not_decode(emulator):
    """Only looking into the file finds the damage."""
    url = exchange(emulator.port, post(PATH, {"prompt": "a cat"})).json()["data"][0]["url"]
    path = url.removeprefix("http://127.0.0.1")
    good = exchange(emulator.port, get(path)).body
    emulator.control.fault("download_corrupt")
    bad = exchange(emulator.port, get(path)).body
    assert len(good) == len(bad)
    with pytest.raises(AssertionError):
        decode(bad)


def test_faults_after_acceptance_leave_quotes_alone(emulator):
    """A dry run accepts nothing, so only faults before acceptance reach it."""
    emulator.control.fault("reset_after")
    quote = post(f"{PATH}?dry_run=true", {"prompt": "a"})
    assert exchange(emulator.port, quote).json()["object"] == "price_quote"
    emulator.control.fault("503", "v2.quote.*")
    assert exchange(emulator.port, quote).status == 503


def test_faults_of_the_connection_need_the_emulators_own_server(tmp_path):
    """Under another server a reset is refused with a sentence, and not quietly skipped."""

    async def attempt() -> None:
        app = create_app(EmulatorOptions(tmp_path / "books.sqlite"))
        transport = httpx2.ASGITransport(app, client=("127.0.0.1", 1))
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://emulator") as client,
        ):
            await client.post("/_emulator/faults", json={"fault": "reset_before"})
            await client.post(PATH, json=BODY, headers={"Api-Key": "k"})

    with pytest.raises(RuntimeError, match="own server"):
        asyncio.run(attempt())
