"""What every answer of the vendor means for the whole fleet: the right-hand column of the table of outcomes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.support.running import run_of, sending

from pressroom import errors
from pressroom.database import now_ms
from pressroom.fleet import breakers, limit, stops, switches, trials
from pressroom.fleet.controls import version_of
from pressroom.fleet.gate import Flow, read_gate
from pressroom.fleet.tables import limits
from pressroom.generation.jobs import JobState
from pressroom.generation.run import consequences, records, settling
from pressroom.generation.run.outcomes import LOST, UNSENDABLE, failed_generation, outcome_of
from pressroom.ideogram import Generation, Status
from pressroom.notify.tables import notices
from pressroom.settings import Settings
from pressroom.spend.attempts import AttemptState

UP = "emulator"
FAMILY = "v2/generate"
DAY_MS = 86_400_000


def settings_of(**groups):
    return Settings.load(**groups)


async def fleet(database):
    """What stands: failures counted, stops, and whether the limit learned."""
    async with database.read() as connection:
        broken = await breakers.get_one_or_none(connection, UP, FAMILY)
        return (
            broken.failures if broken else 0,
            [one.cause for one in await stops.all_stops(connection, UP)],
            bool(await limit.all_learned(connection, UP)),
        )


async def told(database):
    async with database.read() as connection:
        found = await connection.execute(sa.select(notices.c.kind, notices.c.severity).order_by(notices.c.id))
        return [tuple(row) for row in found]


async def switch(database, name):
    async with database.read() as connection:
        return next(one for one in await switches.all_switches(connection, UP) if one.name == name)


async def gate(database, settings=None, fingerprint="ab12"):
    async with database.read() as connection:
        return await read_gate(connection, UP, settings or Settings.load(), fingerprint=fingerprint)


NOTHING = (0, [], False)
ANSWERS = [
    (errors.NotSent, (1, [], False)),
    (errors.RateLimited, (0, [], True)),
    (errors.InflightLimit, (0, [], True)),
    (errors.KeyRefused, (0, ["key:ab12"], False)),
    (errors.CreditsExhausted, (0, ["credits"], False)),
    (errors.QuotaExhausted, (0, ["quota"], False)),
    (errors.ContentRefused, NOTHING),
    (errors.RequestRefused, NOTHING),
    (errors.Refused, NOTHING),
    (errors.OutcomeUnknown, (1, [], False)),
    (errors.Unavailable, (1, [], False)),
    (errors.VendorError, (1, [], False)),
]


@pytest.mark.parametrize(("kind", "after"), ANSWERS, ids=lambda value: getattr(value, "__name__", ""))
async def test_an_answer_to_a_purchase_means_this_for_the_fleet(database, kind, after):
    """Failures of the vendor count, refusals of the account stop, 429 teaches the limit, and the rest concerns its own job."""
    run = await sending(database)
    error = kind("the vendor's words")

    await settling.record_outcome(run, outcome_of(error), error=error)
    assert after == await fleet(database)


@pytest.mark.parametrize(
    ("outcome", "failures"),
    [
        (UNSENDABLE, 0),
        (LOST, 0),
        (failed_generation(Generation("g", Status.FAILED), failures=1, attempts=3), 1),
        (failed_generation(Generation("g", Status.FAILED), failures=3, attempts=3), 1),
        (
            failed_generation(
                Generation("g", Status.FAILED, failure_reason="content_policy_violation"),
                failures=1,
                attempts=3,
            ),
            0,
        ),
    ],
    ids=["unsendable", "our mistake", "failed", "failed for good", "policy"],
)
async def test_what_came_without_an_error_of_the_vendor(database, outcome, failures):
    """A generation that it accepted and failed counts; mistakes of ours and refusals by policy do not."""
    await settling.record_outcome(await sending(database), outcome, message="words")

    assert (failures, [], False) == await fleet(database)


async def test_a_worker_that_vanished_says_nothing_against_the_vendor(database):
    """However often workers of ours die while they send."""
    for _ in range(6):
        run = await sending(database)
        await settling.record_uncertain(run, reason=LOST.reason, message="x", free_slot=False)

    assert await fleet(database) == NOTHING


async def test_an_outcome_that_was_settled_before_counts_once(database):
    """A repeated transaction, or a run that was overtaken."""
    run = await sending(database)
    error = errors.OutcomeUnknown("no answer")
    for _ in range(3):
        await settling.record_outcome(run, outcome_of(error), error=error)

    assert await fleet(database) == (1, [], False)


async def refuse(database, kind, **columns):
    run = await sending(database, **columns)
    error = kind("HTTP 402: no")
    await settling.record_outcome(run, outcome_of(error), error=error)
    return run


async def test_missing_credits_stop_the_fleet_at_once(database):
    """The first refusal shuts the gate for whoever looks next, pauses batches, and is told once."""
    async with database.read() as connection:
        before = await version_of(connection, UP)
    for _ in range(3):
        await refuse(database, errors.CreditsExhausted)

    found = await gate(database)
    assert (found.account, found.batch_paused) == (Flow.SHUT, True)
    assert found.version > before
    paused = await switch(database, "batch")
    assert (paused.value, paused.set_by, paused.reason) == ("paused", "pressroom", "credits")
    assert await told(database) == [("credits.exhausted", "P2")]


async def test_missing_credits_are_tried_after_a_while_by_one_purchase(database):
    """Batch jobs may be that one, though batches are paused for the credits' sake."""
    settings = settings_of(fleet={"refused_trial_s": 0.001})
    run = await sending(database, settings)
    error = errors.CreditsExhausted("HTTP 402")
    await settling.record_outcome(run, outcome_of(error), error=error)
    found = await gate(database, settings)
    while found.account is Flow.SHUT:
        found = await gate(database, settings)

    assert (found.account, found.batch_paused, found.stops_due) == (Flow.TRIAL, False, ("credits",))


