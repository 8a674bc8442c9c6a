"""The order of turns: fair by weight over every window, whoever comes and goes, and the same as a slow and plain reference."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from pressroom.fleet.flows import REBASE_AT, Flow, Order, Unit, charged, virtual_time

WEIGHTS = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0, 8.0])
"""Powers of two, so that the reference's fractions and our floats are the same numbers."""


class Waiting:
    """Jobs that wait, by flow; plays looks, turns and the rows that remember them."""

    def __init__(self, weights, room=None):
        self.weights = weights  # by unit
        self.room = room or {}
        self.jobs = defaultdict(list)  # by flow
        self.tags = dict.fromkeys(weights, 0.0)
        self.numbers = itertools.count()

    def weight(self, unit):
        return self.weights[unit]

    def submit(self, unit, family="v2/generate", count=1):
        for _ in range(count):
            self.jobs[*unit, family].append(f"job_{next(self.numbers):08}")

    def flows(self):
        keys = set(self.jobs) | {(*unit, "v2/generate") for unit in self.weights}
        return [
            Flow(
                project=project,
                priority=priority,
                family=family,
                start_tag=self.tags[Unit(project, priority)],
                head=next(iter(self.jobs[project, priority, family]), None),
            )
            for project, priority, family in sorted(keys)
        ]

    def go(self, most):
        """One look and its turns: the units and the jobs that went."""
        flows = self.flows()
        order = Order(flows, weight=self.weight, room=self.room)
        units, went = [], []
        while len(went) < most and (flow := order.next()) is not None:
            line = self.jobs[flow.project, flow.priority, flow.family]
            went.append(line.pop(0))
            units.append(flow.unit)
            order.take(then=line[0] if line else None)
        self.tags |= charged(flows, units, weight=self.weight)
        return units, went


def reference(flows, jobs, weight, most, room):
    """The rule as it is written down, one turn at a time, in exact numbers."""
    jobs = {key: list(line) for key, line in jobs.items()}
    tags, room = {}, dict(room)
    for flow in flows:
        tags[flow.unit] = max(tags.get(flow.unit, Fraction(flow.start_tag)), Fraction(flow.start_tag))
    now, went = max(tags.values()), []
    while len(went) < most:
        choices = []
        for (project, priority, family), line in jobs.items():
            unit = Unit(project, priority)
            if line and room.get(project, 1) > 0:
                share = 1 / Fraction(weight(unit))
                start = max(tags[unit] + share, now)
                choices.append(
                    (
                        start,
                        start + share,
                        min(line[0] for key, line in jobs.items() if line and key[:2] == unit),
                        line[0],
                        (project, priority, family),
                    )
                )
        if not choices:
            break
        start, _, _, job, key = min(choices)
        jobs[key].pop(0)
        went.append(job)
        now = tags[Unit(*key[:2])] = start
        if key[0] in room:
            room[key[0]] -= 1
    return went


UNITS = [Unit(project, priority) for project in ("a", "b", "c") for priority in ("batch", "interactive")]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(UNITS), st.sampled_from(["v2/generate", "v3/remix"]), st.integers(1, 12)),
        st.integers(1, 10),
    ),
    max_size=40,
)


@given(weights=st.tuples(*[WEIGHTS] * len(UNITS)), steps=STEPS, cap=st.none() | st.integers(0, 6))
def test_every_look_gives_what_the_plain_rule_gives(weights, steps, cap):
    """Whatever came and went before, with several families and with a project that may have few in flight."""
    waiting = Waiting(dict(zip(UNITS, weights, strict=True)), room={} if cap is None else {"a": cap})
    for step in steps:
        if isinstance(step, int):
            expected = reference(waiting.flows(), waiting.jobs, waiting.weight, step, waiting.room)
            units, went = waiting.go(step)
            assert expected == went
            assert cap is None or sum(unit.project == "a" for unit in units) <= cap
        else:
            unit, family, count = step
            waiting.submit(unit, family, count)


@given(
    weights=st.lists(st.floats(0.1, 10.0), min_size=2, max_size=6),
    looks=st.lists(st.integers(1, 8), min_size=1, max_size=15),
)
def test_shares_are_those_of_the_weights_within_one_job_in_every_window(weights, looks):
    """Between any two that wait all the time, from any turn to any later one, however the turns fall into looks."""
    units = [Unit(str(number), "batch") for number in range(len(weights))]
    waiting = Waiting(dict(zip(units, weights, strict=True)))
    for unit in units:
        waiting.submit(unit, count=sum(looks))
    turns = [unit for most in looks for unit in waiting.go(most)[0]]
    for one, other in itertools.combinations(units, 2):
        share = waiting.weight(one) / (waiting.weight(one) + waiting.weight(other))
        beyond = [0.0]  # jobs beyond the ideal after each turn; a window is the difference of two
        for turn in turns:
            step = {one: 1 - share, other: -share}.get(turn, 0.0)
            beyond.append(beyond[-1] + step)
        assert max(beyond) - min(beyond) <= 1 + 1e-9


