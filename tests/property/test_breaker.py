"""The breaker against a plain model of itself: any order of failures, sales, probes, trials, orders and waits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.rows import add_attempt, add_job

from pressroom.app import upgrade
from pressroom.database import Database, DatabaseAddress, now_ms
from pressroom.fleet import breakers, trials
from pressroom.fleet.controls import version_of
from pressroom.fleet.gate import Flow, read_gate
from pressroom.fleet.sales import COUNTED
from pressroom.fleet.tables import breakers as breaker_rows
from pressroom.fleet.trials import Verdict
from pressroom.notify.tables import notices
from pressroom.settings import Settings
from pressroom.spend.attempts import AttemptState
from pressroom.spend.tables import attempts

FAMILY = "v2/generate"
RULES = {
    "failures": 3,
    "minimum": 6,
    "rate": 0.5,
    "window_s": 60.0,
    "trial_max_s": 100.0,
    "uncertain_trials": 2,
}

# No sum of these waits comes closer than a second to a limit of the breaker, which the real clock would tip over.
WAITS = st.sampled_from([7, 31])
STEPS = st.lists(
    st.sampled_from(["fail", "fail", "fail", "sell", "order", "try", "poll fails"])
    | st.tuples(st.just("wait"), WAITS)
    | st.tuples(st.just("probe"), st.booleans())
    | st.tuples(st.just("end"), st.sampled_from(Verdict)),
    max_size=25,
)


@dataclass
class Model:
    """The rules of the design, word for word, on a clock of its own (seconds)."""

    now: float = 0.0
    state: str = "closed"
    row: int = 0
    failed_at: float = float("-inf")
    tries: list[tuple[float, bool]] = field(default_factory=list)
    sold_at: float = float("-inf")
    opened_at: float = float("-inf")
    wait: float = 30.0
    trial_at: float = 0.0
    ordered: bool = False
    probe: tuple[float, bool] | None = None
    uncertain: int = 0
    told: int = 0

    def fail(self, *, purchase: bool) -> None:
        self.row = 1 if self.sold_at > self.failed_at else self.row + 1
        self.failed_at = self.now
        if purchase:
            self.tries.append((self.now, True))
        lately = [failed for at, failed in self.tries if at > max(self.now - 60, self.opened_at)]
        too_many = len(lately) >= 6 and sum(lately) >= len(lately) / 2
        if self.state == "closed" and (self.row >= 3 or too_many):
            self.state, self.wait, self.opened_at = "open", 30.0, self.now
            self.trial_at = self.now + 30
            self.ordered, self.probe, self.uncertain = False, None, 0
            self.told += 1

    def sell(self) -> None:
        self.tries.append((self.now, False))
        self.sold_at = self.now

    @property
    def flow(self) -> str:
        if self.state == "closed":
            return "open"
        answers = self.probe is not None and self.probe[1] and self.now - self.probe[0] <= 40
        due = self.ordered or (self.now >= self.trial_at and answers)
        return "trial" if self.state == "open" and due else "shut"

    def end(self, verdict: str) -> None:
        if self.state != "trying":
            return
        self.state, self.ordered = "open", False
        if verdict == "bought":
            self.state, self.row = "closed", 0
            self.told += 1
        elif verdict == "none":
            self.trial_at = self.now + 30
        else:
            self.wait = min(100.0, self.wait * 2)
            self.uncertain += verdict == "uncertain"
            self.trial_at = self.now + (3600 if self.uncertain >= 2 else self.wait)


class Fleet:
    """The real one, with an upstream of its own for each example; time passes by moving its rows into the past."""

    numbers = count()

    def __init__(self, database, settings):
        self.database = database
        self.settings = settings
        self.upstream = f"vendor-{next(self.numbers)}"
        self.trial = None

    async def act(self, connection, step):
        match step:
            case "fail" | "poll fails":
                if step == "fail":
                    await self._attempt(
                        connection, AttemptState.UNCERTAIN, error={"kind": "OutcomeUnknown", COUNTED: True}
                    )
                await breakers.failed(
                    connection, self.upstream, FAMILY, message="HTTP 503", settings=self.settings.breaker
                )
            case "sell":
                await self._attempt(connection, AttemptState.BOUGHT, sending_at=now_ms(), ended_at=now_ms())
            case "order":
                await trials.order_trial(connection, self.upstream, FAMILY, who="ada")
            case "try":
                if (await self.gate(connection)).family(FAMILY) is Flow.TRIAL:
                    self.trial = f"at_{next(self.numbers)}"
                    assert await trials.trial_began(connection, self.upstream, FAMILY, attempt_id=self.trial)
            case ("probe", answered):
                await trials.probed(connection, self.upstream, answered=answered)
            case ("end", verdict):
                await trials.trial_ended(
                    connection,
                    self.upstream,
                    FAMILY,
                    attempt_id=self.trial or "at_none",
                    verdict=verdict,
                    settings=self.settings.breaker,
                )
            case ("wait", seconds):
                await self._pass(connection, seconds * 1000)

    async def _attempt(self, connection, state, **columns):
        job_id = await add_job(connection, upstream=self.upstream)
        await add_attempt(connection, job_id, state=state, slot=None, upstream=self.upstream, **columns)

    async def _pass(self, connection, millis):
        for table, names in (
            (breaker_rows, ("failed_at", "opened_at", "probed_at")),
            (attempts, ("created_at", "sending_at", "ended_at")),
        ):
            await connection.execute(
                sa.update(table)
                .where(table.c.upstream == self.upstream)
                .values({name: table.c[name] - millis for name in names})
            )
        await connection.execute(
            sa.update(breaker_rows)
            .where(breaker_rows.c.upstream == self.upstream, breaker_rows.c.trial_at != breakers.ORDERED)
            .values(trial_at=breaker_rows.c.trial_at - millis)
        )

    async def gate(self, connection):
        return await read_gate(connection, self.upstream, self.settings)

    async def see(self, connection):
        one = await breakers.get_one_or_none(connection, self.upstream, FAMILY)
        told = await connection.execute(
            sa.select(sa.func.count()).select_from(notices).where(notices.c.upstream == self.upstream)
        )
        state, row = (one.state, one.failures) if one else ("closed", 0)
        return str(state), row, str((await self.gate(connection)).family(FAMILY)), told.scalar_one()


def step_model(model, step):
    model.now += 0.001
    match step:
        case "fail" | "poll fails":
            model.fail(purchase=step == "fail")
        case "sell":
            model.sell()
        case "order":
            model.ordered = model.ordered or model.state == "open"
        case "try":
            if model.flow == "trial":
                model.state = "trying"
        case ("probe", answered):
            if model.state == "open":
                model.probe = (model.now, answered)
        case ("end", verdict):
            model.end(verdict)
        case ("wait", seconds):
            model.now += seconds


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def walk(request, tmp_path_factory):
    """Takes steps on a database of its own, and tells what is seen after each."""
    url, server = None, None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        server.create_database("breakers")
        url = server.url("breakers")
    settings = Settings.load(home=tmp_path_factory.mktemp("breakers"), database_url=url, breaker=RULES)
    asyncio.run(upgrade(settings))
    loop = asyncio.new_event_loop()
    database = Database(DatabaseAddress.parse(settings), settings.database)

    async def steps(made):
        fleet, seen = Fleet(database, settings), []
        async with database.write() as connection:
            for step in made:
                before = await version_of(connection, fleet.upstream), (await fleet.see(connection))[2]
                await fleet.act(connection, step)
                await asyncio.sleep(0.002)  # two steps are never in one millisecond
                seen.append(await fleet.see(connection))
                after = await version_of(connection, fleet.upstream), seen[-1][2]
                if not isinstance(step, tuple) or step[0] != "wait":
                    # Every change of what may be bought moves the version, or a dispatcher would not see it; but for a
                    # begun trial, whose dispatcher raises it itself.
                    assert step == "try" or before[1] == after[1] or before[0] < after[0]
        return seen

    yield lambda made: loop.run_until_complete(steps(made))
    loop.run_until_complete(database.close())
    loop.close()
    if server is not None:
        server.drop_database("breakers")


@given(steps=STEPS)
@example(steps=["fail"] * 3 + [("wait", 31), ("probe", True), "try", ("end", Verdict.BOUGHT), "fail"])
@example(steps=["fail"] * 3 + ["order", "try", ("end", Verdict.FAILED), ("wait", 31), ("probe", True), "try"])
@example(steps=["fail"] * 3 + ["order", "try", ("end", Verdict.UNCERTAIN)] * 3 + ["order", "try"])
@example(steps=["fail", "sell", "fail", "sell", "fail", "sell", "fail"])
@example(steps=["fail", "poll fails", "fail"])
@example(steps=["fail"] * 3 + [("wait", 31), ("probe", True), ("wait", 31), ("wait", 31), "try"])
def test_the_breaker_is_what_its_model_is(walk, steps):
    """State, failures in a row, what may be bought, and how often people were told, after every step."""
    model, expected = Model(), []
    for step in steps:
        step_model(model, step)
        expected.append((model.state, model.row, model.flow, model.told))

    assert walk(steps) == expected