async def test_what_a_person_paused_stays_paused_for_a_trial_too(database):
    """And when credits are back."""
    await refuse(database, errors.CreditsExhausted)
    async with database.write() as connection:
        await switches.set_switch(connection, UP, "batch", "paused", who="ada", reason="quiet")
        await stops.stop(connection, UP, stops.CREDITS, trial_in_s=-1, message="x")
    assert ((await gate(database)).account, (await gate(database)).batch_paused) == (Flow.TRIAL, True)
    async with database.write() as connection:
        assert await stops.lift(connection, UP, stops.CREDITS)
    assert (await switch(database, "batch")).set_by == "ada"


async def test_a_bought_trial_brings_credits_and_batches_back(database):
    """Only a trial: what was sent before the refusal and bought after it says nothing."""
    older = await sending(database, sending_at=now_ms() - 5_000)
    await refuse(database, errors.CreditsExhausted)
    await records.record_bought(older, [], cost_micros=None, generation_id=None)
    assert (await fleet(database))[1] == ["credits"]

    trial = await sending(database, trial=True)
    await records.record_bought(trial, [], cost_micros=None, generation_id=None)
    assert await fleet(database) == NOTHING
    assert (await switch(database, "batch")).value == "running"


async def test_a_refusal_sent_before_credits_were_back_stops_nothing(database):
    """A straggler of the time before the top-up; the next purchase tells."""
    straggler = await sending(database, sending_at=now_ms() - 5_000)
    await refuse(database, errors.CreditsExhausted)
    async with database.write() as connection:
        assert await stops.lift(connection, UP, stops.CREDITS, who="ada", reason="topped up")
    error = errors.CreditsExhausted("HTTP 402")
    await settling.record_outcome(straggler, outcome_of(error), error=error)
    assert await fleet(database) == NOTHING

    await refuse(database, errors.CreditsExhausted, sending_at=now_ms() + 5)
    assert (await fleet(database))[1] == ["credits"]


