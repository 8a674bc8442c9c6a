"""A job is for one vendor host, or for the emulator, and no worker of another one ever touches it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.emulator import emulator_process, emulator_thread, free_port
from tests.support.judge import judge, read_evidence
from tests.support.place import Place, until


@pytest.fixture
def other(tmp_path):
    """Another emulator, with books of its own."""
    with emulator_thread(tmp_path / "other-books.sqlite", time_scale=0) as emulator:
        yield emulator


def posts(emulator):
    """Paid requests that an emulator has received; quotes are free and not counted."""
    return sum(
        count
        for operation, outcomes in emulator.control.totals().posts.items()
        for count in outcomes.values()
        if ".generate" in operation
    )


def test_jobs_of_two_hosts_in_one_database_stay_apart(rig, other, tmp_path):
    """Each worker buys the jobs of its own host, also while the other's worker is dead."""
    there = rig.place.elsewhere(tmp_path / "there", base_url=other.base_url)
    ours, theirs = rig.place.submit(4, name="ours"), there.submit(4, name="theirs")
    rig.killed(rig.start(there, kill_at="run.accepted:2"))
    rig.start()
    until(lambda: rig.place.states(ours) == ["completed"] * 4, "our jobs", tell=rig.place.logs)
    assert posts(rig.emulator) == 4
    assert set(there.states(theirs)) <= {"queued", "running"}
    rig.start(there)
    there.wait_until_settled([*ours, *theirs])
    assert (posts(rig.emulator), posts(other)) == (4, 4)
    assert judge(read_evidence(rig.place, rig.emulator.control)) == []
    states = there.states(theirs)
    assert set(states) <= {"completed", "uncertain: lost answer"}
    assert judge(read_evidence(there, other.control)) == []


def test_a_job_for_the_emulator_is_never_sent_to_a_host_nor_the_other_way_round(rig, tmp_path):
    """The embedded emulator is one upstream whatever its port, and a base URL is another."""
    embedded = Place(rig.place.home, values={"emulator": {"time_scale": 0}})
    real, played = rig.place.submit(2, name="real"), embedded.submit(2, name="played")
    worker = rig.start()
    until(lambda: rig.place.states(real) == ["completed"] * 2, "the jobs of the host", tell=rig.place.logs)
    assert rig.place.states(played) == ["queued"] * 2
    assert posts(rig.emulator) == 2
    assert worker.end() == 0
    late = rig.place.submit(2, name="late")
    rig.start(embedded)
    until(lambda: rig.place.states(played) == ["completed"] * 2, "the played jobs", tell=rig.place.logs)
    assert rig.place.states(late) == ["queued"] * 2
    assert posts(rig.emulator) == 2
    books = embedded.home / "emulator.sqlite"
    with emulator_thread(books, time_scale=0) as second_look:
        evidence = read_evidence(embedded, second_look.control)
    evidence.objects = {
        asset["stored_path"]: evidence.objects[asset["stored_path"]] for asset in evidence.assets
    }
    assert judge(evidence) == []
    assert len(evidence.ledger) == 2


def test_a_vendor_that_goes_away_and_comes_back_is_waited_for(rig, tmp_path):
    """Jobs that could not be sent wait for their turn again; what was under way is finished or asked about."""
    port = free_port()
    place = replace(rig.place, base_url=f"http://127.0.0.1:{port}")
    books = tmp_path / "their-books.sqlite"
    early = place.submit(3, name="early")
    rig.start(place)
    until(
        lambda: place.rows("SELECT count(*) FROM attempts WHERE state = 'unsold'")[0][0] >= 3,
        "the first tries to fail",
        tell=place.logs,
    )
    rig.signals += 1
    with emulator_process(books, port=port, time_scale=0.05) as vendor:
        place.wait_until_settled(early)
        late = place.submit(6, name="late")
        until(
            lambda: len(vendor.control.ledger(pictures=False)) >= 5, "some of the late jobs", tell=place.logs
        )
        vendor.kill()
        rig.signals += 1
    with emulator_process(books, port=port, time_scale=0) as vendor:
        states = place.wait_until_settled([*early, *late])
        assert states[:3] == ["completed"] * 3
        assert set(states) <= {"completed", "uncertain: lost answer"}
        assert judge(read_evidence(place, vendor.control)) == []
