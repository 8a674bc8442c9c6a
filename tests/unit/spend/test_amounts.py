"""Amounts of money: read exactly, shown without needless digits."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressroom.errors import InvalidRequest
from pressroom.spend.money import MOST_MICROS, dollars, micros_of, usd


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        ("25", 25_000_000),
        ("0", 0),
        ("0.000001", 1),
        (3, 3_000_000),
        (Decimal("0.1"), 100_000),
        ("1e3", 10**9),
    ],
)
def test_an_amount_is_read_to_its_last_millionth(amount, micros):
    """Without a float on the way."""
    assert micros == micros_of("amount", amount)


@pytest.mark.parametrize(
    "amount", ["", "x", "-1", "0.0000001", "1000000000.000001", "nan", "inf", "1e400", "$5", "5 USD", "1,5"]
)
def test_what_is_no_amount_is_refused(amount):
    """With what would be one."""
    with pytest.raises(InvalidRequest, match="at most 6 decimals"):
        micros_of("amount", amount)


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "$0"),
        (1, "$0.000001"),
        (120_000, "$0.12"),
        (100_000, "$0.10"),
        (25_000_000, "$25"),
        (-3_500_000, "-$3.50"),
        (52_900, "$0.0529"),
    ],
)
def test_money_is_shown_as_people_write_it(micros, shown):
    """Cents where there are any, more digits where they matter."""
    assert shown == dollars(micros)


@given(st.integers(0, MOST_MICROS))
def test_what_is_shown_is_read_as_the_same(micros):
    """Nothing is rounded."""
    assert micros == micros_of("amount", dollars(micros).removeprefix("$"))


def test_programs_get_numbers():
    """None stays None."""
    assert (usd(60_001), usd(None)) == (0.060001, None)
