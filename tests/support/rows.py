"""Rows for tests that begin in the middle: jobs come through admission, attempts through a reservation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.catalog.assets import Asset
from pressroom.database import new_id
from pressroom.engine import Engine
from pressroom.generation.admission import Submission, admit
from pressroom.generation.jobs import JobState
from pressroom.generation.tables import jobs
from pressroom.ideogram import ImageRequest
from pressroom.spend.attempts import AttemptState
from pressroom.spend.reservations import Price, reserve
from pressroom.spend.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.database import Database

PROMPT = "a heron at dawn"
PRICE = Price(micros=72_002, expected_micros=60_001, source="table")
OPERATION = "v2/generate/ideogram-4-5"


async def add_job(
    connection: AsyncConnection, *, upstream: str = "emulator", prompt: str = PROMPT, **columns: Any
) -> str:
    """A job as admission writes it, then with `columns` set as they are."""
    submission = Submission(request=ImageRequest(prompt=prompt))
    [job_id] = await admit(connection, [(submission, submission.call())], upstream=upstream)
    if columns:
        await connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**columns))
    return job_id


async def add_attempt(
    connection: AsyncConnection,
    job_id: str,
    *,
    state: AttemptState = AttemptState.RESERVED,
    slot: int | None = 0,
    upstream: str = "emulator",
    **columns: Any,
) -> str:
    """An attempt in any state, without asking the state machine."""
    attempt_id = await reserve(
        connection,
        job_id=job_id,
        upstream=upstream,
        operation=OPERATION,
        project="default",
        campaign=None,
        model="ideogram-4-5",
        slot=slot,
        price=PRICE,
    )
    await connection.execute(
        sa.update(attempts).where(attempts.c.id == attempt_id).values(state=state, **columns)
    )
    return attempt_id


async def pair(
    database: Database, job_state: JobState, attempt_state: AttemptState, **columns: Any
) -> tuple[str, str]:
    """A job with one attempt, committed."""
    async with database.write() as connection:
        job_id = await add_job(connection, state=job_state)
        return job_id, await add_attempt(connection, job_id, state=attempt_state, **columns)


def asset(**values: Any) -> Asset:
    """A record with every field set."""
    attempt_id = values.get("attempt_id", new_id("at"))
    return Asset(
        **{
            "id": new_id("as"),
            "job_id": new_id("job"),
            "attempt_id": attempt_id,
            "position": 0,
            "upstream": "emulator",
            "project": "default",
            "generation_id": "gen-1",
            "prompt": PROMPT,
            "expanded_prompt": "a heron at dawn, in mist",
            "negative_prompt": "people",
            "prompt_hash": "9f" * 32,
            "model": "ideogram-4-5",
            "style_type": "realistic",
            "aspect_ratio": "1x1",
            "seed": 2_147_483_647,
            "resolution": "1024x1024",
            "width": 1024,
            "height": 768,
            "is_safe": True,
            "original_url": "https://pictures.example/1.png?exp=1",
            "stored_path": "2026/11/20/1-20261120T000000000Z-a.png",
            "content_type": "image/png",
            "size_bytes": 5_000_000_000,
            "sha256": "ab" * 32,
            "cost_micros": 60_001,
            "tags": ["birds", "ümläut"],
            "metadata": {"campaign": "spring", "shelf": "7"},
            "campaign": "spring",
            "product": "mug",
            "format": "banner",
            "reproduced_from": "as_earlier",
            "fallback": True,
            **values,
        }
    )


def engine_of(database: Database, *, executor_id: str = "tester", queue: str = "runs/emulator") -> Engine:
    """An engine that is not started; `connect()` is enough to owe runs."""
    return Engine(database, executor_id=executor_id, queue=queue, poll_s=0.02, runs=8)
