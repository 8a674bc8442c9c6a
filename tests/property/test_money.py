"""Budgets as a state machine: whatever is bought, settled and capped in whatever order, the books agree with a reference."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from itertools import count

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.buying import buy, wanted

from pressroom.database import Database, DatabaseAddress
from pressroom.settings import Settings
from pressroom.spend import attempts
from pressroom.spend.attempts import AttemptState
from pressroom.spend.budgets import OverBudget
from pressroom.spend.caps import all_budgets
from pressroom.spend.ledger import check_counters
from pressroom.spend.scopes import BudgetName, Scope
from pressroom.spend.setting import set_budget
from pressroom.spend.tables import attempts as attempt_rows
from pressroom.spend.tables import counters

BUDGETS = ["day", "project:shop", "project:blog", "campaign:spring", "key:aaaa", "total", "backfill"]
AMOUNTS = st.integers(0, 12)
JOBS = st.lists(
    st.builds(
        wanted,
        st.integers(1, 6),
        project=st.sampled_from(["shop", "blog"]),
        campaign=st.sampled_from([None, "spring"]),
        key_fingerprint=st.sampled_from(["aaaa", "bbbb"]),
        backfill=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)
ENDS = {
    "bought": (AttemptState.SENDING, AttemptState.BOUGHT),
    "unsold": (AttemptState.UNSOLD,),
    "written off": (AttemptState.SENDING, AttemptState.UNCERTAIN, AttemptState.WRITTEN_OFF),
}

_upstreams = count()


class Bought:
    """What the reference knows of one attempt."""

    def __init__(self, one, day):
        self.one, self.day = one, day
        self.micros, self.open = one.micros, True

    def is_of(self, words, today):
        name = BudgetName.parse("", words)
        return {
            Scope.DAY: self.day == today,
            Scope.PROJECT: self.one.project == name.subject,
            Scope.CAMPAIGN: self.one.campaign == name.subject,
            Scope.KEY: self.one.key_fingerprint == name.subject,
            Scope.TOTAL: True,
            Scope.BACKFILL: self.one.backfill,
        }[name.scope]


class Money(RuleBasedStateMachine):
    """Every example is an upstream of its own, so that all share one database."""

    address: Settings

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.database = Database(DatabaseAddress.parse(self.address), self.address.database)
        self.upstream = f"upstream-{next(_upstreams)}"
        self.caps = {}
        self.known = {}
        self.backfilled = {}
        self.today = 0

    def teardown(self):
        self.loop.run_until_complete(self.database.close())
        self.loop.close()

    def write(self, work):
        async def transaction():
            async with self.database.write() as connection:
                return await work(connection)

        return self.loop.run_until_complete(transaction())

    def used(self, words):
        """By the reference: all attempts of the scope, but what replaced placeholders counts only from when it is capped."""
        mine = self.known.values()
        if words == "backfill":
            mine = [one for attempt_id, one in self.known.items() if attempt_id in self.backfilled]
        return [one for one in mine if one.is_of(words, self.today)]

    def left(self, words):
        return self.caps[words] - sum(one.micros for one in self.used(words))

    @rule(words=st.sampled_from(BUDGETS), micros=st.none() | AMOUNTS)
    def a_person_sets_a_budget(self, words, micros):
        name = BudgetName.parse(self.upstream, words)
        self.write(lambda connection: set_budget(connection, name, micros, who="a test"))
        self.caps[words] = micros

    @rule(asked=JOBS)
    def a_batch_is_bought(self, asked):
        asked = [replace(one, upstream=self.upstream) for one in asked]
        answers = self.write(lambda connection: buy(connection, asked, expected=1))
        for one, answer in zip(asked, answers, strict=True):
            candidate = Bought(one, self.today)
            refusing = [
                words
                for words in sorted(BUDGETS, key=lambda words: list(Scope).index(words.partition(":")[0]))
                if self.caps.get(words) is not None
                and candidate.is_of(words, self.today)
                and self.left(words) < one.micros
            ]
            if refusing:
                assert isinstance(answer, OverBudget)
                assert BudgetName.parse(self.upstream, refusing[0]).id == answer.budget_id
                assert one.micros == answer.needs_micros
                continue
            self.known[answer] = candidate
            if one.backfill and self.caps.get("backfill") is not None:
                self.backfilled[answer] = True

    @precondition(lambda self: any(one.open for one in self.known.values()))
    @rule(data=st.data(), end=st.sampled_from(sorted(ENDS)), cost=st.none() | st.integers(0, 9))
    def one_is_settled(self, data, end, cost):
        attempt_id = data.draw(st.sampled_from([key for key, one in self.known.items() if one.open]))
        facts = {"cost_micros": cost} if end == "bought" and cost is not None else {}

        async def settle(connection):
            for state in ENDS[end]:
                last = state is ENDS[end][-1]
                assert await attempts.transition(connection, attempt_id, state, **(facts if last else {}))

        self.write(settle)
        one = self.known[attempt_id]
        one.open = False
        one.micros = 0 if end == "unsold" else facts.get("cost_micros", 1)

    @precondition(lambda self: any(not one.open for one in self.known.values()))
    @rule(data=st.data(), to=st.sampled_from([AttemptState.BOUGHT, AttemptState.UNSOLD]))
    def a_settlement_is_repeated(self, data, to):
        attempt_id = data.draw(st.sampled_from([key for key, one in self.known.items() if not one.open]))

        assert not self.write(lambda connection: attempts.transition(connection, attempt_id, to))

    @rule()
    def a_day_passes(self):
        """The clock is the database's, so the rows move into the past instead."""
        past = f"1970-01-{self.today + 1:02}"
        self.today += 1

        async def move(connection):
            mine = sa.select(counters).where(counters.c.id.startswith(f"{self.upstream}|day|@2"))
            moved = {}
            for row in (await connection.execute(mine)).all():
                moved[row.id] = f"{row.budget_id}@{past}"
                await connection.execute(
                    sa.update(counters).where(counters.c.id == row.id).values(id=moved[row.id], period=past)
                )
            ours = sa.select(attempt_rows).where(attempt_rows.c.upstream == self.upstream)
            for row in (await connection.execute(ours)).all():
                await connection.execute(
                    sa.update(attempt_rows)
                    .where(attempt_rows.c.id == row.id)
                    .values(created_at=0, counters=[moved.get(one, one) for one in row.counters])
                )

        self.write(move)

    @invariant()
    def the_books_agree(self):
        assert self.write(lambda connection: check_counters(connection, self.upstream)) == []

    @invariant()
    def what_is_used_is_what_the_reference_says(self):
        known = self.write(lambda connection: all_budgets(connection, self.upstream))
        assert {one.name.words: one.cap_micros for one in known} == self.caps
        for one in known:
            if one.cap_micros is not None:
                sums = defaultdict(int)
                for bought in self.used(one.name.words):
                    sums[bought.open] += bought.micros
                assert (sums[False], sums[True]) == (one.settled_micros, one.reserved_micros)
                assert self.left(one.name.words) == one.left_micros


def run(values, examples):
    Money.address = Settings.load(**values)
    run_state_machine_as_test(
        Money, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
    )


def test_whatever_happens_the_books_agree_on_sqlite(sqlite_template, tmp_path):
    """A reference in a few lines of Python predicts every answer and every figure."""
    (tmp_path / "pressroom.sqlite").write_bytes(sqlite_template.read_bytes())
    run({"home": tmp_path}, examples=30)


def test_whatever_happens_the_books_agree_on_postgres(upgraded_postgres, tmp_path):
    """As on SQLite."""
    run({"home": tmp_path, "database_url": upgraded_postgres}, examples=10)
