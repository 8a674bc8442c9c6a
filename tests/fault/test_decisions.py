"""What a person decides about jobs in states that real faults brought them to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.place import until

from pressroom.errors import Conflict, GenerationNotFound

LOST = "uncertain: lost answer"


@pytest.fixture
def uncertain(rig):
    """A worker, and a job that was bought while its answer was lost."""
    rig.start()
    rig.fault("lost_answer_close")
    [job] = rig.place.submit(name="a lost kite")
    assert rig.settled([job]) == [LOST]
    return job


def decide(rig, decision, job):
    """`cancel`, `retry`, `buy_again` or `give_up`, as the command line does it."""
    rig.place.ask(lambda app: getattr(app.decisions, decision)(job))


def test_an_adopted_generation_comes_home(rig, uncertain):
    """The id that the vendor's account shows settles the question, and nothing is bought again."""
    [entry] = rig.ledger()
    rig.place.ask(lambda app: app.adopt(uncertain, entry.id))
    assert rig.settled([uncertain]) == ["completed"]
    assert len(rig.ledger()) == 1


def test_a_generation_that_the_vendor_does_not_know_is_not_adopted(rig, uncertain):
    """The job stays uncertain."""
    with pytest.raises(GenerationNotFound):
        rig.place.ask(lambda app: app.adopt(uncertain, "A" * 22))
    assert rig.settled([uncertain]) == [LOST]


def test_a_generation_of_another_job_is_not_adopted(rig, uncertain):
    """One generation belongs to one job: else its picture would be in the catalog twice and the other's nowhere."""
    [other] = rig.place.submit(name="a paper boat")
    assert rig.settled([other]) == ["completed"]
    theirs = rig.ledger()[-1].id
    with pytest.raises(Conflict, match=other):
        rig.place.ask(lambda app: app.adopt(uncertain, theirs))
    assert rig.settled([uncertain, other]) == [LOST, "completed"]


def test_buying_again_is_a_second_purchase_that_somebody_asked_for(rig, uncertain):
    """The first one stays on the books as written off."""
    decide(rig, "buy_again", uncertain)
    assert rig.settled([uncertain]) == ["completed"]
    assert len(rig.ledger()) == 2
    states = [row["state"] for row in rig.place.rows("SELECT state FROM attempts ORDER BY id")]
    assert states == ["written_off", "bought"]


def test_giving_up_ends_the_job_and_a_retry_buys_anew(rig, uncertain):
    """Nothing is bought until somebody asks for the job again."""
    decide(rig, "give_up", uncertain)
    assert rig.settled([uncertain]) == ["failed: resolved"]
    assert len(rig.ledger()) == 1
    decide(rig, "retry", uncertain)
    assert rig.settled([uncertain]) == ["completed"]
    assert len(rig.ledger()) == 2


def test_an_answer_that_comes_after_buying_again_changes_nothing_but_is_kept(rig):
    """The owner was paused with the answer in its hand; the person was faster."""
    owner, job = rig.paused("run.posted")
    rig.start()
    assert rig.settled([job]) == [LOST]
    decide(rig, "buy_again", job)
    assert rig.settled([job]) == ["completed"]
    owner.resume()
    owner.wait_for("run.overtaken")
    assert rig.settled([job]) == ["completed"]
    attempts = rig.place.rows("SELECT generation_id FROM attempts WHERE job_id = ?", job)
    assert len({row["generation_id"] for row in attempts} & {entry.id for entry in rig.ledger()}) == 2


def test_a_job_held_for_its_key_goes_on_with_a_working_one(rig):
    """Nothing was bought with the wrong key; a worker with the right one buys once."""
    rig.emulator.control.settings(api_keys=["a-good-key"])
    wrong = rig.start()
    jobs = rig.place.submit(2)
    assert rig.settled(jobs) == ["held: key"] * 2
    assert wrong.end() == 0
    rig.start(replace(rig.place, key="a-good-key"))
    for job in jobs:
        decide(rig, "retry", job)
    assert rig.settled(jobs) == ["completed"] * 2
    assert len(rig.ledger()) == 2


def test_a_generation_accepted_before_its_key_was_revoked_is_not_bought_again(rig):
    """The retry polls on with a key that works."""
    rig.fault("stuck_pending", params={"seconds": 1.0})
    rig.start()
    [job] = rig.place.submit()
    rig.wait_for_accepted()
    rig.emulator.control.settings(api_keys=["another-key"])
    assert rig.settled([job]) == ["held: key"]
    rig.emulator.control.settings(api_keys=None)
    decide(rig, "retry", job)
    assert rig.settled([job]) == ["completed"]
    assert len(rig.ledger()) == 1


def test_a_waiting_job_is_cancelled_and_never_bought(rig):
    """Its place in the queue is empty when a worker comes."""
    cancelled, kept = rig.place.submit(2)
    decide(rig, "cancel", cancelled)
    rig.start()
    assert rig.settled([cancelled, kept]) == ["cancelled", "completed"]
    assert len(rig.ledger()) == 1


def test_a_job_is_cancelled_up_to_the_last_moment_before_it_is_sent(rig):
    """Its run finds out before the first byte."""
    worker, job = rig.paused("run.purchasing")
    decide(rig, "cancel", job)
    worker.resume()
    until(
        lambda: worker.count("run.taken_back") + worker.count("run.superseded"),
        "the run to notice",
        tell=worker.tail,
    )
    assert rig.settled([job]) == ["cancelled"]
    assert rig.bought_for(job) == 0


def test_a_job_that_has_been_sent_cannot_be_cancelled(rig):
    """The money may be on its way."""
    rig.fault("delay_after", params={"seconds": 1})
    rig.start()
    [job] = rig.place.submit()
    rig.wait_for_accepted()
    with pytest.raises(Conflict):
        decide(rig, "cancel", job)
    assert rig.settled([job]) == ["completed"]


@pytest.mark.parametrize("decision", ["cancel", "retry", "buy_again", "give_up"])
def test_a_completed_job_is_left_as_it_is(rig, decision):
    """There is nothing to decide about it."""
    rig.start()
    [job] = rig.place.submit()
    assert rig.settled([job]) == ["completed"]
    with pytest.raises(Conflict):
        decide(rig, decision, job)
    assert rig.settled([job]) == ["completed"]
