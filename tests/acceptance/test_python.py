"""Pressroom from Python, in a process of its own: there is one engine per process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

START = """
import asyncio, shutil, pressroom
from pathlib import Path

async def main(app):
{body}

async def run():
    async with pressroom.open_app() as app:
        await asyncio.wait_for(main(app), 40)

asyncio.run(run())
"""


def python(shell, body, **environment):
    """Run `body` with an open app; what it prints."""
    program = START.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=shell.folder,
        env={**shell.environment, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout.split()


def test_two_callers_at_once_share_one_worker(shell):
    """Both get their image, and one worker has made them."""
    out = python(
        shell,
        """
        first, second = await asyncio.gather(app.generate("a kite"), app.generate("a boat"))
        print(first.state, second.state, len(await app.workers()))
        """,
    )

    assert out == ["completed", "completed", "1"]


def test_a_caller_who_leaves_while_the_worker_starts_leaves_nothing_broken(shell):
    """At whatever moment of the start; the next caller gets his image."""
    out = python(
        shell,
        """
        for moment in (0.001, 0.02, 0.05, 0.1, 0.2):
            try:
                await asyncio.wait_for(app.start_worker(), moment)
            except TimeoutError:
                continue
            break
        job = await app.generate("a kite")
        live = [worker for worker in await app.workers() if worker.state == "live"]
        print(job.state, len(live))
        """,
    )

    assert out == ["completed", "1"]


def test_a_worker_starts_without_its_store_and_buys_nothing_until_it_is_back(shell):
    """What was bought before must come home even then; what is asked for waits."""
    out = python(
        shell,
        """
        from pressroom import ImageRequest
        print((await app.generate("a kite")).state)
        await app.stop_worker()
        images = app.settings.home / "images"
        images.rename(app.settings.home / "unmounted")
        job_id = await app.submit(ImageRequest(prompt="a boat"))
        """,
    )
    assert out == ["completed"]

    out = python(
        shell,
        """
        [waiting] = await app.jobs(states=[pressroom.JobState.QUEUED])
        await app.start_worker()
        await asyncio.sleep(1.5)
        job = await app.job(waiting.id)
        print([attempt.state.value for attempt in job.attempts if attempt.sending_at], job.state)
        (app.settings.home / "unmounted").rename(app.settings.home / "images")
        print((await app.wait(waiting.id)).state)
        """,
        PRESSROOM_GENERATION__BACKOFF_S="0.2",
        PRESSROOM_GENERATION__BACKOFF_MAX_S="1",
    )
    assert out[0] == "[]"
    assert out[-1] == "completed"


def test_another_vendors_job_is_not_adopted_here(shell, emulator):
    """The emulator knows nothing of the vendor's ids, and its answer would invite a second purchase."""
    made = shell.pressroom(
        "generate", "a kite", "--no-wait", IDEOGRAM_BASE_URL=emulator.base_url, IDEOGRAM_API_KEY="any"
    )

    ran = shell.pressroom("jobs", "resolve", made.out.strip(), "--adopt", "9BHkWC5QTV-YRq5uM1zN3A")

    assert ran.code == 1
    assert "this process speaks to emulator" in ran.err


def test_many_jobs_are_submitted_at_once_or_not_at_all(shell):
    """Twelve hundred in order; one that cannot be sent keeps all of them out."""
    out = python(
        shell,
        """
        from pressroom import ImageRequest
        asked = [ImageRequest(prompt=f"kite {number}") for number in range(1200)]
        try:
            await app.submit_many([*asked, ImageRequest(prompt="a", size="7x7")])
        except pressroom.InvalidRequest as error:
            print(error.field, len(await app.jobs(limit=1)))
        ids = await app.submit_many(asked)
        newest = await app.jobs(limit=1)
        print(len(ids), ids == sorted(ids), newest[0].job.request["prompt"] == "kite 1199")
        """,
    )

    assert out == ["size", "0", "1200", "True", "True"]
