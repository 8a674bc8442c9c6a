"""Notices: written with what they tell of, delivered at least once, on SQLite and on Postgres."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa
from tests.support.buying import buy, wanted

from pressroom.database import now_ms
from pressroom.errors import DatabaseUnavailable
from pressroom.notify.outbox import deliver, forget_delivered, log_sink, tell
from pressroom.notify.tables import notices
from pressroom.spend.caps import tell_nearly_used
from pressroom.spend.scopes import BudgetName
from pressroom.spend.setting import set_budget

UP = "emulator"


class Sink:
    """Takes notices, but fails the first `failures` times."""

    def __init__(self, failures=0):
        self.failures = failures
        self.taken = []

    async def __call__(self, notice):
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable("a sink of tests is down")
        self.taken.append(notice)


async def told(database, **values):
    async with database.write() as connection:
        return await tell(
            connection, **{"upstream": UP, "kind": "a.test", "severity": "P3", "text": "look at it", **values}
        )


async def written(database):
    async with database.read() as connection:
        return list((await connection.execute(sa.select(notices).order_by(notices.c.id))).mappings())


async def make_due(database):
    async with database.write() as connection:
        await connection.execute(sa.update(notices).values(next_at=now_ms()))


async def test_a_notice_is_delivered_once_with_all_it_says(database):
    """Oldest first; a second round finds nothing."""
    await told(database, text="first", facts={"budget": "day", "cap_micros": 5})
    await told(database, text="second", severity="P1")
    sink = Sink()

    assert await deliver(database, UP, {"sink": sink}) == 2
    assert await deliver(database, UP, {"sink": sink}) == 0
    first, second = sink.taken
    assert (first.text, first.kind, first.severity, first.facts) == (
        "first",
        "a.test",
        "P3",
        {"budget": "day", "cap_micros": 5},
    )
    assert (second.severity, second.tries) == ("P1", 1)


async def test_what_is_rolled_back_is_not_told(database):
    """The notice is part of the transaction that made it true."""

    async def fails():
        async with database.write() as connection:
            await tell(connection, upstream=UP, kind="a.test", severity="P3", text="never")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await written(database) == []


async def test_a_sink_that_is_down_is_tried_again_later(database):
    """Not at once, then with a wait that doubles, and to every sink again."""
    await told(database)
    failing, other = Sink(failures=2), Sink()
    sinks = {"other": other, "failing": failing}

    assert await deliver(database, UP, sinks) == 0
    assert await deliver(database, UP, sinks) == 0
    [row] = await written(database)
    first_wait = row["next_at"] - row["created_at"]
    assert (row["tries"], row["delivered_at"]) == (1, None)
    await make_due(database)
    assert await deliver(database, UP, sinks) == 0
    [row] = await written(database)
    assert row["next_at"] - row["created_at"] > first_wait
    await make_due(database)
    assert await deliver(database, UP, sinks) == 1
    assert (len(failing.taken), len(other.taken)) == (1, 3)


async def test_one_notice_that_fails_does_not_keep_the_others(database):
    """Each is delivered for itself."""
    await told(database, text="first")
    await told(database, text="second")
    sink = Sink(failures=1)

    assert await deliver(database, UP, {"sink": sink}) == 1
    assert [one.text for one in sink.taken] == ["second"]


async def test_a_process_that_dies_while_it_delivers_costs_a_wait_and_no_notice(database):
    """Its try was counted before; whoever comes next delivers it."""
    await told(database)

    async def dies(notice):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await deliver(database, UP, {"dies": dies})
    await make_due(database)
    sink = Sink()
    assert await deliver(database, UP, {"sink": sink}) == 1
    assert sink.taken[0].tries == 2


async def test_the_same_kind_is_told_once_in_a_while_when_asked(database):
    """Other kinds and other upstreams are told all the same."""
    assert await told(database, once_in_s=3600)
    assert not await told(database, once_in_s=3600)
    assert await told(database, once_in_s=3600, kind="another.test")
    assert await told(database, once_in_s=3600, upstream="elsewhere")
    assert await told(database)
    async with database.write() as connection:
        await connection.execute(sa.update(notices).values(created_at=now_ms() - 3_600_001))
    assert await told(database, once_in_s=3600)


async def test_a_severity_that_is_none_is_refused(database):
    """P1 to P4."""
    with pytest.raises(ValueError, match="P5"):
        await told(database, severity="P5")


async def test_private_facts_lose_their_values(database):
    """Whoever puts a prompt or a key there by mistake."""
    await told(database, facts={"prompt": "a heron", "api_key": "secret", "budget": "day"})
    [row] = await written(database)

    assert row["facts"] == {"prompt": "(private)", "api_key": "(private)", "budget": "day"}


async def test_the_log_is_a_sink(database, caplog):
    """At warning, with everything a person needs."""
    await told(database, text="top up the account", facts={"cause": "credits"})
    with caplog.at_level(logging.INFO, logger="pressroom"):
        await deliver(database, UP, {"log": log_sink})
    [record] = [one for one in caplog.records if one.msg["event"] == "notice.delivered"]

    assert record.levelno == logging.WARNING
    assert (record.msg["severity"], record.msg["kind"], record.msg["text"]) == (
        "P3",
        "a.test",
        "top up the account",
    )
    assert record.msg["facts"] == {"cause": "credits"}


async def test_old_notices_are_forgotten_once_they_were_delivered(database):
    """One that nobody has got stays."""
    await told(database, text="old")
    await deliver(database, UP, {"sink": Sink()})
    await told(database, text="waits")
    async with database.write() as connection:
        assert await forget_delivered(connection) == 0
        assert await forget_delivered(connection, after_ms=-1) == 1
    [row] = await written(database)
    assert row["text"] == "waits"


def _name(words):
    return BudgetName.parse(UP, words)


async def test_a_budget_tells_when_it_is_nearly_used_up_and_when_it_is(database):
    """Once each, with what to do; a new cap tells anew."""
    async with database.write() as connection:
        await set_budget(connection, _name("project:shop's"), 10, who="a test")
        await buy(connection, [wanted(7, project="shop's")])
        assert await tell_nearly_used(connection, UP, share=0.8) == 0
        await buy(connection, [wanted(1, project="shop's")])
        assert await tell_nearly_used(connection, UP, share=0.8) == 1
        assert await tell_nearly_used(connection, UP, share=0.8) == 0
        await buy(connection, [wanted(3, project="shop's")] * 3)
        await buy(connection, [wanted(3, project="shop's")])
    near, full = await written(database)

    assert (near["kind"], near["severity"]) == ("budget.near", "P3")
    assert (full["kind"], full["severity"]) == ("budget.full", "P3")
    for row in (near, full):
        assert """`pressroom spend budget 'project:shop'"'"'s' AMOUNT`""" in row["text"]
    assert "$0.000008 of $0.00001" in near["text"]

    async with database.write() as connection:
        await set_budget(connection, _name("project:shop's"), 9, who="a test")
        assert await tell_nearly_used(connection, UP, share=0.8) == 1
        await buy(connection, [wanted(3, project="shop's")])
    assert [row["kind"] for row in await written(database)] == ["budget.near", "budget.full"] * 2


async def test_counters_are_told_of_in_the_order_in_which_everybody_locks_them(database):
    """By their ids, or on Postgres a dispatch and this would end each other."""
    async with database.write() as connection:
        for words in ("day", "total", "campaign:spring", "backfill"):
            await set_budget(connection, _name(words), 10, who="a test")
        await buy(connection, [wanted(9, campaign="spring", backfill=True)])
        assert await tell_nearly_used(connection, UP, share=0.8) == 4
    names = [row["facts"]["budget"] for row in await written(database)]
    assert names == ["backfill", "campaign:spring", "day", "total"]


async def test_an_unused_budget_and_one_without_a_limit_are_not_nearly_used_up(database):
    """A cap of nothing is no news either until something is refused."""
    async with database.write() as connection:
        await set_budget(connection, _name("day"), 0, who="a test")
        await set_budget(connection, _name("total"), None, who="a test")
        await buy(connection, [wanted(5)])
        assert await tell_nearly_used(connection, UP, share=0.8) == 0
    assert [row["kind"] for row in await written(database)] == ["budget.full"]
