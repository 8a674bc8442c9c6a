"""Jobs and attempts as state machines over real rows: whatever the order of events, the promises about money hold."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.rows import OPERATION, PRICE, add_job, asset

from pressroom.app import upgrade
from pressroom.catalog import assets as catalog
from pressroom.database import Database, DatabaseAddress
from pressroom.errors import Conflict, OutcomeUnknown
from pressroom.fleet.slots import free_slots
from pressroom.generation import jobs
from pressroom.generation.decisions import Decisions
from pressroom.generation.jobs import ENDED, HeldFor, JobState
from pressroom.generation.run import records, settling
from pressroom.generation.run.context import Run
from pressroom.generation.run.outcomes import LOST, RULES, failed_generation, outcome_of
from pressroom.ideogram import Generation, Status
from pressroom.settings import GenerationSettings, Settings
from pressroom.spend import attempts, reservations
from pressroom.spend.attempts import CLOSED, SETTLED, AttemptState
from pressroom.spend.tables import attempts as attempt_rows

LIMIT = 2
KEY = "abcdef012345"
WHICH = st.integers(0, 20)
HOME = (JobState.COMPLETED, JobState.FILTERED, JobState.FAILED)
EXAMPLES = settings(max_examples=40, stateful_step_count=40, deadline=None)


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


@dataclass
class Vendor:
    """The truth about one attempt: how often it was posted, and what became of it there."""

    posts: int = 0
    accepted: bool = False
    failed: bool = False

    @property
    def costs(self):
        return self.accepted and not self.failed


@dataclass(eq=False)
class Acting:
    """A run that has not ended, with the answer to its post while that is on its way."""

    run: Run
    answer: object = None
    taken_for_dead: bool = False


ANSWERS = ["accepted", "lost", *(kind for kind, _ in RULES if kind is not OutcomeUnknown)]


class OneJob(Rows):
    """One job, any number of runs of it that overlap, a vendor that keeps the truth, and a person who decides."""

    def __init__(self):
        super().__init__()
        self.acting: list[Acting] = []
        self.vendor: dict[str, Vendor] = {}
        self.settled: dict[str, AttemptState] = {}
        self.tokens = 0
        self.parts = SimpleNamespace(
            database=self.database,
            settings=GenerationSettings(),
            all_settings=Settings.load(home=self.folder),
            spool_id="spool_1",
        )

    @initialize()
    def admitted(self):
        self.job_id = self.write(add_job)
        self.look()

    def look(self):
        async def read(connection):
            job = await jobs.get_one_or_none(connection, self.job_id)
            return job, (await attempts.of_jobs(connection, [self.job_id]))[self.job_id]

        self.job, self.attempts = self.write(read)

    def do(self, work):
        done = self.loop.run_until_complete(work)
        self.look()
        return done

    @property
    def attempt(self):
        return next((one for one in self.attempts if one.open), None)

    @precondition(lambda self: self.job.state is JobState.QUEUED)
    @rule()
    def is_dispatched(self):
        async def work(connection):
            assert await jobs.transition(connection, self.job_id, JobState.RUNNING)
            if self.job.continuing:
                return
            [slot, *_] = await free_slots(connection, "emulator", LIMIT)
            attempt_id = await reservations.reserve(
                connection,
                job_id=self.job_id,
                upstream="emulator",
                operation=OPERATION,
                project="default",
                campaign=None,
                model="ideogram-4-5",
                slot=slot,
                price=PRICE,
            )
            self.vendor[attempt_id] = Vendor()

        self.write(work)
        self.look()

    @precondition(lambda self: self.attempt is not None and self.job.state is JobState.RUNNING)
    @rule()
    def a_run_begins(self):
        """The first, or one that the engine has handed on although another may still be at it."""
        attempt, self.tokens = self.attempt, self.tokens + 1
        run = Run(parts=self.parts, job=self.job, attempt=attempt, token=f"worker/{self.tokens}")
        if attempt.state is AttemptState.SENDING and any(
            other.run.token == attempt.owner and not other.taken_for_dead for other in self.acting
        ):
            return
        if attempt.state is not AttemptState.RESERVED and not self.do(records.take_over(run)):
            return
        if attempt.state is AttemptState.SENDING:
            self.do(settling.record_uncertain(run, reason=LOST.reason, message="x", free_slot=False))
            return
        self.acting.append(Acting(run))

    def one(self, which):
        return self.acting[which % len(self.acting)]

    @precondition(lambda self: self.acting)
    @rule(which=WHICH)
    def a_run_is_taken_for_dead(self, which):
        """As when it is stopped for a while; it goes on later, with what it knew."""
        self.one(which).taken_for_dead = True

    @precondition(lambda self: self.acting)
    @rule(which=WHICH)
    def a_run_dies(self, which):
        self.acting.remove(self.one(which))

    @precondition(lambda self: self.acting)
    @rule(which=WHICH, answer=st.sampled_from(ANSWERS), accepts=st.booleans())
    def a_run_posts(self, which, answer, accepts):
        one = self.one(which)
        if one.run.attempt.state is not AttemptState.RESERVED or one.taken_for_dead:  # its lease is stale
            return
        if not self.do(records.begin_sending(one.run, KEY)):
            self.acting.remove(one)
            return
        truth = self.vendor[one.run.attempt.id]
        truth.posts += 1
        truth.accepted = answer == "accepted" or (answer == "lost" and accepts)
        one.answer = answer

    @precondition(lambda self: self.acting)
    @rule(which=WHICH, at_once=st.booleans())
    def an_answer_arrives(self, which, at_once):
        one = self.one(which)
        if one.answer is None:
            return
        answer, one.answer = one.answer, None
        if answer == "accepted":
            name = f"gen-{one.run.attempt.id}"
            if at_once:
                goes_on = self.do(records.record_bought(one.run, [], cost_micros=None, generation_id=name))
            else:
                goes_on = self.do(records.record_accepted(one.run, name))
            if goes_on:
                return
        else:
            error = OutcomeUnknown("lost") if answer == "lost" else answer("refused")
            self.do(settling.record_outcome(one.run, outcome_of(error), error=error))
        self.acting.remove(one)

    @precondition(lambda self: self.acting)
    @rule(which=WHICH, end=st.sampled_from(["bought", "failed", "pending", "key", "unknown"]))
    def a_run_polls(self, which, end):
        one = self.one(which)
        run = one.run
        if run.attempt.state not in {AttemptState.ACCEPTED, AttemptState.UNCERTAIN}:
            return
        assert run.attempt.generation_id, "it polls for nothing"
        truth = self.vendor[run.attempt.id]
        if end == "bought" and not truth.failed:
            if self.do(records.record_bought(run, [], cost_micros=7, generation_id=None)):
                return
        elif end == "failed" and run.attempt.state is AttemptState.ACCEPTED and self.ended(run) is None:
            truth.failed = True
            generation = Generation("gen", Status.FAILED, failure_reason=None)
            outcome = failed_generation(generation, failures=run.job.failures + 1, attempts=3)
            self.do(settling.record_outcome(run, outcome, message="failed", failures=1))
        elif end == "pending" and run.attempt.state is AttemptState.ACCEPTED:
            if self.do(settling.record_uncertain(run, reason="pending", message="x", free_slot=True)):
                return
        elif end == "key":
            self.do(settling.leave(run, to=JobState.HELD, reason=HeldFor.KEY, message="no key"))
        elif end == "unknown":
            self.do(settling.record_uncertain(run, reason="unknown id", message="x", free_slot=True))
        else:
            return
        self.acting.remove(one)

    def ended(self, run):
        """The state that the attempt is settled in, None while it is open: the vendor never fails what it delivered."""
        state = next(one.state for one in self.attempts if one.id == run.attempt.id)
        return state if state in SETTLED else None

    @precondition(lambda self: self.acting)
    @rule(which=WHICH, way=st.sampled_from([*HOME, "later"]))
    def a_run_comes_home(self, which, way):
        one = self.one(which)
        if one.run.attempt.state is not AttemptState.BOUGHT:
            return
        self.acting.remove(one)
        if way == "later":
            self.do(settling.leave(one.run, to=JobState.QUEUED, reason="storage", message="later"))
            return
        found = (
            [asset(job_id=self.job_id, attempt_id=one.run.attempt.id)] if way is JobState.COMPLETED else []
        )
        missing = [{"reason": "gone"}] if way is JobState.FAILED else []
        self.do(
            records.record_home(one.run, found, state=way, filtered_count=0, missing=missing, message=None)
        )

    @precondition(lambda self: self.acting)
    @rule(which=WHICH)
    def a_run_leaves_before_it_sends(self, which):
        one = self.one(which)
        if one.run.attempt.state is AttemptState.RESERVED:
            self.acting.remove(one)
            self.do(settling.take_back(one.run, reason="storage", message="no room"))

    @precondition(lambda self: self.job.state is JobState.RUNNING and not self.acting)
    @rule()
    def nobody_owes_it_a_run(self):
        """It has another turn, with what it has."""
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

    @precondition(lambda self: self.attempt is not None and self.vendor[self.attempt.id].accepted)
    @rule()
    def a_person_adopts(self):
        self.decide("adopt", self.job_id, f"gen-{self.attempt.id}")
        self.look()

    @invariant()
    def at_most_one_attempt_is_open(self):
        assert sum(one.open for one in self.attempts) <= 1

    @invariant()
    def nothing_is_posted_twice(self):
        """And nothing is posted that its row does not tell of."""
        for one in self.attempts:
            assert self.vendor[one.id].posts == (one.sending_at is not None)

    @invariant()
    def nothing_is_bought_twice(self):
        """But by a person's word: a second purchase needs the first one written off."""
        bought = [one for one in self.attempts if self.vendor[one.id].costs]
        assert sum(one.state is not AttemptState.WRITTEN_OFF for one in bought) <= 1

    @invariant()
    def what_was_bought_is_never_called_unsold(self):
        for one in self.attempts:
            assert not (one.state is AttemptState.UNSOLD and self.vendor[one.id].costs)

    @invariant()
    def what_is_settled_stays_settled(self):
        for one in self.attempts:
            if one.state in SETTLED:
                assert self.settled.setdefault(one.id, one.state) is one.state
            assert one.state in SETTLED or one.id not in self.settled

    @invariant()
    def money_is_stated_exactly_when_it_is_settled(self):
        for one in self.attempts:
            assert (one.state in SETTLED) is (one.cost_micros is not None)
            assert (one.state in SETTLED) is (one.ended_at is not None)
            assert (one.state is AttemptState.UNSOLD) is (one.cost_micros == 0)

    @invariant()
    def only_what_may_be_with_the_vendor_has_a_place(self):
        for one in self.attempts:
            assert one.slot is None or one.state not in SETTLED

    @invariant()
    def a_waiting_job_continues_exactly_what_it_has(self):
        """One that would buy anew has nothing open, else dispatch would stumble over it for ever."""
        if self.job.state is JobState.QUEUED:
            assert self.job.continuing is (self.attempt is not None)

    @invariant()
    def an_uncertain_attempt_is_a_question_that_somebody_can_answer(self):
        """It is never left lying under a job that has ended, nor run without an id to ask for."""
        if self.attempt is not None and self.attempt.state is AttemptState.UNCERTAIN:
            assert self.job.state not in ENDED
            if self.job.state in {JobState.QUEUED, JobState.RUNNING}:
                assert self.attempt.generation_id is not None

    @invariant()
    def a_cancelled_job_has_bought_nothing(self):
        if self.job.state is JobState.CANCELLED:
            assert all(one.state in CLOSED for one in self.attempts)

    @invariant()
    def a_picture_is_in_the_catalog_once(self):
        async def count(connection):
            return (await catalog.of_jobs(connection, [self.job_id]))[self.job_id]

        found = self.write(count)
        assert len({one.attempt_id for one in found}) == len(found)
        if self.job.state is JobState.COMPLETED:
            assert found

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
            return await reservations.reserve(
                connection,
                job_id=await add_job(connection),
                upstream="emulator",
                operation=OPERATION,
                project="default",
                campaign=None,
                model="ideogram-4-5",
                slot=free[0],
                price=PRICE,
            )

        taken = self.write(work)
        assert (taken is None) is (len(self.open) == LIMIT)
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
