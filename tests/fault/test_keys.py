"""Keys under real workers: revoked, rotated, restored. Nobody restarts anything and nothing is bought twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.place import until

from pressroom.emulator.settings import fingerprint as vendors_fingerprint
from pressroom.fleet.keys import fingerprint_of

OLD, NEW = "old-key-of-tests", "new-key-of-tests"

FLEET = {"key_look_s": 0.1, "key_trial_s": 0.5, "refused_trial_s": 60.0}
"""A refused key is tried for free long before a purchase would try it."""


@pytest.fixture
def key_file(rig, tmp_path):
    """The rig with its key in a file; the vendor takes that key only."""
    path = tmp_path / "key"
    path.write_text(OLD)
    rig.emulator.control.settings(api_keys=[OLD])
    values = {**rig.place.values, "ideogram_api_key_file": str(path), "fleet": FLEET}
    rig.place = replace(rig.place, key="", values=values)
    return path


def stopped(rig):
    return [row["cause"] for row in rig.place.rows("SELECT cause FROM stops")]


def keys_of_attempts(rig, state="bought"):
    rows = rig.place.rows("SELECT DISTINCT key_fingerprint FROM attempts WHERE state = ?", state)
    return {row["key_fingerprint"] for row in rows}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_a_revoked_key_makes_jobs_wait_and_a_new_one_in_the_file_lets_them_go_on(rig, key_file):
    """Two workers in the middle of a queue: one refusal each at most per request on its way, no job fails."""
    workers = [rig.start(), rig.start()]
    rig.emulator.control.settings(time_scale=0.05)
    jobs = rig.place.submit(30)
    rig.wait_for_accepted(5)
    rig.emulator.control.settings(api_keys=[NEW])
    until(lambda: stopped(rig) == [f"key:{fingerprint_of(OLD)}"], "the stop of the old key")
    bought = len(rig.ledger())
    waiting = {state for state in rig.place.states(jobs) if not state.startswith(("running", "completed"))}
    assert waiting, "the key was revoked after the last purchase"
    assert {state.partition(":")[0] for state in waiting} <= {"queued", "held"}

    key_file.write_text(NEW)
    until(lambda: set(rig.place.states(jobs)) == {"completed"}, "every job", tell=rig.place.logs)
    assert set(rig.settled(jobs)) == {"completed"}
    assert len(rig.ledger()) == 30 > bought
    assert keys_of_attempts(rig) == {fingerprint_of(OLD), fingerprint_of(NEW)}
    for worker in workers:
        worker.wait_for("key.changed", before=fingerprint_of(OLD), now=fingerprint_of(NEW))
        assert worker.process.poll() is None
        assert OLD not in worker.log.read_text()
        assert NEW not in worker.log.read_text()


def test_what_was_accepted_with_the_old_key_is_polled_with_it_after_a_rotation(rig, key_file):
    """Both are valid at first; then the new one is revoked, and the old attempt still comes home on its own key."""
    worker = rig.start()
    rig.fault("stuck_pending", "*.generate*")
    [old] = rig.place.submit(name="an old kite")
    until(lambda: keys_of_attempts(rig, "accepted") == {fingerprint_of(OLD)}, "the accepted attempt")
    rig.emulator.control.settings(api_keys=[OLD, NEW])
    key_file.write_text(NEW)
    worker.wait_for("key.changed")
    [new] = rig.place.submit(name="a new kite")
    until(lambda: rig.place.states([new]) == ["completed"], "the new job")
    assert [vendors_fingerprint(OLD), vendors_fingerprint(NEW)] == [
        entry.api_key_fingerprint for entry in rig.ledger()
    ]

    rig.emulator.control.settings(api_keys=[OLD])
    rig.emulator.control.release()
    assert rig.settled([old, new]) == ["completed", "completed"]
    assert worker.count("run.poll_refused") == 0
    worker.wait_for("key.closed", fingerprint=fingerprint_of(OLD))


def test_a_generation_of_a_revoked_key_is_polled_with_the_new_one(rig, key_file):
    """The vendor keeps what it accepted; only the key is gone."""
    worker = rig.start()
    rig.fault("stuck_pending", "*.generate*")
    [job] = rig.place.submit()
    until(lambda: keys_of_attempts(rig, "accepted") == {fingerprint_of(OLD)}, "the accepted attempt")
    rig.emulator.control.settings(api_keys=[NEW])
    until(lambda: rig.place.states([job]) == ["held: key"], "the refused poll")
    rig.emulator.control.release()
    key_file.write_text(NEW)
    until(lambda: rig.place.states([job]) == ["completed"], "the job", tell=worker.tail)
    assert rig.settled([job]) == ["completed"]
    assert len(rig.ledger()) == 1


@pytest.mark.slow
def test_a_key_that_the_vendor_takes_again_lets_everything_go_on(rig):
    """A mistake in the vendor's dashboard, taken back: a free probe finds it; the key is in the environment."""
    place = rig.place
    rig.place = replace(place, values={**place.values, "fleet": FLEET})
    rig.emulator.control.settings(api_keys=[])
    workers = [rig.start(), rig.start()]
    jobs = rig.place.submit(5)
    until(lambda: stopped(rig) == [f"key:{fingerprint_of(place.key)}"], "the stop")
    until(lambda: any(worker.count("key.tried", verdict="refused") for worker in workers), "a free trial")
    posts = rig.emulator.control.totals().posts
    refused = sum(counts.get("401", 0) for name, counts in posts.items() if ".generate" in name)
    assert (len(rig.ledger()), refused <= len(jobs)) == (0, True), posts
    rig.emulator.control.settings(api_keys=[place.key])
    until(lambda: set(rig.place.states(jobs)) == {"completed"}, "every job", tell=rig.place.logs)
    assert set(rig.settled(jobs)) == {"completed"}
    assert (len(rig.ledger()), stopped(rig)) == (5, [])


