from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pressroom.errors import InvalidInput
from pressroom.storage import CACHE_CONTROL, object_key

GOOD = {
    "created_at": datetime(2026, 1, 31, 23, 59, 59, 123_456, UTC),
    "seed": 42,
    "asset_id": "a1",
    "extension": "png",
}


def test_a_key_has_day_seed_timestamp_and_asset_id():
    """The format that the catalog, the documents and people rely on."""
    assert object_key(**GOOD) == "2026/01/31/42-20260131T235959123Z-a1.png"


def test_an_image_without_a_seed_says_so():
    """Seed 0 is a real seed, so its absence has a word of its own."""
    assert object_key(**GOOD | {"seed": None}) == "2026/01/31/noseed-20260131T235959123Z-a1.png"
    assert object_key(**GOOD | {"seed": 0}) == "2026/01/31/0-20260131T235959123Z-a1.png"


def test_the_day_is_the_utc_day():
    """Half past midnight in a zone two hours ahead is still the day before."""
    at = datetime(2026, 2, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))

    assert object_key(**GOOD | {"created_at": at}).startswith("2026/01/31/42-20260131T223000000Z")


@pytest.mark.parametrize(
    "bad",
    [
        {"created_at": datetime(2026, 1, 31)},  # noqa: DTZ001 - the naive one is the point
        {"seed": -1},
        {"seed": 2_147_483_648},
        {"asset_id": ""},
        {"asset_id": "../../etc/passwd"},
        {"asset_id": "a/b"},
        {"asset_id": "a.b"},
        {"asset_id": "-rf"},
        {"asset_id": "a" * 65},
        {"asset_id": "a\n"},
        {"extension": ""},
        {"extension": ".png"},
        {"extension": "PNG"},
        {"extension": "p/g"},
        {"extension": "png\n"},
    ],
    ids=repr,
)
def test_parts_that_cannot_stand_in_a_path_are_refused(bad):
    """Each with a message, before anything is written."""
    with pytest.raises(InvalidInput):
        object_key(**GOOD | bad)


def test_the_cache_rule_is_a_year_and_immutable():
    """Spec row G5, word for word."""
    assert CACHE_CONTROL == "public, max-age=31536000, immutable"
