"""Switches: what people and pressroom's own rules set, how long it acts, and who did it."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from pressroom import audit
from pressroom.app import open_app
from pressroom.errors import InvalidInput, InvalidRequest
from pressroom.fleet import switches, variables
from pressroom.fleet.controls import version_of
from pressroom.fleet.gate import GateCache, Mode, RateLimitMode, read_gate
from pressroom.fleet.switches import KINDS, SwitchName, expire, take_back
from pressroom.fleet.tables import switches as rows
from pressroom.settings import Settings

UP = "emulator"


async def put(database, name, value, *, who="ada", reason="because", **options):
    async with database.write() as connection:
        await switches.set_switch(connection, UP, name, value, who=who, reason=reason, **options)


async def values(database, upstream=UP):
    async with database.read() as connection:
        return {one.name: one.value for one in await switches.all_switches(connection, upstream)}


async def lines(database):
    async with database.read() as connection:
        found = await audit.newest(connection, UP, limit=100)
    return [(line.who, line.action, line.subject, line.before, line.after) for line in reversed(found)]


async def pass_time(database, millis):
    async with database.write() as connection:
        await connection.execute(
            sa.update(rows).values(set_at=rows.c.set_at - millis, expires_at=rows.c.expires_at - millis)
        )


DEFAULTS = {"mode": "live", "concurrency": None, "batch": "running", "rate_limit_mode": "queue"}


async def test_nothing_is_switched_at_first(database):
    """Every switch has a default, and the settings say the concurrency."""
    assert await values(database) == DEFAULTS
    async with database.read() as connection:
        gate = await read_gate(connection, UP, Settings.load(fleet={"concurrency": 5}))
    assert (gate.mode, gate.batch_paused, gate.limit) == (Mode.LIVE, False, 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "fallback"),
        ("mode", "disabled"),
        ("concurrency", "3"),
        ("batch", "paused"),
        ("rate_limit_mode", "reject"),
    ],
)
async def test_a_switch_is_set_for_one_upstream_with_who_and_why(database, name, value):
    """And the log says so, with what was before."""
    await put(database, name, value)

    assert await values(database) == {**DEFAULTS, name: value}
    assert await values(database, "api.example") == DEFAULTS
    assert await lines(database) == [("ada", "switch.set", name, DEFAULTS[name], value)]
    await put(database, name, "default", who="grace")
    assert await values(database) == DEFAULTS
    assert (await lines(database))[-1] == ("grace", "switch.set", name, value, "default")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "off"),
        ("mode", ""),
        ("mode", "LIVE"),
        ("concurrency", "0"),
        ("concurrency", "-1"),
        ("concurrency", "11"),
        ("concurrency", "3.5"),
        ("concurrency", "three"),
        ("concurrency", "٣"),
        ("concurrency", "9" * 5000),
        ("batch", "stopped"),
        ("rate_limit_mode", "fallback"),
        ("colour", "red"),
        ("concurrency/pressroom", "3"),
    ],
)
async def test_what_no_switch_takes_is_refused_with_what_is_allowed(base_settings, name, value):
    """Nothing is written, neither a row nor a line of the log."""
    async with open_app(base_settings) as app:
        with pytest.raises(InvalidRequest) as caught:
            await app.set_switch(name, value)
        assert {one.name: one.value for one in await app.switches()} == DEFAULTS
        assert await app.audit() == []

    known = KINDS.get(name)
    words = ["1 to 10"] if name == "concurrency" else [known.allowed] if known else list(SwitchName)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("for_s", [0, -1, float("nan"), float("inf"), 1e12])
async def test_a_time_that_makes_no_sense_is_refused(database, for_s):
    """A switch lasts for more than no time, and for less than a lifetime."""
    with pytest.raises(InvalidInput):
        await put(database, "mode", "fallback", for_s=for_s)


async def test_an_expired_switch_stops_acting_at_once_and_is_removed_later(database):
    """Whoever reads it takes the default; the chore removes the row and says so, once."""
    await put(database, "mode", "fallback", for_s=60)
    await pass_time(database, 59_000)
    assert (await values(database))["mode"] == "fallback"
    assert await expire(database, UP) == 0

    await pass_time(database, 1_000)
    assert await values(database) == DEFAULTS
    assert [await expire(database, UP), await expire(database, UP)] == [1, 0]
    assert (await lines(database))[1:] == [("pressroom", "switch.expired", "mode", "fallback", None)]


@pytest.mark.parametrize(("theirs", "acts"), [("2", "2"), ("6", "3"), (None, "3")])
async def test_a_rule_of_ours_stands_beside_what_a_person_set(database, theirs, acts):
    """The stricter one counts, and what the person set is there again when the rule's time is over."""
    if theirs is not None:
        await put(database, "concurrency", theirs)
    await put(database, "concurrency", "3", who=audit.PRESSROOM, for_s=900)
    assert (await values(database))["concurrency"] == acts

    await pass_time(database, 900_000)
    assert (await values(database))["concurrency"] == theirs
    await expire(database, UP)
    assert (await values(database))["concurrency"] == theirs


