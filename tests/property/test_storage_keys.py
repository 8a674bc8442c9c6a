"""Object keys over all inputs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressroom.errors import InvalidInput
from pressroom.storage.keys import MAX_SEED, checked_key, object_key

SEEDS = st.none() | st.integers(0, MAX_SEED)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
EXTENSIONS = st.sampled_from(["png", "jpg", "webp", "avif"])
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1000, 1, 2), datetime(9998, 12, 30), timezones=ZONES)  # noqa: DTZ001


@given(MOMENTS, SEEDS, IDS, EXTENSIONS)
def test_a_key_stays_below_its_day_and_is_accepted_by_the_store(at, seed, asset_id, extension):
    """Four segments, the first three the UTC day, none that climbs."""
    key = object_key(created_at=at, seed=seed, asset_id=asset_id, extension=extension)

    utc = at.astimezone(UTC)
    assert (f"{utc.year:04d}", f"{utc.month:02d}", f"{utc.day:02d}") == PurePosixPath(key).parts[:3]
    assert len(PurePosixPath(key).parts) == 4
    assert key == checked_key(key)


@given(st.tuples(MOMENTS, SEEDS, IDS), st.tuples(MOMENTS, SEEDS, IDS))
def test_two_assets_never_share_a_key(one, two):
    """Whatever their seeds and times, different asset ids give different keys."""
    keys = [
        object_key(created_at=at, seed=seed, asset_id=name, extension="png") for at, seed, name in (one, two)
    ]

    assert (one[2] == two[2]) or keys[0] != keys[1]


@given(MOMENTS, SEEDS, IDS, IDS)
def test_the_same_seed_at_the_same_instant_still_gives_two_keys(at, seed, one, two):
    """The documents' `{seed}.png` lost one of two images; the asset id keeps both."""
    first, second = (
        object_key(created_at=at, seed=seed, asset_id=name, extension="png") for name in (one, two)
    )

    assert (one == two) == (first == second)


@given(st.lists(MOMENTS, max_size=8), SEEDS)
def test_keys_sort_by_utc_day(moments, seed):
    """Plain string order of the keys is the order of their days."""
    keys = sorted(object_key(created_at=at, seed=seed, asset_id="a", extension="png") for at in moments)

    days = sorted(at.astimezone(UTC).date() for at in moments)
    assert [f"{day.year:04d}/{day.month:02d}/{day.day:02d}" for day in days] == [key[:10] for key in keys]


@given(st.text(max_size=80))
def test_no_text_as_asset_id_escapes(asset_id):
    """It is refused, or the key stays below its day."""
    try:
        key = object_key(
            created_at=datetime(2026, 1, 31, tzinfo=UTC), seed=1, asset_id=asset_id, extension="png"
        )
    except InvalidInput:
        return
    assert key == f"2026/01/31/1-20260131T000000000Z-{asset_id}.png"
    assert not set("/\\.\0 ") & set(asset_id)


@given(st.text(max_size=40) | st.from_regex(r"(\.{0,2}[a-z/\\]{0,3}){0,6}", fullmatch=True))
def test_an_accepted_key_never_climbs(key):
    """Resolved below any folder it is still below that folder, and spelled the same."""
    try:
        accepted = checked_key(key)
    except InvalidInput:
        return
    assert accepted == PurePosixPath(accepted).as_posix()
    assert ".." not in PurePosixPath(accepted).parts
    assert not PurePosixPath(accepted).is_absolute()


@given(MOMENTS.map(lambda at: at.replace(tzinfo=None)))
def test_a_naive_time_is_always_refused(at):
    """Whose midnight it is would be a guess."""
    with pytest.raises(InvalidInput, match="time zone"):
        object_key(created_at=at, seed=1, asset_id="a", extension="png")
