"""Attempts: one state machine, one open attempt for a job, one place for an attempt."""

from __future__ import annotations

from itertools import product

import pytest
from sqlalchemy.exc import IntegrityError
from tests.support.rows import PRICE, add_attempt, add_job

from pressroom.spend import attempts
from pressroom.spend.attempts import CLOSED, SETTLED, AttemptState

ALLOWED = {
    ("reserved", "sending"),
    ("reserved", "unsold"),
    ("sending", "accepted"),
    ("sending", "bought"),
    ("sending", "unsold"),
    ("sending", "uncertain"),
    ("accepted", "bought"),
    ("accepted", "unsold"),
    ("accepted", "uncertain"),
    ("uncertain", "accepted"),
    ("uncertain", "bought"),
    ("uncertain", "unsold"),
    ("uncertain", "written_off"),
}
"""Design section 3: `bought`, `unsold` and `written_off` are ends, and nothing returns to `reserved` or `sending`."""

TARGETS = [state for state in AttemptState if state is not AttemptState.RESERVED]


async def _attempt(connection, **values):
    return await add_attempt(connection, await add_job(connection), **values)


async def _read(connection, attempt_id):
    found = await connection.execute(attempts.attempts.select().where(attempts.attempts.c.id == attempt_id))
    return found.mappings().one()


@pytest.mark.parametrize(("origin", "to"), list(product(AttemptState, TARGETS)))
async def test_only_the_drawn_arrows_can_be_walked(sqlite_database, origin, to):
    """Every state and every target: a change that the machine does not have leaves the row as it was."""
    async with sqlite_database.write() as connection:
        attempt_id = await _attempt(connection, state=origin)
        before = await _read(connection, attempt_id)
        done = await attempts.transition(connection, attempt_id, to)
        after = await _read(connection, attempt_id)

    assert ((origin, to) in ALLOWED) is done
    assert (to if done else origin) == after["state"]
    if not done:
        assert before == after


@pytest.mark.parametrize(
    ("origin", "to", "cost"),
    [
        (AttemptState.SENDING, AttemptState.UNSOLD, 0),
        (AttemptState.SENDING, AttemptState.BOUGHT, PRICE.expected_micros),
        (AttemptState.UNCERTAIN, AttemptState.WRITTEN_OFF, PRICE.expected_micros),
    ],
)
async def test_a_settlement_frees_the_slot_and_states_the_cost(sqlite_database, origin, to, cost):
    """What was not sold costs nothing; what was bought or given up costs what was expected."""
    async with sqlite_database.write() as connection:
        attempt_id = await _attempt(connection, state=origin, slot=3)
        assert await attempts.transition(connection, attempt_id, to)
        row = await _read(connection, attempt_id)

    assert (None, cost) == (row["slot"], row["cost_micros"])
    assert row["ended_at"] >= row["created_at"]


async def test_an_attempt_that_does_not_say_what_it_expects_costs_what_was_set_aside(sqlite_database):
    """As those of a worker of the version before, during an upgrade."""
    async with sqlite_database.write() as connection:
        attempt_id = await _attempt(connection, state=AttemptState.ACCEPTED, expected_micros=0)
        await attempts.transition(connection, attempt_id, AttemptState.BOUGHT)
        assert PRICE.micros == (await _read(connection, attempt_id))["cost_micros"]


async def test_the_vendors_own_cost_wins_over_the_reservation(sqlite_database):
    """Some answers state what was billed; zero is a cost too."""
    async with sqlite_database.write() as connection:
        for micros in (0, 7):
            attempt_id = await _attempt(connection, state=AttemptState.ACCEPTED)
            await attempts.transition(connection, attempt_id, AttemptState.BOUGHT, cost_micros=micros)
            assert micros == (await _read(connection, attempt_id))["cost_micros"]


@pytest.mark.parametrize(
    ("origin", "to"),
    [
        (AttemptState.RESERVED, AttemptState.SENDING),
        (AttemptState.SENDING, AttemptState.ACCEPTED),
        (AttemptState.SENDING, AttemptState.UNCERTAIN),
    ],
)
async def test_what_is_not_settled_keeps_its_slot_and_has_no_cost(sqlite_database, origin, to):
    """The vendor may still be at it, so it counts against the limit."""
    async with sqlite_database.write() as connection:
        attempt_id = await _attempt(connection, state=origin, slot=2)
        await attempts.transition(connection, attempt_id, to, owner="w/1")
        row = await _read(connection, attempt_id)

    assert (row["slot"], row["cost_micros"], row["ended_at"], row["owner"]) == (2, None, None, "w/1")
    assert (to is AttemptState.SENDING) is (row["sending_at"] is not None)


