"""Several emulators on one books file, and what a killed one leaves."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait

import httpx2
import pytest
from tests.support.emulator import emulator_process

from pressroom.emulator import EmulatorOptions
from pressroom.emulator.books import Books
from pressroom.emulator.generating import OPERATIONS
from pressroom.emulator.generations import NEVER, Acceptance, accept
from pressroom.emulator.plans import plan
from pressroom.emulator.settings import read_settings

PATH = "/v2/image/generate/ideogram-4"


@pytest.fixture
def books(tmp_path):
    return tmp_path / "books.sqlite"


def buy(base_url, count=1, **fields):
    body = {"prompt": "a cat", "async": True, **fields}
    with httpx2.Client(base_url=base_url, headers={"Api-Key": "k"}, trust_env=False) as client:
        return [client.post(PATH, json=body) for _ in range(count)]


def test_two_processes_keep_the_in_flight_limit_and_its_high_water_mark_together(books):
    """Forty requests at once on two processes: exactly the limit is accepted, and the refusals say the limit."""
    with (
        emulator_process(books, time_scale=1000, inflight_limit=7) as one,
        emulator_process(books, time_scale=1000, inflight_limit=7) as two,
        ThreadPoolExecutor(8) as pool,
    ):
        batches = pool.map(buy, [one.base_url, two.base_url] * 4, [5] * 8)
        answers = [answer for batch in batches for answer in batch]
        refused = [answer.json() for answer in answers if answer.status_code == 429]
        assert (sum(answer.status_code == 200 for answer in answers), len(refused)) == (7, 33)
        assert {(body["reject_reason"], body["max_inflight_requests"]) for body in refused} == {
            ("inflight_limit", 7)
        }
        for running in (one, two):
            flight = running.control.totals().in_flight
            assert (flight.now, flight.limit, flight.high_water, flight.wanted) == (7, 7, 7, 8)


def test_many_purchases_on_two_processes_are_all_in_the_ledger_once(books):
    """Nothing is lost and no number or id is used twice when two processes write at the same time."""
    with (
        emulator_process(books, time_scale=0, inflight_limit=100) as one,
        emulator_process(books, time_scale=0, inflight_limit=100) as two,
        ThreadPoolExecutor(8) as pool,
    ):
        batches = list(pool.map(buy, [one.base_url, two.base_url] * 4, [50] * 8))
        ids = [answer.json()["generation_id"] for batch in batches for answer in batch]
        ledger = two.control.ledger(pictures=False)
        assert len(set(ids)) == 400
        assert {entry.id for entry in ledger} == set(ids)
        assert [entry.seq for entry in ledger] == list(range(1, 401))
        assert one.control.totals().posts_received == 400


def test_a_killed_process_leaves_the_ledger_and_another_answers_its_ids(books):
    """After kill -9 a new process on the same books has every accepted generation, picture and mark."""
    with emulator_process(books, time_scale=0) as first:
        bought = [answer.json()["generation_id"] for answer in buy(first.base_url, 20, num_images=2)]
        before = first.control.ledger()
        first.control.settings(url_life_s=77)
        first.control.fault("poll_500", first=0)
        first.kill()
    with emulator_process(books, time_scale=0) as second:
        assert second.control.ledger() == before
        assert [entry.id for entry in before] == bought
        assert (second.control.settings()["url_life_s"], len(second.control.faults())) == (77, 1)
        with httpx2.Client(base_url=second.base_url, headers={"Api-Key": "k"}, trust_env=False) as client:
            told = client.get(f"/v2/generations/{bought[-1]}").json()
            assert told["status"] == "completed"
            assert client.get(told["data"][1]["url"]).status_code == 200


def test_a_request_whose_process_was_killed_is_bought_all_the_same(books):
    """A synchronous caller loses its answer; the generation was accepted, ends in time and frees its place."""
    with emulator_process(books, time_scale=0.05) as first, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(buy, first.base_url, 1, **{"async": False, "seed": 1})
        while first.control.totals().generations == 0:
            pass
        first.kill()
        with pytest.raises(httpx2.TransportError):
            waiting.result()
    with emulator_process(books) as second:
        while second.control.totals().in_flight.now:  # ends, or the suite's own time limit fails the test
            pass
        (entry,) = second.control.ledger(pictures=False)
        assert (entry.state, entry.billed_micros) == ("completed", 60_000)


def test_a_script_and_settings_posted_to_one_instance_act_on_all(books):
    """`first` counts over both, and the limit changes for both."""
    with emulator_process(books, time_scale=0) as one, emulator_process(books, time_scale=0) as two:
        one.control.fault("503", first=2)
        one.control.settings(inflight_limit=3)
        assert [buy(two.base_url)[0].status_code for _ in range(1)] == [503]
        assert [buy(url)[0].status_code for url in (one.base_url, two.base_url)] == [503, 200]
        assert two.control.totals().in_flight.limit == 3


def test_an_address_signed_by_one_instance_is_served_by_another(books):
    """The secret is in the books."""
    with emulator_process(books, time_scale=0) as one, emulator_process(books, time_scale=0) as two:
        url = buy(one.base_url, 1, **{"async": False})[0].json()["data"][0]["url"]
        assert url.startswith(one.base_url)
        answer = httpx2.get(url.replace(one.base_url, two.base_url), trust_env=False)
        assert answer.status_code == 200


def test_the_limit_is_decided_within_the_write_transaction(books):
    """An instance that asks while another is taking the last place waits for it, and is then refused."""
    options = EmulatorOptions(books, time_scale=0, inflight_limit=1)
    one, two = Books(books), Books(books)
    made = plan(OPERATIONS[PATH], {"prompt": "a cat"})
    terms = Acceptance(time.time(), "fingerprint", 0, read_settings(one, options))
    assert accept(one, made, terms) is not None  # ended at once: no place is taken
    with ThreadPoolExecutor(1) as pool:
        with one.transaction():
            one.execute("UPDATE generation SET ready_at = ?", NEVER)  # the last place, not yet committed
            asked = pool.submit(accept, two, made, terms)
            # Long enough for a count outside the transaction to find the place free.
            wait([asked], timeout=0.3)
        assert asked.result() is None
    one.close()
    two.close()