async def test_the_quota_is_tried_again_at_midnight(database):
    """UTC, by the database's clock."""
    await refuse(database, errors.QuotaExhausted)

    async with database.read() as connection:
        [stop] = await stops.all_stops(connection, UP)
    seconds = consequences.quota_trial_s(stop.since, again_s=300.0)
    assert 0 <= stop.trial_at - stop.since - seconds * 1000 < 5_000
    assert await told(database) == [("quota.exhausted", "P2")]


@pytest.mark.parametrize(
    ("hours", "seconds"), [(0, 300), (0.2, 300), (0.25, 23.75 * 3600), (12, 12 * 3600), (23.999, 3.6)]
)
def test_the_quota_opens_at_midnight_by_a_clock_that_may_differ(hours, seconds):
    """A trial that is refused just after our midnight does not cost a whole day."""
    now = 20_000 * DAY_MS + int(hours * 3_600_000)

    assert seconds == pytest.approx(consequences.quota_trial_s(now, again_s=300))


async def test_a_refused_key_stops_purchases_with_that_key_only(database):
    """During a rotation others go on with the new one; whoever has none is stopped too."""
    await refuse(database, errors.KeyRefused)

    assert Flow.SHUT is (await gate(database)).account
    assert Flow.OPEN is (await gate(database, fingerprint="cd34")).account
    assert Flow.SHUT is (await gate(database, fingerprint=None)).account
    assert await told(database) == [("key.stopped", "P1")]


async def test_sustained_refusals_set_concurrency_for_a_while(database):
    """The documents' reaction, by pressroom and with an expiry; told once."""
    settings = settings_of(limit={"many": 2, "many_s": 0.001})
    for _ in range(5):
        run = await sending(database, settings)
        error = errors.InflightLimit("HTTP 429")
        await settling.record_outcome(run, outcome_of(error), error=error)
        async with database.write() as connection:  # as if they were spread over time
            await connection.execute(sa.update(limits).values(refused_since=limits.c.refused_since - 1000))

    calm = await switch(database, "concurrency")
    assert (calm.value, calm.set_by) == ("3", "pressroom")
    assert 899_000 < calm.expires_at - calm.set_at <= 901_000
    assert await told(database) == [("limit.sustained", "P2")]
    assert (await gate(database, settings)).limit <= 3


async def test_a_lower_concurrency_that_a_person_set_is_left(database):
    """It is stricter already."""
    settings = settings_of(limit={"many": 1, "many_s": 0.001})
    async with database.write() as connection:
        await switches.set_switch(connection, UP, "concurrency", "2", who="ada", reason="")
    for _ in range(4):
        run = await sending(database, settings)
        error = errors.RateLimited("HTTP 429")
        await settling.record_outcome(run, outcome_of(error), error=error)
        async with database.write() as connection:
            await connection.execute(sa.update(limits).values(refused_since=limits.c.refused_since - 1000))

    assert (
        (await switch(database, "concurrency")).value,
        (await switch(database, "concurrency")).set_by,
    ) == ("2", "ada")
    assert await told(database) == []


async def open_breaker(database, settings):
    for _ in range(settings.breaker.failures):
        run = await sending(database, settings)
        error = errors.OutcomeUnknown("HTTP 503: nobody knows", status=503)
        await settling.record_outcome(run, outcome_of(error), error=error)


async def trial(database, settings):
    """A trial on its way, of an open breaker."""
    run = await sending(database, settings, trial=True)
    async with database.write() as connection:
        await trials.order_trial(connection, UP, FAMILY, who="ada")
        assert await trials.trial_began(connection, UP, FAMILY, attempt_id=run.attempt.id)
    return run


async def broken(database):
    async with database.read() as connection:
        return await breakers.get_one_or_none(connection, UP, FAMILY)


TRIALS = [
    (errors.OutcomeUnknown, 2, 1),
    (errors.NotSent, 2, 0),
    (errors.ContentRefused, 1, 0),
    (errors.RequestRefused, 1, 0),
    (errors.RateLimited, 1, 0),
    (errors.CreditsExhausted, 1, 0),
]


