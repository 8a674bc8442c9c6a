"""No library's error escapes a public call: whatever is broken, what comes is one of ours and says what to do."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import threading
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.rows import PROMPT, pair

from pressroom.app import App, open_app, upgrade
from pressroom.errors import DatabaseError, DatabaseUnavailable, InvalidInput, NotFound, PressroomError
from pressroom.generation.decisions import Decision, Decisions
from pressroom.generation.jobs import JobState
from pressroom.generation.selections import Selection
from pressroom.ideogram import ImageRequest
from pressroom.settings import Settings

FAST = {"beat_s": 0.1, "dead_after_s": 0.5, "fresh_s": 0.3}
SECRET = "a-password-of-tests"
WAITING = Selection(upstream="emulator", states=frozenset({JobState.QUEUED}))


def _calls(app: App, view):
    """Every public call that reaches the database, by name."""
    decisions = app.decisions
    return {
        "generate": lambda: app.generate(PROMPT, deadline_s=30),
        "submit": lambda: app.submit(ImageRequest(prompt=PROMPT)),
        "submit_many": lambda: app.submit_many([ImageRequest(prompt=PROMPT)] * 2),
        "job": lambda: app.job("job_1"),
        "jobs": lambda: app.jobs(states=[JobState.QUEUED], limit=5),
        "outlook": lambda: app.outlook(view),
        "wait": lambda: app.wait("job_1", deadline_s=30),
        "asset": lambda: app.asset("as_1"),
        "adopt": lambda: app.adopt("job_1", "gen-1"),
        "workers": app.workers,
        "gate": app.gate,
        "switches": app.switches,
        "set_switch": lambda: app.set_switch("mode", "live"),
        "projects": app.projects,
        "set_project": lambda: app.set_project("shop", weight=2),
        "stops": app.stops,
        "breakers": app.breakers,
        "order_trial": lambda: app.order_trial("v2/generate"),
        "audit": app.audit,
        "reconcile": app.reconcile,
        "budgets": app.budgets,
        "set_budget": lambda: app.set_budget("day", 25),
        "spend_report": app.spend_report,
        "spend_check": app.spend_check,
        "estimated_balance": app.estimated_balance,
        "topup": lambda: app.topup(5),
        "start_worker": app.start_worker,
        "restored": lambda: app.restored(who="somebody"),
        "decisions.count": lambda: decisions.count(WAITING),
        "decisions.decide": lambda: decisions.decide(Decision.CANCEL, WAITING),
        "decisions.cancel": lambda: decisions.cancel("job_1"),
        "decisions.retry": lambda: decisions.retry("job_1"),
        "decisions.adopt": lambda: decisions.adopt("job_1", "gen-1"),
        "decisions.buy_again": lambda: decisions.buy_again("job_1"),
        "decisions.give_up": lambda: decisions.give_up("job_1"),
    }


WITHOUT_DATABASE = {"check_ready", "client", "stop_worker", "close"}
"""Public calls that do not reach the database."""


def _public(kind, prefix=""):
    return {
        f"{prefix}{name}"
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and inspect.iscoroutinefunction(member)
    }


async def _view(app):
    return await app.job(await app.submit(ImageRequest(prompt=PROMPT)))


def _join_the_drivers_threads():
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(20)


async def test_every_public_call_is_walked(tmp_path):
    """A new method of the app has to be added here."""
    async with open_app(Settings.load(home=tmp_path)) as app:
        walked = set(_calls(app, None)) | WITHOUT_DATABASE

    assert _public(App) | _public(Decisions, "decisions.") == walked


async def _walk(app, view):
    """Call everything; the kinds of what came, by call. Anything but an error of ours escapes from here."""
    met = {}
    for name, call in _calls(app, view).items():
        try:
            await call()
        except PressroomError as error:
            met[name] = type(error)
            shown = "".join(traceback.format_exception(error)) + repr(error)
            if SECRET in shown or f"'{PROMPT}'" in shown:
                pytest.fail(f"{name} shows what is private: {shown}")
    return met


def _settings(tmp_path, **values):
    return Settings.load(home=tmp_path / "home", fleet=FAST, emulator={"time_scale": 0}, **values)


async def test_a_server_that_goes_away_is_told_by_every_call(upgraded_postgres, postgres, tmp_path):
    """In the middle of the day: its database is gone from one call to the next."""
    name = upgraded_postgres.rpartition("/")[2]
    async with open_app(_settings(tmp_path, database_url=upgraded_postgres)) as app:
        view = await _view(app)
        postgres.drop_database(name)
        met = await _walk(app, view)

    assert set(_calls(app, view)) == set(met)
    assert all(issubclass(kind, DatabaseError) for kind in met.values()), met


async def test_a_file_without_its_tables_is_told_by_every_call(tmp_path):
    """Somebody replaced the file by an empty one."""
    settings = _settings(tmp_path)
    async with open_app(settings) as app:
        view = await _view(app)
        await app.database.close()
        for path in settings.home.glob("pressroom.sqlite*"):
            path.unlink()
        met = await _walk(app, view)

    assert set(_calls(app, view)) == set(met)
    assert all(issubclass(kind, DatabaseError) for kind in met.values()), met


async def test_a_file_that_was_damaged_is_told_by_every_call(tmp_path):
    """Its pages are noise."""
    settings = _settings(tmp_path)
    async with open_app(settings) as app:
        view = await _view(app)
        await app.database.close()
        path = settings.home / "pressroom.sqlite"
        path.write_bytes(b"SQLite format 3\0" + os.urandom(path.stat().st_size - 16))
        met = await _walk(app, view)
        await asyncio.to_thread(_join_the_drivers_threads)

    assert set(_calls(app, view)) == set(met)
    assert all(issubclass(kind, DatabaseError) for kind in met.values()), met


async def _open(settings):
    try:
        async with open_app(settings) as app:
            await app.jobs()
    finally:
        await asyncio.to_thread(_join_the_drivers_threads)


@pytest.mark.parametrize("call", [_open, upgrade], ids=["open_app", "upgrade"])
@pytest.mark.parametrize(
    "broken",
    [
        "nonsense",
        "mysql://u:{secret}@h/d",
        "postgresql://u:{secret}@h:port/d",
        "sqlite://",
        "postgresql://u:{secret}@h",
    ],
)
async def test_a_wrong_address_is_the_callers_mistake(tmp_path, call, broken):
    """Found before anything is written, and shown without its password."""
    settings = _settings(tmp_path, database_url=broken.format(secret=SECRET))
    with pytest.raises(InvalidInput) as caught:
        await call(settings)

    assert SECRET not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("call", [_open, upgrade], ids=["open_app", "upgrade"])
async def test_a_missing_server_is_told(tmp_path, call):
    """Nobody listens there."""
    with pytest.raises(DatabaseUnavailable):
        await call(_settings(tmp_path, database_url=f"postgresql://u:{SECRET}@127.0.0.1:1/d"))


@pytest.mark.parametrize("call", [_open, upgrade], ids=["open_app", "upgrade"])
async def test_a_wrong_password_is_told(tmp_path, postgres, call):
    """Without showing it."""
    with pytest.raises(DatabaseError) as caught:
        await call(_settings(tmp_path, database_url=postgres.url(password=SECRET)))

    assert SECRET not in f"{caught.value} {caught.value!r}"


def _directory(path):
    path.mkdir()


def _noise(path):
    path.write_bytes(os.urandom(100_000))


def _damaged(path):
    path.write_bytes(b"SQLite format 3\0" + os.urandom(100_000))


@pytest.mark.parametrize("call", [_open, upgrade], ids=["open_app", "upgrade"])
@pytest.mark.parametrize("make", [_directory, _noise, _damaged])
async def test_a_file_that_is_no_database_is_told(tmp_path, call, make):
    """A directory in its place, a picture, a damaged file."""
    (tmp_path / "home").mkdir()
    make(tmp_path / "home" / "pressroom.sqlite")
    try:
        with pytest.raises(DatabaseError):
            await call(_settings(tmp_path))
    finally:
        await asyncio.to_thread(_join_the_drivers_threads)


async def test_a_home_that_cannot_be_made_is_told(tmp_path):
    """A file is in its way."""
    (tmp_path / "home").touch()
    with pytest.raises(DatabaseError):
        await _open(_settings(tmp_path))


@pytest.mark.parametrize("url", ["ftp://x", "s3://", "file:", "s3://bucket"])
async def test_a_wrong_store_is_told(tmp_path, url):
    """When it is opened or when it is checked, before anything is bought."""
    settings = _settings(tmp_path, storage_url=url, storage={"max_retries": 0, "connect_timeout_s": 0.5})
    try:
        async with open_app(settings) as app:
            (tmp_path / "home").mkdir(exist_ok=True)
            if url.startswith("s3"):
                await app.check_ready()
            else:
                shutil.rmtree(tmp_path / "home", ignore_errors=True)
                (tmp_path / "home").touch()
                await app.check_ready()
            await asyncio.sleep(0)
    except PressroomError:
        return
    finally:
        await asyncio.to_thread(_join_the_drivers_threads)
    pytest.fail("it was taken")


@pytest.mark.parametrize(
    "values",
    [
        {"ideogram_api_key": "two\nlines"},
        {"ideogram_api_key": "ümläut"},
        {"ideogram_base_url": "http://example.com", "ideogram_api_key": SECRET},
        {"ideogram_base_url": "not an address", "ideogram_api_key": SECRET},
        {"ideogram_base_url": "http://127.0.0.1:1"},
        {"ideogram_api_key_file": Path("/nowhere/key")},
    ],
    ids=["newline", "no ascii", "http", "no address", "no key", "no file"],
)
async def test_a_vendor_that_cannot_be_used_is_told(tmp_path, values):
    """Key and address, wherever they are looked at first."""
    with pytest.raises(InvalidInput) as caught:
        async with open_app(_settings(tmp_path, **values)) as app:
            await app.check_ready()

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": ""},
        {"prompt": "half \ud800"},
        {"prompt": "nul \0"},
        {"prompt": PROMPT, "seed": 2**80},
        {"prompt": PROMPT, "colour": "red"},
        {"prompt": PROMPT, "wire": "v9"},
        {"prompt": PROMPT, "tags": ["half \ud800"]},
        {"prompt": PROMPT, "options": {"category_id": "nul \0"}},
        {"prompt": PROMPT, "project": "nul \0"},
        {"prompt": PROMPT, "project": "half \ud800"},
    ],
    ids=lambda values: "-".join(values) + str(list(values.values())[-1])[:8],
)
async def test_a_bad_request_is_the_callers_mistake_on_every_database(base_settings, values):
    """Before anything is written, and without quoting the prompt."""
    async with open_app(base_settings) as app:
        with pytest.raises(InvalidInput) as caught:
            await app.generate(**values, deadline_s=30)
        assert await app.jobs() == []

    assert PROMPT not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["job_unknown", "", "x" * 10_000, "nul \0", "half \ud800", "%", "' OR 1=1 --"]
)
async def test_an_id_that_is_none_is_not_found_or_refused(base_settings, name):
    """Whatever a caller passes on from outside."""
    async with open_app(base_settings) as app:
        for call in (app.job, app.asset, app.wait, app.decisions.cancel, app.decisions.give_up):
            with pytest.raises((NotFound, InvalidInput)):
                await call(name)


async def test_a_number_of_rows_that_makes_no_sense_is_refused(base_settings):
    """Below one, or beyond what a database counts."""
    async with open_app(base_settings) as app:
        for limit in (-1, 0, 2**70):
            with pytest.raises(InvalidInput):
                await app.jobs(limit=limit)


async def test_no_prompt_is_in_what_is_printed_of_a_failed_write(base_settings):
    """Not even in the cause that a traceback prints: the driver quotes a statement's parameters when it may."""
    async with open_app(base_settings) as app:
        async with app.database.write() as connection:
            await connection.execute(sa.text("ALTER TABLE jobs RENAME TO elsewhere"))
        with pytest.raises(DatabaseError) as caught:
            await app.submit(ImageRequest(prompt=SECRET))

    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_adopting_asks_the_vendor_and_tells_what_it_says(tmp_path):
    """An id that it does not know, and a vendor that does not answer."""
    settings = _settings(tmp_path, ideogram_base_url="http://127.0.0.1:1", ideogram_api_key="key-of-tests")
    async with open_app(settings) as app:
        job_id, _ = await pair(app.database, JobState.UNCERTAIN, "uncertain", upstream=app.upstream)
        with pytest.raises(PressroomError):
            await app.adopt(job_id, "gen-1")
        with pytest.raises(PressroomError):
            await app.adopt(job_id, "../../secret?\0")
        assert (await app.job(job_id)).state is JobState.UNCERTAIN
