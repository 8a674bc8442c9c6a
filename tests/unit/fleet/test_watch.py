"""The watch: a worker is dead when its counter stood still while our own did not."""

from __future__ import annotations

import pytest

from pressroom.fleet.workers import Watch, Worker, WorkerState

DEAD_AFTER_S = 20.0


def worker(name="w", beat=1, *, beat_at=0):
    return Worker(
        id=name,
        upstream="emulator",
        host="h",
        pid=1,
        version="1",
        state=WorkerState.LIVE,
        beat=beat,
        beat_at=beat_at,
        started_at=0,
    )


def names(found):
    return [one.id for one in found]


@pytest.fixture
def watch():
    return Watch(dead_after_s=DEAD_AFTER_S)


def test_a_counter_that_stands_still_is_a_death(watch):
    """Not a moment before `dead_after_s`, and from then on at each look."""
    looks = {now: names(watch.silent([worker()], now=now, we_beat=True)) for now in (0, 10, 19.9, 20, 25)}

    assert looks == {0: [], 10: [], 19.9: [], 20: ["w"], 25: ["w"]}


def test_a_counter_that_moves_is_alive_however_slowly(watch):
    """One beat in nineteen seconds is enough."""
    for turn in range(10):
        assert watch.silent([worker(beat=turn)], now=turn * 19.0, we_beat=True) == []


def test_the_time_on_the_row_has_no_say(watch):
    """A clock step of the database or of the other machine looks like nothing at all."""
    assert watch.silent([worker(beat=1, beat_at=0)], now=0, we_beat=True) == []
    for turn, beat_at in enumerate((10**15, -(10**15), 0), start=2):
        assert watch.silent([worker(beat=turn, beat_at=beat_at)], now=turn * 15.0, we_beat=True) == []


def test_a_database_outage_does_not_look_like_everybodys_death(watch):
    """While our own beats fail we cannot tell others' silence from our deafness; the count begins anew."""
    others = [worker("a"), worker("b")]
    watch.silent(others, now=0, we_beat=True)

    assert watch.silent(others, now=300, we_beat=False) == []
    assert watch.silent(others, now=301, we_beat=True) == []
    assert watch.silent(others, now=320, we_beat=True) == []
    assert names(watch.silent(others, now=321, we_beat=True)) == ["a", "b"]


def test_a_worker_that_comes_back_is_watched_from_then_on(watch):
    """After a pause and a revival the old silence is forgotten."""
    watch.silent([worker(beat=1)], now=0, we_beat=True)
    assert names(watch.silent([worker(beat=1)], now=20, we_beat=True)) == ["w"]
    assert watch.silent([], now=25, we_beat=True) == []  # declared dead, so no longer among the live

    assert watch.silent([worker(beat=1)], now=30, we_beat=True) == []
    assert watch.silent([worker(beat=2)], now=49, we_beat=True) == []
    assert watch.silent([worker(beat=2)], now=68, we_beat=True) == []
    assert names(watch.silent([worker(beat=2)], now=69, we_beat=True)) == ["w"]


def test_only_the_silent_one_is_named(watch):
    """Others beat on beside it."""
    watch.silent([worker("quiet"), worker("busy", beat=1)], now=0, we_beat=True)

    assert names(watch.silent([worker("quiet"), worker("busy", beat=5)], now=30, we_beat=True)) == ["quiet"]
