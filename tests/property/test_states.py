"""Jobs and attempts as state machines over real rows: whatever the order of events, the promises about money hold."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.rows import OPERATION, PRICE, add_job

from pressroom.app import upgrade
from pressroom.database import Database, DatabaseAddress
from pressroom.errors import Conflict
from pressroom.fleet.slots import free_slots
from pressroom.generation import jobs
from pressroom.generation.decisions import Decisions
from pressroom.generation.jobs import ENDED, JobState
from pressroom.generation.outcomes import RULES
from pressroom.settings import Settings
from pressroom.spend import attempts
from pressroom.spend.attempts import CLOSED, SETTLED, AttemptState
from pressroom.spend.tables import attempts as attempt_rows

LIMIT = 2
OUTCOMES = [outcome for _, outcome in RULES]
EXAMPLES = settings(max_examples=25, stateful_step_count=30, deadline=None)


@pytest.fixture(scope="module", autouse=True)
def _file(tmp_path_factory):
    """One upgraded file for all examples; each works on a copy of its own."""
    home = tmp_path_factory.mktemp("states")
    asyncio.run(upgrade(Settings.load(home=home)))
    Rows.template = home / "pressroom.sqlite"


class Rows(RuleBasedStateMachine):
    """An event loop and a database of this example's own."""

    template: Path

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="pressroom-states-"))
        shutil.copy(self.template, self.folder / "pressroom.sqlite")
        loaded = Settings.load(home=self.folder)
        self.database = Database(DatabaseAddress.parse(loaded), loaded.database)
        self.decisions = Decisions(self.database)

    def teardown(self):
        self.loop.run_until_complete(self.database.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    def write(self, work):
        async def transaction():
            async with self.database.write() as connection:
                return await work(connection)

        return self.loop.run_until_complete(transaction())

    def decide(self, method, *arguments):
        """A person's decision; what it was when it was not possible."""
        try:
            self.loop.run_until_complete(getattr(self.decisions, method)(*arguments))
        except Conflict:
            return False
        return True


class OneJob(Rows):
    """One job among events that come in any order: dispatches, runs, late answers, and a person who decides."""

    def __init__(self):
        super().__init__()
        self.posts = 0
        self.history = []

    @initialize()
    def admitted(self):
        self.job_id = self.write(add_job)
        self.look()

    def look(self):
        async def read(connection):
            job = await jobs.get_one_or_none(connection, self.job_id)
            return job, (await attempts.of_jobs(connection, [self.job_id]))[self.job_id]

        before = dict(self.history[-1][1]) if self.history else {}
        self.job, self.attempts = self.write(read)
        self.history.append((self.job.state, {one.id: one.state for one in self.attempts}))
        self.settled_before = {key for key, state in before.items() if state in SETTLED}
        self.before = before

    @property
    def attempt(self):
        return next((one for one in self.attempts if one.open), None)

    @precondition(lambda self: self.job.state is JobState.QUEUED)
    @rule()
    def dispatched(self):
        async def work(connection):
            if not await jobs.transition(connection, self.job_id, JobState.RUNNING):
                return
            if not self.job.continuing:
                [slot, *_] = await free_slots(connection, "emulator", LIMIT)
                await attempts.reserve(
                    connection,
                    job_id=self.job_id,
                    upstream="emulator",
                    operation=OPERATION,
                    slot=slot,
                    price=PRICE,
                )

        self.write(work)
        self.look()

    @precondition(lambda self: self.job.state is JobState.RUNNING and self.attempt is not None)
    @rule()
    def sends(self):
        async def work(connection):
            return await attempts.transition(
                connection, self.attempt.id, AttemptState.SENDING, owner="worker/1"
            )

        self.posts += self.write(work)
        self.look()

    @precondition(lambda self: self.attempts)
    @rule(to=st.sampled_from([AttemptState.ACCEPTED, AttemptState.BOUGHT]), which=st.integers(0, 20))
    def a_fact_comes_however_late(self, to, which):
        """About any attempt, at any time, as a run that was overtaken would write it."""
        attempt = self.attempts[which % len(self.attempts)]
        if attempt.state is AttemptState.RESERVED:
            return

        async def work(connection):
            written = await attempts.transition(connection, attempt.id, to, generation_id=f"gen-{attempt.id}")
            if not written:
                await attempts.note(connection, attempt.id, generation_id=f"gen-{attempt.id}")
            await jobs.transition(
                connection,
                self.job_id,
                JobState.QUEUED,
                only_from=frozenset({JobState.UNCERTAIN}) if written else frozenset(),
                continuing=True,
            )

        self.write(work)
        self.look()

    @precondition(lambda self: self.job.state is JobState.RUNNING and self.attempt is not None)
    @rule(outcome=st.sampled_from(OUTCOMES))
    def the_answer_is_an_error(self, outcome):
        if self.attempt.state not in {AttemptState.SENDING, AttemptState.ACCEPTED}:
            return

        async def work(connection):
            if await attempts.transition(connection, self.attempt.id, outcome.attempt):
                await jobs.transition(
                    connection, self.job_id, outcome.job, reason=outcome.reason, continuing=False
                )

        self.write(work)
        self.look()

    @precondition(lambda self: self.job.state is JobState.RUNNING and self.attempt is not None)
    @rule(to=st.sampled_from([JobState.COMPLETED, JobState.FAILED, JobState.FILTERED]))
    def comes_home(self, to):
        if self.attempt.state is AttemptState.BOUGHT:
            self.write(
                lambda connection: jobs.transition(
                    connection, self.job_id, to, reason="missing", continuing=False
                )
            )
            self.look()

    @precondition(lambda self: self.job.state is JobState.RUNNING)
    @rule()
    def its_run_vanishes(self):
        """Nobody owes it a run any more: it has another turn, with what it has."""
        self.write(
            lambda connection: jobs.transition(
                connection, self.job_id, JobState.QUEUED, continuing=self.attempt is not None
            )
        )
        self.look()

    @rule(method=st.sampled_from(["cancel", "retry", "buy_again", "give_up"]))
    def a_person_decides(self, method):
        before = (self.job, self.attempts)
        done = self.decide(method, self.job_id)
        self.look()
        if not done:
            assert before == (self.job, self.attempts)

    @rule()
    def a_person_adopts(self):
        self.decide("adopt", self.job_id, "gen-adopted")
        self.look()

    @invariant()
    def at_most_one_attempt_is_open(self):
        assert sum(one.open for one in self.attempts) <= 1

    @invariant()
    def every_post_is_told_by_an_attempt_of_its_own(self):
        """Nothing is sent twice under one reservation, and nothing is sent without one."""
        assert self.posts == sum(one.sending_at is not None for one in self.attempts)

    @invariant()
    def what_is_settled_stays_settled(self):
        now = self.history[-1][1]
        assert all(now[key] is self.before[key] for key in self.settled_before)

    @invariant()
    def money_is_stated_exactly_when_it_is_settled(self):
        for one in self.attempts:
            assert (one.state in SETTLED) is (one.cost_micros is not None)
            assert (one.state in SETTLED) is (one.ended_at is not None)
            assert not one.cost_micros if one.state is AttemptState.UNSOLD else one.cost_micros != 0

    @invariant()
    def only_what_may_be_with_the_vendor_has_a_place(self):
        for one in self.attempts:
            assert one.slot is None or one.state not in SETTLED
        assert len({one.slot for one in self.attempts if one.slot is not None}) <= LIMIT

    @invariant()
    def a_continuing_job_has_something_to_continue(self):
        """And one that would buy anew has nothing open: else dispatch would stumble over it for ever."""
        if self.job.state is JobState.QUEUED:
            assert self.job.continuing is (self.attempt is not None)

    @invariant()
    def an_uncertain_attempt_is_a_question_that_somebody_can_answer(self):
        """It is never left lying under a job that has ended."""
        if self.attempt is not None and self.attempt.state is AttemptState.UNCERTAIN:
            assert self.job.state not in ENDED

    @invariant()
    def a_cancelled_job_has_bought_nothing(self):
        if self.job.state is JobState.CANCELLED:
            assert all(one.state in CLOSED for one in self.attempts)

    @invariant()
    def an_end_has_its_time(self):
        assert (self.job.state in ENDED) is (self.job.ended_at is not None)


class ManyJobs(Rows):
    """Jobs that share places: the limit holds and no place is lost, whatever becomes of their attempts."""

    def __init__(self):
        super().__init__()
        self.open = []

    @rule()
    def takes_a_place(self):
        async def work(connection):
            free = await free_slots(connection, "emulator", LIMIT)
            if not free:
                return None
            return await attempts.reserve(
                connection,
                job_id=await add_job(connection),
                upstream="emulator",
                operation=OPERATION,
                slot=free[0],
                price=PRICE,
            )

        taken = self.write(work)
        assert (taken is None) is (len(self.in_flight()) == LIMIT and taken is None)
        if taken is not None:
            self.open.append(taken)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 20), to=st.sampled_from([one for one in AttemptState if one != "reserved"]))
    def moves(self, which, to):
        attempt_id = self.open[which % len(self.open)]
        self.write(lambda connection: attempts.transition(connection, attempt_id, to))
        if self.state(attempt_id) in SETTLED:
            self.open.remove(attempt_id)

    def state(self, attempt_id):
        async def work(connection):
            query = sa.select(attempt_rows.c.state).where(attempt_rows.c.id == attempt_id)
            return (await connection.execute(query)).scalar_one()

        return self.write(work)

    def in_flight(self):
        async def work(connection):
            found = await connection.execute(
                sa.select(attempt_rows.c.id).where(attempt_rows.c.slot.is_not(None))
            )
            return set(found.scalars())

        return self.write(work)

    @invariant()
    def places_belong_to_what_is_open(self):
        assert set(self.open) == self.in_flight()
        assert len(self.open) <= LIMIT


TestOneJob = OneJob.TestCase
TestOneJob.settings = EXAMPLES
TestManyJobs = ManyJobs.TestCase
TestManyJobs.settings = EXAMPLES
