"""Small words of tables and lines."""

from __future__ import annotations

import pytest

from pressroom.cli.durations import about
from pressroom.cli.output import CELL, counted, counted_are, shortened


def test_things_are_counted_as_people_count():
    """One is not many, none is."""
    assert [counted(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert [counted_are(count, "job") for count in (1, 2)] == ["1 job is", "2 jobs are"]


def test_a_long_text_is_cut_for_a_table():
    """And one that fits is left alone."""
    assert shortened("x" * (CELL + 1)) == "x" * (CELL - 1) + "…"
    assert shortened("x" * CELL) == "x" * CELL
    assert shortened(None) is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (86_400 * 9, "9d")],
)
def test_an_age_has_one_unit(seconds, shown):
    """The largest whole one."""
    assert about(seconds) == shown
