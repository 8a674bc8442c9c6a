"""A database restored from a backup: nothing goes on by itself, and nothing is bought twice when somebody lets it."""

from __future__ import annotations

import pytest
from tests.support.place import until

from pressroom.errors import Conflict
from pressroom.generation.decisions import Decision
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.selections import Selection

DATABASES = pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)


def restored(rig):
    """As `pressroom db restored --yes` does it, once the backup's own workers have been silent for long enough."""
    until(lambda: _restored_or_conflict(rig), "the dead worker to count as dead")


def _restored_or_conflict(rig):
    try:
        rig.place.ask(lambda app: app.restored(who="somebody"))
    except Conflict:
        return False
    return True


def retry_all(rig):
    selection = Selection(
        upstream=rig.place.upstream, states=frozenset({JobState.HELD}), reason=HeldFor.RESTORED
    )
    return rig.place.ask(lambda app: app.decisions.decide(Decision.RETRY, selection)).decided


@DATABASES
def test_what_was_bought_before_the_backup_comes_home_after_it(rig):
    """One was accepted, two were waiting: all are held, no run is owed, and a retry buys the two and polls the one."""
    rig.place.values["fleet"] = {"concurrency": 1}
    rig.fault("stuck_pending", "*.generate*", params={"seconds": 0.5})
    jobs = rig.place.submit(3)
    rig.killed(rig.start(kill_at="run.accepted"))
    restored(rig)
    assert rig.place.states(jobs) == ["held: restored"] * 3
    assert not rig.place.rows("SELECT slot FROM attempts WHERE slot IS NOT NULL")

    worker = rig.start()
    worker.wait_until_ready()
    assert rig.settled(jobs) == ["held: restored"] * 3
    assert len(rig.ledger()) == 1

    assert sorted(jobs) == retry_all(rig)
    until(lambda: set(rig.place.states(jobs)) == {"completed"}, "all pictures", tell=rig.place.logs)
    assert rig.settled(jobs) == ["completed"] * 3
    assert [rig.bought_for(job) for job in jobs] == [1] * 3
    assert len(rig.ledger()) == 3


def test_what_was_being_sent_turns_out_uncertain_when_it_is_released(rig):
    """The backup was made between `sending` and the answer: nobody knows, and a person decides."""
    [job] = rig.place.submit()
    rig.killed(rig.start(kill_at="run.posted"))
    restored(rig)
    rig.start()
    retry_all(rig)
    assert rig.settled([job]) == ["uncertain: lost answer"]
    assert len(rig.ledger()) == 1


def test_while_a_worker_beats_nothing_is_done(rig):
    """It would buy what is being held."""
    worker = rig.start()
    worker.wait_until_ready()
    [job] = rig.place.submit()
    assert rig.settled([job]) == ["completed"]
    with pytest.raises(Conflict, match=r"1 worker beats .* stop it"):
        rig.place.ask(lambda app: app.restored(who="somebody"))
