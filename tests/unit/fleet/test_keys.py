"""The keys of one process: which one is used for what, and when a replaced one goes."""

from __future__ import annotations

import pytest

from pressroom.errors import NotSent
from pressroom.fleet.keys import Keys, fingerprint_of
from pressroom.ideogram import Ideogram

FIRST, SECOND = "first-secret-key", "second-secret-key"
OLD, NEW = fingerprint_of(FIRST), fingerprint_of(SECOND)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
async def keys():
    made = Keys(lambda key: Ideogram(key, base_url=NOBODY), FIRST, rest_s=1.0)
    yield made
    await made.aclose()


def used_for(keys, fingerprint=None):
    """The client that serves a request with that key."""
    with keys.using(fingerprint) as key:
        return key.client


async def is_closed(client):
    with pytest.raises(NotSent) as told:
        await client.poll("g", api="v2")
    return "closed" in told.value.message


async def test_what_was_bought_with_a_key_is_asked_for_with_it_and_everything_else_with_the_current(keys):
    """So running work ends on the old key after a rotation."""
    old = keys.current().client
    keys.replace(keys.live(SECOND))
    assert (NEW, keys.current().client) == (keys.current().fingerprint, used_for(keys, NEW))
    assert old is used_for(keys, OLD)
    assert keys.current().client is used_for(keys) is used_for(keys, "somebody's")
    assert (
        keys.in_turn(OLD),
        keys.in_turn(NEW),
        keys.in_turn("somebody's"),
    ) == ([OLD, NEW], [NEW, OLD], [NEW, OLD])
    assert [key.fingerprint for key in keys.others(OLD)] == [NEW]


async def test_a_replaced_key_stays_while_something_uses_it_here_or_is_in_flight_with_it(keys):
    """Closing its client under a paid request would make that request's outcome unknown."""
    old = keys.current().client
    with keys.using() as used:
        keys.replace(keys.live(SECOND))
        assert (old, []) == (used.client, await keys.close_unused(in_flight=()))
    assert await keys.close_unused(in_flight={OLD}) == []
    assert not await is_closed(old)
    assert await keys.close_unused(in_flight={NEW}) == [OLD]
    assert await is_closed(old)
    assert used_for(keys, OLD) is keys.current().client


async def test_the_current_key_is_never_closed_as_unused(keys):
    """It is the one that the next purchase needs."""
    assert await keys.close_unused(in_flight=()) == []
    assert not await is_closed(keys.current().client)


async def test_a_key_that_comes_back_is_the_one_that_is_still_here(keys):
    """A rotation that is taken back leaves no client behind."""
    old = keys.current()
    keys.replace(keys.live(SECOND))
    assert keys.live(FIRST) is old
    keys.replace(old)
    assert (keys.replaced(), keys.current().fingerprint) == ([NEW], OLD)


async def test_a_stop_on_another_key_says_nothing_about_the_current_one(keys):
    """During a rotation the old key may be stopped in the fleet while this process has the new one."""
    keys.stop(OLD)
    assert (keys.may_buy, keys.doubted.is_set()) == (False, True)
    keys.replace(keys.live(SECOND))
    assert keys.may_buy
    keys.stopped({OLD, NEW})
    assert not keys.may_buy
    keys.allow(NEW)
    assert keys.may_buy


async def test_no_key_shows(keys):
    """Fingerprints do."""
    keys.replace(keys.live(SECOND))
    shown = f"{keys!r} {keys.current()!r} {keys.others(NEW)!r}"
    assert NEW in shown
    assert FIRST not in shown
    assert SECOND not in shown
