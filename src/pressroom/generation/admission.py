"""Admission: a request becomes a job row. No money moves, and nothing that is wrong with a request gets past here."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pressroom.database import new_id, now_ms
from pressroom.errors import InvalidRequest
from pressroom.fleet.families import family_of
from pressroom.fleet.flows import ensure
from pressroom.generation.jobs import JobState, Priority
from pressroom.generation.tables import jobs
from pressroom.ideogram import DEFAULT_MODEL_OF_WIRE, Wire, route

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.ideogram import Call, ImageRequest

MOST_TAGS = 50
"""Tags of one job, and entries of its metadata; enough to find it by, too few to misuse the row as storage."""
LONGEST_TAG = 200
"""Characters of a project's name, a tag, a metadata name or a metadata value."""

_UNLABELLED = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""What no label holds: control characters, and halves of surrogate pairs."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """
    What somebody asks for, with what only we need to know about it.

    Attributes:
        request: The pictures.
        wire: Which generation of the vendor's API carries it.
        tags: Words to find its assets by.
        metadata: Names and values that travel with the job; `campaign`, `product` and `format` get columns of their own.
        project: Whose it is.
        priority: Whether somebody waits for it.
        fallback: What its caller gets while the vendor cannot be asked; None: as the project says.
        buy_before: Milliseconds since the epoch; after it the job is cancelled instead of bought.
    """

    request: ImageRequest
    wire: Wire = Wire.AUTO
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    project: str = "default"
    priority: Priority = Priority.INTERACTIVE
    fallback: str | None = None
    buy_before: int | None = None

    def call(self) -> Call:
        """
        The vendor's request that carries it; also what admits or refuses it.

        Raises:
            InvalidRequest: It cannot be sent, and why.
        """
        _check_labels(self.tags, self.metadata)
        check_project(self.project)
        _check_storable(self.request)
        return route(self.request, self.wire)


def _check_labels(tags: Sequence[str], metadata: Mapping[str, str]) -> None:
    for name, values in (("tags", list(tags)), ("metadata", [*metadata, *metadata.values()])):
        if len(values) > MOST_TAGS * (1 if name == "tags" else 2):
            raise InvalidRequest(name, f"({len(values)} given)", f"at most {MOST_TAGS} are kept")
        for value in values:
            if len(value) > LONGEST_TAG or _UNLABELLED.search(value):
                raise InvalidRequest(
                    name,
                    f"({len(value)} characters)",
                    f"each has at most {LONGEST_TAG}, no control characters",
                )
    for name, words in (("tags", tags), ("metadata", metadata)):
        if any(not word.strip() for word in words):
            raise InvalidRequest(
                name, "(blank)", "a tag or a metadata name has at least one visible character"
            )


def check_project(name: str) -> None:
    """
    See that a project may have this name.

    Raises:
        InvalidRequest: It is blank, too long, or holds what no label does.
    """
    if not name.strip() or len(name) > LONGEST_TAG or _UNLABELLED.search(name):
        raise InvalidRequest(
            "project", f"({len(name)} characters)", f"1 to {LONGEST_TAG} characters, no control characters"
        )


def _check_storable(request: ImageRequest) -> None:
    """Refuse what no database can hold, on every database alike: Postgres takes no NUL, and UTF-8 no half a pair."""
    for name, value in request.model_dump(exclude_none=True).items():
        if any(re.search(r"[\x00\ud800-\udfff]", text) for text in _texts(value)):
            raise InvalidRequest(
                name, "(broken text)", "it holds a NUL character or half of a surrogate pair"
            )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(name)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def request_hash(call: Call) -> str:
    """Equal for requests that ask for the same picture: every field that the vendor gets, and nothing else."""
    return hashlib.sha256(json.dumps(call.to_json(), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


_NEW = sa.insert(jobs).values(eligible_at=now_ms(), created_at=now_ms())


async def admit(
    connection: AsyncConnection, wanted: Sequence[tuple[Submission, Call]], *, upstream: str
) -> list[str]:
    """
    Write many job rows in one statement; on Postgres that spares the way to the server and back for each.

    Args:
        connection: An open write transaction.
        wanted: What is asked for, each with what its `call()` gave; some hundreds at a time keep memory flat.
        upstream: The vendor's host, or `emulator`; the jobs never change it.

    Returns:
        The jobs' ids in the same order.
    """
    rows = [_row(submission, call, upstream) for submission, call in wanted]
    if rows:
        await connection.execute(_NEW, rows)
        await ensure(connection, {(upstream, row["project"], row["priority"], row["family"]) for row in rows})
    return [row["id"] for row in rows]


def _row(submission: Submission, call: Call, upstream: str) -> dict[str, Any]:
    return {
        "id": new_id("job"),
        "upstream": upstream,
        "project": submission.project,
        "priority": submission.priority,
        "family": family_of(call.operation),
        "resting": False,
        "fallback": submission.fallback,
        "buy_before": submission.buy_before,
        "state": JobState.QUEUED,
        "request": {
            "model": DEFAULT_MODEL_OF_WIRE[submission.wire],
            **submission.request.model_dump(mode="json", exclude_none=True),
        },
        "call": call.to_json(),
        "request_hash": request_hash(call),
        "tags": sorted(set(submission.tags)),
        "metadata": dict(submission.metadata),
        "continuing": False,
        "dispatches": 0,
        "failures": 0,
        "backoffs": 0,
        "filtered_count": 0,
        "missing": [],
    }