@pytest.mark.parametrize(
    ("kind", "waits", "uncertain"), TRIALS, ids=lambda value: getattr(value, "__name__", "")
)
async def test_a_trial_that_is_not_bought_leaves_the_breaker_open(database, kind, waits, uncertain):
    """The wait doubles where the vendor failed, and only there."""
    settings = Settings.load()
    await open_breaker(database, settings)
    run, error = await trial(database, settings), kind("words")

    await settling.record_outcome(run, outcome_of(error), error=error)
    now = await broken(database)
    assert ("open", 30_000 * waits, uncertain) == (now.state, now.wait_ms, now.uncertain)


async def test_a_bought_trial_closes_the_breaker_and_people_are_told(database):
    """Accepted is not enough: the vendor may fail it yet."""
    settings = Settings.load()
    await open_breaker(database, settings)
    run = await trial(database, settings)
    assert Flow.SHUT is (await gate(database)).family(FAMILY)

    assert await records.record_accepted(run, "gen-1")
    assert (await broken(database)).state == "trying"
    await records.record_bought(run, [], cost_micros=None, generation_id=None)
    assert ((await broken(database)).state, (await broken(database)).failures) == ("closed", 0)
    assert [kind for kind, _ in await told(database)] == ["breaker.opened", "breaker.closed"]
    assert Flow.OPEN is (await gate(database)).family(FAMILY)


async def test_a_trial_that_becomes_known_as_bought_later_closes_it_too(database):
    """Its answer was lost, and then somebody found the generation."""
    settings = Settings.load()
    await open_breaker(database, settings)
    run = await trial(database, settings)
    await settling.record_uncertain(run, reason="pending", message="x", free_slot=True)
    assert ((await broken(database)).state, (await broken(database)).uncertain) == ("open", 1)

    late = await run_of(database, run.job.id, settings)
    await records.record_bought(late, [], cost_micros=None, generation_id=None)
    assert (await broken(database)).state == "closed"


async def test_an_ordinary_purchase_closes_nothing(database):
    """It was on its way when the breaker opened."""
    settings = Settings.load()
    before = await sending(database, settings)
    await open_breaker(database, settings)

    await records.record_bought(before, [], cost_micros=None, generation_id=None)
    assert (await broken(database)).state == "open"


async def test_a_trial_that_was_taken_back_says_nothing(database):
    """Nothing was sent of it."""
    settings = Settings.load()
    await open_breaker(database, settings)
    run = await trial(database, settings)

    await settling.take_back(run, reason="storage", message="no room")
    now = await broken(database)
    assert (now.state, now.wait_ms) == ("open", 30_000)


async def test_failing_polls_count_once_a_second_in_one_process(database, monkeypatch):
    """An outage shows in every run at once; refusals and lost connections of polls do not count."""
    run = await sending(database)
    monkeypatch.setattr(consequences, "NOTE_EVERY_S", 3600.0)
    await settling.note_vendor_failure(run, errors.Unavailable("HTTP 429", status=429))
    await settling.note_vendor_failure(run, errors.Unavailable("no connection"))
    await settling.note_vendor_failure(run, errors.StorageFull("no room"))
    assert await fleet(database) == NOTHING
    for _ in range(20):
        await settling.note_vendor_failure(run, errors.Unavailable("HTTP 503", status=503))
    assert await fleet(database) == (1, [], False)

    monkeypatch.setattr(consequences, "NOTE_EVERY_S", 0.0)
    for _ in range(4):
        await settling.note_vendor_failure(run, errors.Unavailable("HTTP 503", status=503))
    assert (await broken(database)).state == "open"
    assert (await run_of(database, run.job.id)).attempt.state == AttemptState.SENDING


async def test_the_breaker_changes_no_outcome(database):
    """The job of the failure that opens it, and of one after it, waits again like that of the first."""
    seen = []
    for _ in range(6):
        run = await sending(database)
        error = errors.NotSent("no way there")
        await settling.record_outcome(run, outcome_of(error), error=error)
        job, attempt = await records.read(run.parts, run.job.id)
        seen.append((job.state, job.reason, attempt))

    assert seen == [(JobState.QUEUED, "vendor", None)] * 6
    assert (await broken(database)).state == "open"