async def test_what_a_person_sets_afterwards_ends_the_rule(database):
    """They know better; nothing is left to take back."""
    await put(database, "batch", "paused", who=audit.PRESSROOM, reason="credits")
    await put(database, "batch", "running")
    assert (await values(database))["batch"] == "running"

    async with database.write() as connection:
        assert not await take_back(connection, UP, SwitchName.BATCH, reason="credits")


async def test_a_rule_takes_back_only_what_it_set_for_that_reason(database):
    """Another rule's stays."""
    await put(database, "batch", "paused", who=audit.PRESSROOM, reason="credits")
    async with database.write() as connection:
        assert not await take_back(connection, UP, SwitchName.BATCH, reason="budget")
        assert await take_back(connection, UP, SwitchName.BATCH, reason="credits")
    assert await values(database) == DEFAULTS


async def test_a_process_goes_by_a_new_switch_at_its_next_look(database):
    """It keeps what it read, and reads anew when the version moved."""
    cache = GateCache(UP, Settings.load(fleet={"switch_cache_s": 3600}))
    async with database.read() as connection:
        first = await cache.current(connection)
        assert await cache.current(connection) is first
    await put(database, "mode", "disabled")
    await put(database, "rate_limit_mode", "reject")
    async with database.read() as connection:
        now = await cache.current(connection)

    assert (now.mode, now.rate_limit_mode) == (Mode.DISABLED, RateLimitMode.REJECT)
    assert now.blocked_by("v2/generate") == "the switch mode is disabled"


async def test_a_process_notices_what_only_time_changes(database):
    """An expiry raises no version; what is kept is kept for a moment only."""
    cache = GateCache(UP, Settings.load(fleet={"switch_cache_s": 0.001}))
    await put(database, "mode", "fallback", for_s=60)
    async with database.read() as connection:
        assert (await cache.current(connection)).mode is Mode.FALLBACK
    await pass_time(database, 60_000)
    await asyncio.sleep(0.01)
    async with database.read() as connection:
        assert (await cache.current(connection)).mode is Mode.LIVE


async def test_a_change_that_is_rolled_back_never_was(database):
    """Neither the switch, nor its line, nor the version."""
    async with database.write() as connection:
        await switches.set_switch(connection, UP, "mode", "disabled", who="ada", reason="")
        await connection.rollback()

    async with database.read() as connection:
        assert await version_of(connection, UP) == 0
    assert (await values(database), await lines(database)) == (DEFAULTS, [])


async def test_changes_at_the_same_time_are_all_logged_in_order(database):
    """Each line's before is the after of the line before it, whoever was first."""
    await asyncio.gather(*(put(database, "concurrency", str(n), who=f"p{n}") for n in range(1, 8)))

    log = await lines(database)
    assert [line[3] for line in log] == [None, *(line[4] for line in log[:-1])]
    assert (await values(database))["concurrency"] == log[-1][4]


