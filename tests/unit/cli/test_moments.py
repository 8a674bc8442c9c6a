"""Moments and lengths of time on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import typer

from pressroom.cli.moments import moment_of


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-12-01T09:00Z", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        (" 2026-12-01T09:00:30+01:00", datetime(2026, 12, 1, 9, 0, 30, tzinfo=timezone(timedelta(hours=1)))),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("90", timedelta(seconds=90)),
    ],
)
def test_a_moment_has_a_zone_or_is_a_while_from_now(text, meant):
    """Both in the ways people write them."""
    assert meant == moment_of(text, "--buy-before")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-12-01T09:00", "2026-12-01T09:00:00Z"),
        ("2026-12-01", "no time zone"),
        ("tomorrow", "30m"),
        ("-5m", "30m"),
        ("", "30m"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text, says):
    """A moment without a zone would mean another one on another machine."""
    with pytest.raises(typer.BadParameter, match=says):
        moment_of(text, "--buy-before")
