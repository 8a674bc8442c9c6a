"""An asset's record as people and programs read it."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from tests.support.rows import asset

from pressroom.catalog.assets import Asset
from pressroom.catalog.tables import assets


def test_the_record_and_its_table_have_the_same_fields():
    """What is not in the table is lost; what is not in the record cannot be read."""
    assert {column.name for column in assets.columns} == {field.name for field in fields(Asset)}


def test_the_json_holds_every_field_with_times_as_text_and_money_in_dollars():
    """One value of JSON."""
    made = asset(created_at=1_763_596_800_123, cost_micros=60_001)
    shown = json.loads(json.dumps(made.to_json()))

    assert {field.name for field in fields(Asset)} - {"cost_micros"} | {"cost_usd"} == shown.keys()
    assert (shown["created_at"], shown["cost_usd"]) == ("2025-11-20T00:00:00.123000Z", 0.060001)
    assert made.prompt == shown["prompt"]


def test_the_json_is_a_copy():
    """Whoever changes it does not change the record's own fields."""
    made = asset()
    made.to_json().pop("id")

    assert made.id


def test_a_record_does_not_change():
    """It says what was stored."""
    with pytest.raises(AttributeError):
        asset().seed = 5
