"""Bring bought images home: vendor's address, spool, object store, then the records and the job's end together."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pressroom.catalog.assets import Asset
from pressroom.database import at
from pressroom.errors import (
    DownloadExpired,
    DownloadRejected,
    GenerationNotFound,
    KeyRefused,
    StorageDenied,
    StorageError,
    StorageFull,
    StorageUnavailable,
    VendorError,
)
from pressroom.generation.jobs import HeldFor, JobState
from pressroom.generation.run import records, settling
from pressroom.generation.run.outcomes import backoff_s
from pressroom.generation.run.polling import poll
from pressroom.ideogram import Image, Status, examine, expiry_of
from pressroom.storage import object_key
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pathlib import Path

    from pressroom.generation.run.context import Run
    from pressroom.ideogram import Download

log = event_logger(__name__)

FIRST_WAIT_S = 0.2
"""Seconds before the first repeat of a download or a store; doubles up to `MOST_WAIT_S`."""
MOST_WAIT_S = 5.0

OTHER_SPOOL_S = 86400.0
"""Seconds that a job waits for the worker whose disk holds its pictures, once the vendor's addresses are dead."""


class _Missing(Exception):
    """This image cannot be brought home any more; the text says why."""


class _Stopped(Exception):
    """
    This run cannot bring it home; another one can.

    Args:
        to: `queued` when it may work by itself after a while, `held` when only a person can help.
        reason: One word.
        message: What is wrong and what to do.
    """

    def __init__(self, to: JobState, reason: str, message: str) -> None:
        super().__init__(message)
        self.to = to
        self.reason = reason


@dataclass(frozen=True)
class _Home:
    position: int
    image: Image
    file: Download
    key: str


async def bring_home(run: Run) -> None:
    """
    Bring every safe image of a bought attempt home and end the job.

    A storage outage is waited out without holding a slot; after `home_patience_s` the run lets others have its place
    and comes back. What a crash left on the spool or in the store is used, not fetched again.
    """
    images = [Image.from_json(stored) for stored in run.attempt.answer or []]
    safe = [(position, image) for position, image in enumerate(images) if image.is_image_safe and image.url]
    results = await asyncio.gather(
        *(_bring(run, position, image) for position, image in safe), return_exceptions=True
    )
    await _end(run, len(images), [position for position, _ in safe], results)


async def _end(run: Run, count: int, positions: list[int], results: list[_Home | BaseException]) -> None:
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, _Missing | _Stopped):
            raise result
    stopped = [result for result in results if isinstance(result, _Stopped)]
    if stopped:  # a person's help first: while that is missing, time does not help
        first = min(stopped, key=lambda found: found.to is not JobState.HELD)
        await settling.leave(run, to=first.to, reason=first.reason, message=str(first))
        return
    home = [result for result in results if isinstance(result, _Home)]
    missing = [
        {"position": position, "reason": str(result)}
        for position, result in zip(positions, results, strict=True)
        if isinstance(result, _Missing)
    ]
    filtered_count = count - len(results)
    assets = [_asset(run, found, count) for found in home]
    log.debug("run.stored", **run.facts)
    state, message = _verdict(len(home), filtered_count, missing)
    if await records.record_home(
        run, assets, state=state, filtered_count=filtered_count, missing=missing, message=message
    ):
        log.info("run.home", **run.facts, images=len(home), filtered=filtered_count, missing=len(missing))
        await asyncio.to_thread(run.parts.spool.discard, run.attempt.id)
    else:
        log.warning("run.overtaken", **run.facts)


def _verdict(home: int, filtered_count: int, missing: list[dict[str, Any]]) -> tuple[JobState, str | None]:
    if home:
        return JobState.COMPLETED, None
    if missing:
        return JobState.FAILED, f"bought, but no image could be brought home: {missing[0]['reason']}"
    if filtered_count:
        return JobState.FILTERED, "the vendor's safety check let no image through"
    return JobState.FAILED, "the vendor's answer held no image"


async def _bring(run: Run, position: int, image: Image) -> _Home:
    try:
        file, path = await _fetch(run, position, image)
    except StorageError as error:
        raise _Stopped(JobState.QUEUED, "storage", error.message) from error
    log.debug("run.spooled", **run.facts, position=position)
    asset_id = asset_id_of(run.attempt.id, position)
    key = object_key(
        created_at=at(run.attempt.ended_at or run.attempt.created_at),
        seed=image.seed,
        asset_id=asset_id,
        extension=file.extension,
    )
    metadata = {"source": "ideogram"} | ({"seed": str(image.seed)} if image.seed is not None else {})
    deadline = time.monotonic() + run.parts.settings.home_patience_s
    tries = 0
    while True:
        try:
            await run.parts.store.put(
                key, path, content_type=file.content_type, metadata=metadata, share=True
            )
        except (StorageUnavailable, StorageFull) as error:
            tries += 1
            log.warning("run.store_failed", **run.facts, error=type(error).__name__, tries=tries)
            if time.monotonic() > deadline:
                raise _Stopped(JobState.QUEUED, "storage", error.message) from error
            await asyncio.sleep(backoff_s(tries, first_s=FIRST_WAIT_S, most_s=MOST_WAIT_S))
        except StorageError as error:
            if isinstance(error, StorageDenied):
                run.parts.keeping.refused(error)
            raise _Stopped(JobState.HELD, HeldFor.STORAGE, error.message) from error
        else:
            return _Home(position, image, file, key)