@pytest.mark.slow
def test_a_wrong_new_key_is_told_once_and_not_used(rig, key_file):
    """Two workers see it; people are told once, and buying goes on with the old one."""
    workers = [rig.start(), rig.start()]
    key_file.write_text("wrong-key-of-tests")
    for worker in workers:
        worker.wait_for("key.refused", fingerprint=fingerprint_of("wrong-key-of-tests"))
    [job] = rig.place.submit()
    assert rig.settled([job]) == ["completed"]
    assert keys_of_attempts(rig) == {fingerprint_of(OLD)}
    [notice] = rig.place.rows("SELECT severity, text FROM notices WHERE kind = 'key.refused'")
    assert notice["severity"] == "P1"
    assert "wrong-key-of-tests" not in notice["text"]
    assert not any("wrong-key-of-tests" in worker.log.read_text() for worker in workers)


@pytest.mark.slow
def test_a_worker_with_a_stopped_key_leaves_the_work_to_one_with_a_good_key(rig):
    """Mixed keys during a rotation: jobs that the engine gives to the wrong worker go back, and nothing is held for long."""
    good = rig.place
    rig.emulator.control.settings(api_keys=[good.key])
    values = {**good.values, "fleet": {**FLEET, "key_trial_s": 5.0}}
    stale = replace(good, key=OLD, values=values)
    rig.place = replace(good, values=values)
    with_stale = rig.start(stale)
    [first] = rig.place.submit(name="a first kite")
    until(lambda: rig.place.states([first]) == ["held: key"], "the refusal")
    with_good = rig.start()
    jobs = [first, *rig.place.submit(6)]
    until(lambda: set(rig.place.states(jobs)) == {"completed"}, "every job", tell=rig.place.logs)
    assert set(rig.settled(jobs)) == {"completed"}
    assert keys_of_attempts(rig) == {fingerprint_of(good.key)}
    assert with_stale.process.poll() is with_good.process.poll() is None
    assert with_stale.count("run.sending") == 1
