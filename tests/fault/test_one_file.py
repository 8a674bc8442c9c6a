"""Several processes on one SQLite file: commands and workers side by side, and a file that is locked for long."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager

import pytest
from tests.support.place import WAIT_S, until
from tests.support.tables import SQLITE

pytestmark = pytest.mark.slow

LOST = "uncertain: lost answer"


def ended(command):
    """The job that a command printed; exit 3 says that nobody knows whether it was bought."""
    out, err = command.communicate(timeout=WAIT_S)
    view = json.loads(out)
    assert command.returncode == {"completed": 0, "uncertain": 3}[view["state"]], err
    return view


def generate(rig, number):
    """`pressroom generate` in a process of its own."""
    return rig.place.command("generate", f"a kite {number}", "--seed", str(number), "--json")


@contextmanager
def locked(rig):
    """Somebody else's transaction that does not end, such as a backup's or a person's."""
    path = rig.place.address.removeprefix(SQLITE)
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        rig.signals += 1
        yield
        connection.execute("ROLLBACK")


def test_commands_and_two_workers_share_one_file(rig):
    """Each command gets its job's end, though a worker is killed meanwhile; nothing is bought twice."""
    rig.emulator.control.settings(time_scale=0.05)
    doomed, _ = rig.start(), rig.start()
    commands = [generate(rig, number) for number in range(4)]
    waiting = rig.place.submit(8)
    rig.wait_for_accepted(3)
    rig.kill(doomed)
    views = [ended(command) for command in commands]
    states = rig.settled([*waiting, *(view["id"] for view in views)])
    assert set(states) <= {"completed", LOST}
    assert 4 <= states.count("completed") <= len(rig.ledger()) <= 12


def test_a_command_that_is_killed_leaves_its_job_to_a_worker(rig):
    """It was its own worker; the next one takes the job over like any other."""
    rig.emulator.control.settings(time_scale=0.1)
    command = generate(rig, 1)
    until(lambda: rig.place.rows("SELECT 1 FROM attempts WHERE state = 'accepted'"), "the job to be accepted")
    command.kill()
    command.communicate()
    rig.signals += 1
    rig.start()
    jobs = [row["id"] for row in rig.place.rows("SELECT id FROM jobs")]
    assert rig.come_home(jobs)
    assert len(rig.ledger()) == 1


@pytest.mark.parametrize("wire", ["auto", "v3"])
def test_a_file_locked_for_longer_than_anybody_waits_costs_nothing(rig, wire):
    """Beats fail and nothing begins; answers that come meanwhile are written when the lock is gone."""
    rig.place.values |= {"database": {"busy_s": 0.2}, "fleet": {"dead_after_s": 3.0, "fresh_s": 1.0}}
    rig.emulator.control.settings(time_scale=0.05)
    jobs = rig.place.submit(12, wire=wire)
    workers = [rig.start(), rig.start()]
    rig.wait_for_accepted(2)
    with locked(rig):
        for worker in workers:
            worker.wait_for("worker.beat_failed", times=4)
    assert rig.come_home(jobs)
    assert len(rig.ledger()) == 12
    assert [worker.count("worker.died") for worker in workers] == [0, 0]