@given(
    alone=st.integers(1, 400),
    weights=st.tuples(WEIGHTS, WEIGHTS),
    looks=st.lists(st.integers(1, 8), min_size=1, max_size=10),
)
def test_who_comes_back_has_neither_credit_nor_debt(alone, weights, looks):
    """However many turns the other one had alone: from now on both have their shares, within one job."""
    busy, idle = Unit("busy", "batch"), Unit("idle", "interactive")
    waiting = Waiting(dict(zip((busy, idle), weights, strict=True)))
    waiting.submit(idle)
    waiting.submit(busy, count=alone + sum(looks))
    waiting.go(1 + alone)
    waiting.submit(idle, count=sum(looks))

    turns = [unit for most in looks for unit in waiting.go(most)[0]]
    share = weights[1] / sum(weights)
    got = 0
    for count, unit in enumerate(turns, 1):
        got += unit == idle
        assert abs(got - count * share) <= 1 + 1e-9


@given(weights=st.lists(st.floats(0.001, 4000.0), min_size=2, max_size=8), me=st.integers(0, 7))
def test_nobody_starves(weights, me):
    """A waiting unit has its turn before any other one has had more than its weight's worth of them."""
    assume(max(weights) / min(weights) < 500)
    units = [Unit(str(number), "batch") for number in range(len(weights))]
    mine = units[me % len(units)]
    waiting = Waiting(dict(zip(units, weights, strict=True)))
    bound = sum(waiting.weight(unit) / waiting.weight(mine) + 1 for unit in units)
    for unit in units:
        waiting.submit(unit, count=int(bound) + 2)

    turns, _ = waiting.go(int(bound) + 1)
    assert mine in turns


@given(weights=st.tuples(WEIGHTS, WEIGHTS), looks=st.lists(st.integers(1, 6), max_size=10))
def test_inside_a_unit_the_oldest_goes_first_whatever_its_family(weights, looks):
    """Two kinds of work of one project share its turns by age."""
    mine, other = Unit("a", "batch"), Unit("b", "batch")
    waiting = Waiting(dict(zip((mine, other), weights, strict=True)))
    for number in range(60):
        waiting.submit(mine, ("v2/generate", "v3/remix")[number % 3 == 0])
        waiting.submit(other)
    went = [job for most in looks for job in waiting.go(most)[1]]

    own = [job for job in went if int(job[4:]) % 2 == 0]
    assert sorted(own) == own


@given(
    weights=st.tuples(*[WEIGHTS] * len(UNITS)),
    waits=st.lists(st.sampled_from(UNITS), min_size=1, max_size=20),
)
def test_to_move_all_tags_back_changes_no_turn(weights, waits):
    """So virtual time can begin anew now and then, and its numbers stay small enough to be told apart."""
    waiting = Waiting(dict(zip(UNITS, weights, strict=True)))
    for unit in waits:
        waiting.submit(unit, count=3)
    waiting.tags = {unit: REBASE_AT + 8 * number for number, unit in enumerate(UNITS)}
    late = waiting.flows()
    now = virtual_time(late)
    early = [replace(flow, start_tag=flow.start_tag - now) for flow in late]

    assert virtual_time(early) == 0
    most = len(waits) * 3
    room = {}
    assert reference(late, waiting.jobs, waiting.weight, most, room) == reference(
        early, waiting.jobs, waiting.weight, most, room
    )
    assert Order(early, weight=waiting.weight).next().unit == Order(late, weight=waiting.weight).next().unit


def test_a_weight_acts_from_the_next_turn_on():
    """What was given before under another weight is neither owed nor charged again."""
    one, other = Unit("one", "batch"), Unit("other", "batch")
    waiting = Waiting({one: 0.001, other: 1.0})
    waiting.submit(one, count=40)
    waiting.submit(other, count=40)
    waiting.go(10)
    waiting.weights[one] = 3.0

    turns, _ = waiting.go(20)
    assert 14 <= turns.count(one) <= 16


def test_interactive_goes_before_batch_where_both_begin():
    """Four of them for each batch job, the first of all included."""
    batch, interactive = Unit("a", "batch"), Unit("a", "interactive")
    waiting = Waiting({batch: 1.0, interactive: 4.0})
    waiting.submit(batch, count=10)
    waiting.submit(interactive, count=10)

    turns, _ = waiting.go(10)
    assert [*[interactive] * 4, batch] * 2 == turns