async def test_only_from_narrows_the_machine_and_never_widens_it(sqlite_database):
    """A caller may refuse an arrow that exists; it cannot add one."""
    async with sqlite_database.write() as connection:
        sending = await _attempt(connection, state=AttemptState.SENDING)
        bought = await _attempt(connection, state=AttemptState.BOUGHT, slot=1)
        assert not await attempts.transition(
            connection, sending, AttemptState.UNSOLD, only_from={AttemptState.RESERVED}
        )
        assert not await attempts.transition(
            connection, bought, AttemptState.UNSOLD, only_from={AttemptState.BOUGHT}
        )


async def test_a_run_that_was_replaced_has_no_say(sqlite_database):
    """`claim` succeeds only on the row as it was read, so of two runs that read the same row one goes on."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection)
        attempt_id = await add_attempt(connection, job_id, state=AttemptState.ACCEPTED)
        seen = await attempts.get_open_or_none(connection, job_id)
        assert await attempts.claim(connection, seen, "first/1")
        assert not await attempts.claim(connection, seen, "second/1")
        assert await attempts.still_owned(connection, attempt_id, "first/1")
        assert not await attempts.still_owned(connection, attempt_id, "second/1")

        again = await attempts.get_open_or_none(connection, job_id)
        assert await attempts.claim(connection, again, "second/1")
        assert not await attempts.still_owned(connection, attempt_id, "first/1")


async def test_a_claim_fails_once_the_state_has_moved(sqlite_database):
    """The owner alone does not make a row the one that was read."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection)
        attempt_id = await add_attempt(connection, job_id, state=AttemptState.SENDING)
        seen = await attempts.get_open_or_none(connection, job_id)
        await attempts.transition(connection, attempt_id, AttemptState.ACCEPTED)

        assert not await attempts.claim(connection, seen, "late/1")


@pytest.mark.parametrize("state", sorted(set(AttemptState) - CLOSED))
async def test_a_job_has_one_open_attempt_at_most(sqlite_database, state):
    """The database itself refuses a second purchase while the first may still count."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection)
        await add_attempt(connection, job_id, state=state, slot=0)
        with pytest.raises(IntegrityError):
            await add_attempt(connection, job_id, slot=1)


@pytest.mark.parametrize("state", sorted(CLOSED))
async def test_a_job_may_buy_again_once_all_it_had_is_closed(sqlite_database, state):
    """Unsold and written off attempts make room for the next."""
    async with sqlite_database.write() as connection:
        job_id = await add_job(connection)
        first = await add_attempt(connection, job_id, state=state, slot=None)
        second = await add_attempt(connection, job_id, slot=0)
        assert second == (await attempts.get_open_or_none(connection, job_id)).id
        listed = (await attempts.of_jobs(connection, [job_id, "job_unknown"])).items()

    assert {job_id: [first, second], "job_unknown": []} == {
        job: [one.id for one in all_of_it] for job, all_of_it in listed
    }


async def test_no_two_attempts_of_one_upstream_share_a_place(sqlite_database):
    """Another upstream has places of its own, and a freed place is taken again."""
    async with sqlite_database.write() as connection:
        first = await _attempt(connection, slot=0)
        await _attempt(connection, slot=0, upstream="api.example:443")
        await attempts.transition(connection, first, AttemptState.UNSOLD)
        await _attempt(connection, slot=0)
        with pytest.raises(IntegrityError):
            await _attempt(connection, slot=0)


async def test_a_note_changes_no_state(sqlite_database):
    """Facts that come late are kept on whatever the attempt has become."""
    async with sqlite_database.write() as connection:
        attempt_id = await _attempt(connection, state=AttemptState.WRITTEN_OFF, slot=None)
        await attempts.note(connection, attempt_id, generation_id="gen-9")
        row = await _read(connection, attempt_id)

    assert (row["state"], row["generation_id"]) == ("written_off", "gen-9")


def test_settled_states_are_those_whose_money_is_decided():
    """Closed ones let the job buy again; a bought one does not."""
    assert {AttemptState.UNSOLD, AttemptState.WRITTEN_OFF} == CLOSED
    assert {AttemptState.BOUGHT} == SETTLED - CLOSED