def with_variables(settings, **given):
    return settings.model_copy(update=given)


VARIABLES = [
    ({"ideogram_fallback": True}, "mode", "fallback", "IDEOGRAM_FALLBACK"),
    ({"ideogram_fallback": False}, "mode", "live", "IDEOGRAM_FALLBACK"),
    ({"ideogram_enabled": False}, "mode", "disabled", "IDEOGRAM_ENABLED"),
    ({"ideogram_enabled": True}, "mode", "live", "IDEOGRAM_ENABLED"),
    ({"ideogram_fallback": True, "ideogram_enabled": True}, "mode", "fallback", "IDEOGRAM_ENABLED"),
    ({"ideogram_fallback": False, "ideogram_enabled": False}, "mode", "disabled", "IDEOGRAM_ENABLED"),
    ({"ideogram_concurrency": 3}, "concurrency", "3", "IDEOGRAM_CONCURRENCY"),
    ({"rate_limit_mode": "reject"}, "rate_limit_mode", "reject", "RATE_LIMIT_MODE"),
]


@pytest.mark.parametrize(("given", "name", "value", "variable"), VARIABLES)
async def test_a_variable_of_the_documents_sets_its_switch(base_settings, given, name, value, variable):
    """When a process opens with it, told as such."""
    async with open_app(with_variables(base_settings, **given)) as app:
        [switch] = [one for one in await app.switches() if one.name == name]
        assert (switch.value, switch.set_by) == (value, f"environment {variable}")
        assert len(await app.audit()) == 1


async def test_a_variable_acts_once_until_its_value_changes(base_settings):
    """What a person switches afterwards stays, however often a process starts with the same value."""
    settings = with_variables(base_settings, ideogram_fallback=True)
    async with open_app(settings) as app:
        await app.set_switch("mode", "live")
    for given, mode in (
        (settings, "live"),
        (base_settings, "live"),
        (with_variables(base_settings, ideogram_fallback=False), "live"),
        (settings, "fallback"),
    ):
        async with open_app(given) as app:
            assert (await values(app.database))["mode"] == mode
    async with open_app(settings) as app:
        assert [line.who.partition(" ")[0] for line in await app.audit()].count("environment") == 3


async def test_processes_that_start_together_apply_a_variable_once(database):
    """The first one does; the others find the value seen."""
    settings = Settings.load(ideogram_concurrency=4, ideogram_enabled=False)
    applied = await asyncio.gather(*(variables.apply(database, UP, settings) for _ in range(6)))

    assert sorted(map(len, applied)) == [0, 0, 0, 0, 0, 2]
    assert [line[2] for line in await lines(database)] == ["mode", "concurrency"]


async def test_a_variable_that_its_switch_does_not_take_is_told_and_changes_nothing(base_settings):
    """It names what is allowed, each time, as long as it is there."""
    settings = with_variables(base_settings, ideogram_concurrency=99, ideogram_fallback=True)
    for _ in range(2):
        with pytest.raises(InvalidInput, match="1 to 10"):
            async with open_app(settings):
                pass
    async with open_app(base_settings) as app:
        assert await values(app.database) == DEFAULTS


async def test_without_variables_nothing_is_looked_up(database, monkeypatch):
    """Every command opens the app; it costs those nothing that never set one."""
    monkeypatch.setattr(database, "read", None)

    assert await variables.apply(database, UP, Settings.load()) == []


async def test_the_audit_log_shows_the_newest_first(base_settings):
    """As many lines as asked for."""
    async with open_app(base_settings) as app:
        for number in range(1, 6):
            await app.set_switch("concurrency", str(number), who="ada")
        assert [line.after for line in await app.audit(limit=3)] == ["5", "4", "3"]
        for limit in (0, -1, 1001, 2**70):
            with pytest.raises(InvalidInput):
                await app.audit(limit=limit)
