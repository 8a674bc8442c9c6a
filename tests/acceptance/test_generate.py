"""`pressroom generate` from the terminal: a prompt becomes an image on disk, found again by other commands."""

from __future__ import annotations

import hashlib
import signal
import time
from pathlib import Path

from tests.support.waiting import eventually


def test_a_prompt_becomes_an_image_with_its_record(shell):
    """Path, record and cost; the emulator says plainly that it stands in."""
    ran = shell.pressroom(
        "generate", "a red bicycle", "--aspect-ratio", "16x9", "--seed", 7, "--tag", "bikes", "--json"
    )

    assert ran.code == 0, ran.err
    assert "the emulator answers, nothing is bought" in ran.err
    (asset,) = ran.json["assets"]
    stored = Path(asset["location"])
    assert stored.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert hashlib.sha256(stored.read_bytes()).hexdigest() == asset["sha256"]
    assert (asset["prompt"], asset["seed"], asset["tags"]) == ("a red bicycle", 7, ["bikes"])
    assert ran.json["state"] == "completed"
    assert ran.json["cost_usd"] == 0.06 == asset["cost_usd"]
    assert stored.is_relative_to(shell.home)


def test_other_commands_find_it(shell):
    """`jobs list`, `jobs show` and `assets show` tell the same story."""
    made = shell.pressroom("generate", "a kite", "--json").json

    listed = shell.pressroom("jobs", "list", "--json").json
    shown = shell.pressroom("jobs", "show", made["id"], "--json").json
    asset = shell.pressroom("assets", "show", made["assets"][0]["id"], "--json").json

    assert [job["id"] for job in listed] == [made["id"]]
    assert shown == listed[0]
    assert asset == made["assets"][0]
    assert shown["attempts"][0]["outcome"] == "bought"


def test_several_images_share_the_cost(shell):
    """Three images from one request; their shares add up to what was paid."""
    made = shell.pressroom("generate", "three lanterns", "-n", 3, "--json").json

    assert len({asset["sha256"] for asset in made["assets"]}) == 3
    assert round(sum(asset["cost_usd"] for asset in made["assets"]), 6) == made["cost_usd"] == 0.18


def test_every_wire_brings_the_image_home(shell):
    """v2, v4, v3 and the legacy API."""
    for wire in ("v2", "v4", "v3", "legacy"):
        ran = shell.pressroom("generate", "a lighthouse", "--wire", wire, "--json")

        assert ran.code == 0, ran.err
        assert ran.json["operation"].startswith(wire)


def test_a_filtered_result_is_told_and_shown_to_nobody(shell):
    """Exit code 1, a reason, and no file."""
    ran = shell.pressroom("generate", "something [emulator:unsafe]", "--json")

    assert ran.code == 1
    assert (ran.json["state"], ran.json["filtered_count"], ran.json["assets"]) == ("filtered", 1, [])
    assert not list(shell.home.rglob("*.png"))


def test_a_refused_prompt_costs_nothing(shell):
    """422: filtered, nothing bought."""
    ran = shell.pressroom("generate", "something [emulator:refuse]", "--json")

    assert ran.code == 1
    assert (ran.json["state"], ran.json["cost_usd"]) == ("filtered", 0)


def test_without_waiting_a_worker_does_it_later(shell):
    """`--no-wait` prints the id; a worker started afterwards finds the job; SIGTERM ends it in order."""
    job_id = shell.pressroom("generate", "a quiet harbour", "--no-wait").out.strip()
    assert shell.pressroom("jobs", "show", job_id, "--json").json["state"] == "queued"

    worker = shell.popen("worker")
    try:
        eventually(lambda: shell.pressroom("jobs", "show", job_id, "--json").json["state"] == "completed")
    finally:
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=30)

    assert worker.returncode == 0, err
    assert [one["state"] for one in shell.pressroom("worker", "list", "--json").json] == ["stopped"]


def test_a_job_that_waits_can_be_cancelled_once(shell):
    """Nothing was sent, so nothing is paid; a second time it says why not."""
    job_id = shell.pressroom("generate", "never mind", "--no-wait").out.strip()

    assert shell.pressroom("jobs", "cancel", job_id).code == 0
    again = shell.pressroom("jobs", "cancel", job_id)

    assert again.code == 1
    assert "cancelled" in again.err


def test_the_deadline_gives_up_waiting_and_not_the_job(shell):
    """Exit code 3 with the way to follow it; the next worker finishes it."""
    ran = shell.pressroom("generate", "slow one", "--deadline", 1, PRESSROOM_EMULATOR__TIME_SCALE="1")

    assert ran.code == 3
    assert "pressroom jobs show job_" in ran.err
    (job,) = shell.pressroom("jobs", "list", "--json").json
    assert job["state"] in {"queued", "running"}


def test_ctrl_c_leaves_the_job_to_the_next_worker(shell):
    """It says how to follow it, and the job ends well without being bought twice."""
    process = shell.popen("generate", "interrupted", PRESSROOM_EMULATOR__TIME_SCALE="0.3")
    eventually(
        lambda: (shell.pressroom("jobs", "list", "--json").json or [{}])[0].get("stage") == "generating"
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    (job,) = shell.pressroom("jobs", "list", "--json").json

    assert process.returncode == 130
    assert f"pressroom jobs show {job['id']}" in err
    other = shell.pressroom("generate", "the next one")
    assert other.code == 0, other.err
    eventually(
        lambda: (
            shell.pressroom("jobs", "show", job["id"], "--json").json["state"] == "completed" or _work(shell)
        )
    )
    assert [
        attempt["outcome"]
        for attempt in shell.pressroom("jobs", "show", job["id"], "--json").json["attempts"]
    ] == ["bought"]


def _work(shell):
    """Give the job another worker for a moment."""
    worker = shell.popen("worker")
    time.sleep(2)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    return False


def test_standard_input_is_a_prompt_too(shell):
    """`-` reads it."""
    ran = shell.pressroom("generate", "-", "--json", stdin="from another program")

    assert ran.json["request"]["prompt"] == "from another program"