def asset_id_of(attempt_id: str, position: int) -> str:
    """The same for every run of an attempt, so that a repeated run stores and records nothing twice."""
    return f"as_{attempt_id.partition('_')[2]}{position}"


async def _fetch(run: Run, position: int, image: Image) -> tuple[Download, Path]:
    """The image on the spool: what a run before us finished there, else a download."""
    spool = run.parts.spool
    finished = await asyncio.to_thread(spool.finished, run.attempt.id)
    if position in finished:
        try:
            return await examine(finished[position]), finished[position]
        except DownloadRejected as error:  # spoiled by the disk; a download takes its place
            log.warning("run.spool_spoiled", **run.facts, position=position, error=type(error).__name__)
    deadline = time.monotonic() + run.parts.settings.home_patience_s
    tries = rejected = 0
    url = image.url or ""
    path = await spool.prepare(run.attempt.id, position)
    while True:
        log.debug("run.downloading", **run.facts, position=position)
        try:
            with run.parts.keys.using() as key:
                file = await key.client.download(
                    url, path, limit_bytes=run.parts.client_settings.download_limit_bytes
                )
        except (VendorError, StorageError) as error:
            tries += 1
            rejected += isinstance(error, DownloadRejected)
            log.warning(
                "run.download_failed",
                **run.facts,
                error=type(error).__name__,
                status=getattr(error, "status", None),
            )
            await settling.note_vendor_failure(run, error)
            if rejected >= run.parts.settings.download_tries:
                raise _Missing(error.message) from error
            if time.monotonic() > deadline:
                raise _Stopped(JobState.QUEUED, "download", error.message) from error
            url = await _fresh_address(run, position, url, error)
        else:
            await records.note_spool(run)
            return file, path
        await asyncio.sleep(backoff_s(tries, first_s=FIRST_WAIT_S, most_s=MOST_WAIT_S))


async def _fresh_address(run: Run, position: int, url: str, error: Exception) -> str:
    """
    A new address where the old one is dead or brings rubbish and the wire can be asked again; else the old one.

    Raises:
        _Missing: The address is dead and there is no other.
    """
    if not isinstance(error, DownloadExpired | DownloadRejected):
        return url
    if run.attempt.generation_id is not None:
        try:
            generation = await poll(run)
        except KeyRefused as refused:
            raise _Stopped(JobState.HELD, HeldFor.KEY, refused.message) from refused
        except GenerationNotFound:
            return await _old_address(run, url, error)
        except VendorError:
            return url
        if generation.status is Status.COMPLETED and position < len(generation.images):
            fresh = generation.images[position].url
            if fresh and fresh != url:
                await records.note_answer(run, generation)
                return fresh
    return await _old_address(run, url, error)


async def _old_address(run: Run, url: str, error: Exception) -> str:
    if isinstance(error, DownloadExpired) and not _may_come_back(url):
        await _give_up(run, error)
    return url


def _may_come_back(url: str) -> bool:
    """Whether the address says itself that it should still be good: then a refusal may be a passing one."""
    expires_at = expiry_of(url)
    return expires_at is not None and expires_at > datetime.now(UTC)


async def _give_up(run: Run, error: DownloadExpired) -> None:
    """A dead address is the end of it, unless another worker's disk still holds the file and may come back."""
    elsewhere = run.attempt.spool not in {None, run.parts.spool_id}
    if elsewhere and await records.seconds_since(run.parts, run.attempt.ended_at) < OTHER_SPOOL_S:
        raise _Stopped(
            JobState.QUEUED,
            "spool",
            f"the file is on the spool of another worker ({run.attempt.spool}); start a worker there",
        )
    raise _Missing(error.message)


def _asset(run: Run, found: _Home, images: int) -> Asset:
    """The record of one image; the attempt's cost is divided so that the shares add up to it."""
    job, request = run.job, run.job.request
    cost = run.attempt.cost_micros or 0
    share = cost // images + (1 if found.position < cost % images else 0)
    prompt = request["prompt"]
    expanded = found.image.prompt if found.image.prompt and found.image.prompt != prompt else None
    return Asset(
        id=asset_id_of(run.attempt.id, found.position),
        job_id=job.id,
        attempt_id=run.attempt.id,
        position=found.position,
        upstream=job.upstream,
        project=job.project,
        generation_id=run.attempt.generation_id,
        prompt=prompt,
        expanded_prompt=expanded,
        negative_prompt=request.get("negative_prompt"),
        prompt_hash=job.request_hash,
        model=request["model"],
        style_type=found.image.style_type or request.get("style"),
        aspect_ratio=request.get("aspect_ratio"),
        seed=found.image.seed,
        resolution=found.image.resolution,
        width=found.file.width,
        height=found.file.height,
        is_safe=found.image.is_image_safe,
        original_url=found.image.url or "",
        stored_path=found.key,
        content_type=found.file.content_type,
        size_bytes=found.file.size_bytes,
        sha256=found.file.sha256,
        cost_micros=share,
        tags=job.tags,
        metadata=job.metadata,
        campaign=job.metadata.get("campaign"),
        product=job.metadata.get("product"),
        format=job.metadata.get("format"),
    )
