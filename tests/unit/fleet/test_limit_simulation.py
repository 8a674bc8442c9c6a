"""The limit in the long run: a vendor whose places we share with others that come and go.

A simulation in steps of 50 ms by the very functions that dispatch uses. What is found: with one generation lasting a
second or so, it settles at what is left to us, swings between half of that and one above it, at most one refusal in five
requests is lost on finding out, and it is full again within a minute of the others' leaving.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pressroom.fleet.limit import Learned, cut_to, effective
from pressroom.settings import FleetSettings, LimitSettings, Settings

STEP_S = 0.05
BACKOFF_S = 2.0


@dataclass
class Fleet:
    """Our buyers: always more to do than places."""

    settings: Settings
    generation_s: float
    row: Learned | None = None
    ends: list[float] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    sent: int = 0
    refused: int = 0
    cuts: list[float] = field(default_factory=list)

    def limit(self, now_s):
        rows = [] if self.row is None else [self.row]
        return effective(rows, int(now_s * 1000), self.settings)

    def step(self, now_s, room):
        """Fill our places; the vendor takes `room` in all."""
        self.ends = [end for end in self.ends if end > now_s]
        limit = self.limit(now_s)
        self.limits.append(limit)
        wanted = limit - len(self.ends)
        refused = 0
        for _ in range(wanted):
            self.sent += 1
            if len(self.ends) < room:
                self.ends.append(now_s + self.generation_s)
            else:
                refused += 1
        self.refused += refused
        if refused and (self.row is None or self.row.learned_at < now_s * 1000):
            to = cut_to(len(self.ends), self.settings.limit)
            # The answers arrive a moment later than the requests left.
            self.row = Learned(
                queue="any",
                learned=to,
                learned_at=int(now_s * 1000) + 1,
                stated=None,
                refusals=1,
                refused_since=None,
            )
            self.cuts.append(now_s)


def play(others, *, seconds, account_limit=10, concurrency=8, generation_s=1.0, vendor_limit=10):
    """`others` says how many places other users of the key hold at a second."""
    fleet = FleetSettings(concurrency=concurrency, account_limit=account_limit)
    played = Fleet(Settings.load(fleet=fleet, limit=LimitSettings()), generation_s)
    for number in range(int(seconds / STEP_S)):
        now_s = 1_000_000 + number * STEP_S
        played.step(now_s, max(0, vendor_limit - others(number * STEP_S)))
    return played


@pytest.mark.parametrize(("taken", "left"), [(0, 8), (2, 8), (4, 6), (6, 4), (8, 2), (9, 1)])
def test_it_settles_at_what_others_leave_us(taken, left):
    """Between half of it and one more; never at nothing."""
    played = play(lambda _: taken, seconds=600)
    settled = played.limits[len(played.limits) // 2 :]

    assert max(settled) <= left + (taken > 2)
    assert min(settled) >= max(1, left // 2)
    if taken <= 2:
        assert played.refused == 0
    assert played.refused / played.sent <= 0.2


@given(
    taken=st.integers(0, 9),
    generation_s=st.floats(0.3, 1.5),
    concurrency=st.integers(1, 10),
    vendor_limit=st.integers(1, 10),
)
def test_refusals_stay_few_while_anything_is_left(taken, generation_s, concurrency, vendor_limit):
    """At most one request in five, and whole seconds between two cuts: the limit has to grow before it is refused again."""
    left = vendor_limit - taken
    assume(left >= 1)
    played = play(
        lambda _: taken,
        seconds=300,
        generation_s=generation_s,
        concurrency=concurrency,
        vendor_limit=vendor_limit,
    )

    assert played.refused <= 0.2 * played.sent + 10
    gaps = [later - earlier for earlier, later in zip(played.cuts, played.cuts[1:], strict=False)]
    assert all(gap >= 3 for gap in gaps[1:])


@given(
    times=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 10)), min_size=1, max_size=8),
    generation_s=st.floats(0.3, 12.0),
)
def test_whatever_others_do_it_is_never_nothing_and_never_too_much(times, generation_s):
    """From one to the ceiling, and full within a minute after they have gone."""
    ends, at = [], 0
    for lasts, taken in times:
        at += lasts
        ends.append((at, taken))

    def others(second):
        return next((taken for end, taken in ends if second < end), 0)

    played = play(others, seconds=at + 60, generation_s=generation_s)
    assert min(played.limits) >= 1
    assert max(played.limits) <= 8
    assert played.limits[-1] == 8


def test_full_again_within_a_minute_of_a_burst():
    """Even when others had taken everything for ten seconds."""
    played = play(lambda second: 10 if 60 <= second < 70 else 0, seconds=140)
    at = {second: played.limits[int(second / STEP_S)] for second in (59, 69, 112, 130)}

    assert at[59] == 8
    assert at[69] <= 2
    assert at[112] == 8
    assert at[130] == 8


def test_two_fleets_that_share_a_key_come_to_share_its_places():
    """Each finds out by itself, from refusals alone; neither is squeezed out."""
    chance = random.Random(7)
    fleet = FleetSettings(concurrency=8, account_limit=10)
    pair = [Fleet(Settings.load(fleet=fleet, limit=LimitSettings()), 1.0) for _ in range(2)]
    used = [[], []]
    for number in range(int(1200 / STEP_S)):
        now_s = 1_000_000 + number * STEP_S
        for mine in chance.sample((0, 1), 2):
            one, other = pair[mine], pair[1 - mine]
            one.generation_s = chance.uniform(0.5, 1.5)
            one.step(now_s, 10 - len([end for end in other.ends if end > now_s]))
            used[mine].append(len(one.ends))
    shares = [sum(counts) / len(counts) for counts in used]

    assert min(shares) >= 2.5
    assert sum(shares) >= 6.5
