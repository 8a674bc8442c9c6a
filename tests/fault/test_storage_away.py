"""The store is away for longer than the pictures' addresses live: every picture is kept, and nothing is bought twice."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from tests.support.judge import judge, read_evidence
from tests.support.parts import needs
from tests.support.place import until
from tests.support.storage_server import storage_server

URL_LIFE_S = 60.0
LATER_S = 120.0
"""What the vendor's clock is put on by: so the addresses are dead whatever the speed of this machine."""


@pytest.fixture
def short_lived(rig):
    """A rig whose picture addresses are not renewed by a poll."""
    rig.emulator.control.settings(url_life_s=URL_LIFE_S, refresh_urls=False)
    return rig


def bucket_of(rig):
    """A bucket of this test's own."""
    return f"pictures-{rig.emulator.port}-{os.getpid()}"


@pytest.fixture
def server(short_lived):
    """An S3 server with a bucket, in which the rig keeps its pictures."""
    needs("s3")
    bucket = bucket_of(short_lived)
    with storage_server() as opened:
        opened.make_bucket(bucket)
        short_lived.place.values["storage_url"] = f"s3://{bucket}/live"
        short_lived.place.values["storage"] = opened.options()
        yield opened


def both_wires(rig):
    """Three jobs on either wire, submitted by a process that does not open the store: to open a folder makes it."""
    door = replace(rig.place, values={**rig.place.values, "storage_url": "memory:"})
    return [*door.submit(3, name="a kite"), *door.submit(3, wire="v3", name="a boat")]


def outlive_the_addresses(rig, jobs):
    """Every job is paid for, its picture is on the spool and holds no slot; then its address dies."""
    spool = rig.place.home / "spool"
    until(
        lambda: len(list(spool.glob("at_*/0"))) == len(jobs),
        "every picture on the spool",
        tell=rig.place.logs,
    )
    assert rig.place.rows("SELECT count(*) FROM attempts WHERE slot IS NOT NULL")[0][0] == 0
    rig.emulator.control.settings(clock_offset_s=LATER_S)


def judged(rig, server):
    """What the judge has to say, the bucket's objects seen."""
    objects = server.objects(bucket_of(rig), "live")
    return judge(read_evidence(rig.place, rig.emulator.control, objects=objects))


def test_a_bucket_that_is_away_costs_no_picture(short_lived, server):
    """S3 refuses connections for longer than the addresses live; afterwards everything comes home by itself."""
    rig = short_lived
    worker = rig.start()
    server.go_away()
    rig.signals += 1
    jobs = both_wires(rig)
    outlive_the_addresses(rig, jobs)
    worker.wait_for("run.store_failed", tries=4)
    assert set(rig.place.states(jobs)) == {"running"}
    server.come_back()
    assert rig.place.wait_until_settled(jobs) == ["completed"] * 6
    assert judged(rig, server) == []


@pytest.mark.slow
def test_a_worker_killed_during_the_outage_leaves_its_pictures_to_the_next(short_lived, server):
    """The next worker on the same disk finds them on the spool, though their addresses are long dead."""
    rig = short_lived
    worker = rig.start()
    server.go_away()
    rig.signals += 1
    jobs = both_wires(rig)
    outlive_the_addresses(rig, jobs)
    rig.kill(worker)
    server.come_back()
    rig.start()
    assert rig.place.wait_until_settled(jobs) == ["completed"] * 6
    assert judged(rig, server) == []


@pytest.mark.slow
def test_pictures_on_the_disk_of_a_dead_worker_wait_for_a_worker_on_that_disk(short_lived, server, tmp_path):
    """A worker on another machine cannot have them, unless a poll gives it another address; it calls none of them lost."""
    rig = short_lived
    first = rig.start()
    server.go_away()
    rig.signals += 1
    jobs = both_wires(rig)
    outlive_the_addresses(rig, jobs)
    rig.kill(first)
    server.come_back()
    # An address that should be good by its own word is tried for a while; one that is dead is not.
    impatient = {**rig.place.values, "generation": {"home_patience_s": 0.5}}
    elsewhere = rig.place.elsewhere(tmp_path / "elsewhere", values=impatient)
    other = rig.start(elsewhere)
    unpolled = jobs[3:]  # V3 answers at once and gives no id to ask again by
    until(
        lambda: (
            sum(other.count("run.left", to="queued", reason=why) for why in ("download", "spool"))
            >= len(unpolled)
        ),
        "each job to be left for the worker on that disk",
        tell=elsewhere.logs,
    )
    assert set(rig.place.states(unpolled)) <= {"running", "queued: download", "queued: spool"}
    rig.kill(other)
    rig.start()
    assert rig.place.wait_until_settled(jobs) == ["completed"] * 6
    assert judged(rig, server) == []


def test_a_folder_that_is_gone_stops_buying_and_costs_no_picture(short_lived):
    """What was bought is held for a person and waits on the spool; what was not is not bought before the store is back."""
    rig, images = short_lived, short_lived.place.home / "images"
    rig.start()
    away = images.rename(images.with_name("unmounted"))
    rig.signals += 1
    jobs = both_wires(rig)
    held, waiting = "held: storage", "queued: storage"
    until(
        lambda: held in (states := set(rig.place.states(jobs))) and states <= {held, waiting},
        "every job to wait for the store",
        tell=rig.place.logs,
    )
    rig.emulator.control.settings(clock_offset_s=LATER_S)
    away.rename(images)
    for job, state in zip(jobs, rig.place.states(jobs), strict=True):
        if state == held:
            rig.place.ask(lambda app, job=job: app.decisions.retry(job))
    assert rig.settled(jobs) == ["completed"] * 6
    assert len(rig.ledger()) == 6


@pytest.mark.slow
def test_a_lost_disk_costs_no_picture_where_the_vendor_can_be_asked_again(rig):
    """Asynchronous generations are polled for fresh addresses when the spool is gone with its machine."""
    rig.emulator.control.settings(url_life_s=URL_LIFE_S)
    jobs = rig.place.submit(3)
    rig.killed(rig.start(kill_at="run.spooled:3"))
    shutil.rmtree(rig.place.home / "spool")
    rig.signals += 1
    rig.emulator.control.settings(clock_offset_s=LATER_S)
    rig.start()
    assert rig.settled(jobs) == ["completed"] * 3
    assert len(rig.ledger()) == 3
