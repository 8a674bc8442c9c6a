"""Answering a poll and the download of a picture."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from pressroom.emulator import answers, playing
from pressroom.emulator.generations import find
from pressroom.emulator.pictures import SIGNATURE

if TYPE_CHECKING:
    from starlette.requests import Request

    from pressroom.emulator.core import Emulator
    from pressroom.emulator.generations import Generation
    from pressroom.emulator.operations import Api
    from pressroom.emulator.pictures import PictureSpec
    from pressroom.emulator.script import Verdict

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
"""URL-safe base64, 22 characters in the vendor's examples (reference section 15)."""

_IMAGE: Final = re.compile(r"([A-Za-z0-9_-]{22})-([0-7])")

_INLINE_PIXELS: Final = 2048 * 2048
"""Pixels up to which a picture is drawn on the event loop; drawing takes a few milliseconds."""


def _over_poll_limit(emulator: Emulator) -> bool:
    limit = emulator.settings.poll_limit_per_s
    if limit is None:
        return False
    second = int(time.time())
    with emulator.books.transaction():
        emulator.books.execute("DELETE FROM mark WHERE name GLOB 'polls:*' AND name <> ?", f"polls:{second}")
        (count,) = emulator.books.execute(
            "INSERT INTO mark VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
            f"polls:{second}",
        ).fetchone()
    return bool(count > limit)


def _with_cost(emulator: Emulator, generation: Generation) -> bool:
    wanted = emulator.options.usage_cost
    return wanted == "always" or (wanted == "variable" and generation.variable_price)


def _poll_answer(emulator: Emulator, request: Request, api: Api) -> Response:
    if emulator.accepted_key(request) is None:
        return answers.refusal(api, 401, "The Api-Key header is missing or names no valid key")
    if _over_poll_limit(emulator):
        return answers.refusal(api, 429, "Too many polls", retry_after=1)
    generation_id = request.path_params["generation_id"]
    if not _ID.fullmatch(generation_id):
        return answers.refusal(api, 400, "The generation id is malformed")
    generation = find(emulator.books, generation_id)
    if generation is None:
        return answers.refusal(api, 404, "There is no such generation")
    state = generation.state(time.time())
    created = emulator.told_time(generation.accepted_at)
    cost = _with_cost(emulator, generation)
    return answers.poll(generation, api, state, created, emulator.addresses(request), cost=cost)


async def poll(emulator: Emulator, request: Request, api: Api) -> Response:
    """Answer one poll."""
    verdict = emulator.decide("poll", f"{api}.poll")
    if not await playing.stays(request.receive, verdict.delay_s):
        return playing.close()
    fault = verdict.answer
    if fault is None:
        return _poll_answer(emulator, request, api)
    if fault.manner == "status":
        retry_after = int(float(str(verdict.params["seconds"]))) if "seconds" in verdict.params else None
        sentence = f"Declined by the fault script: {fault.name}"
        return answers.refusal(api, fault.status, sentence, retry_after=retry_after)
    return playing.spoil(fault.manner, _poll_answer(emulator, request, api), verdict.params)


async def _picture(emulator: Emulator, spec: PictureSpec) -> bytes:
    if spec.width * spec.height <= _INLINE_PIXELS:
        return emulator.draw(spec)
    return await asyncio.to_thread(emulator.draw, spec)


async def _download_answer(emulator: Emulator, request: Request) -> Response:
    image = request.path_params["image"]
    expires, signature = request.query_params.get("exp", ""), request.query_params.get("sig", "")
    match = _IMAGE.fullmatch(image)
    genuine = hmac.compare_digest(emulator.signature(image, expires).encode(), signature.encode())
    if not match or not genuine:
        return Response("This address is not valid.", 403, media_type="text/plain")
    settings_now = emulator.settings.clock_offset_s + time.time()
    if settings_now >= int(expires):
        return Response("This address has expired.", 403, media_type="text/plain")
    generation = find(emulator.books, match[1])
    index = int(match[2])
    if generation is None or index >= len(generation.seeds) or not generation.safe[index]:
        return Response("There is no such image.", 404, media_type="text/plain")
    return Response(await _picture(emulator, generation.picture(index)), media_type="image/png")


def _garbage(length: int) -> bytes:
    return b"".join(hashlib.sha256(b"%d" % block).digest() for block in range(length // 32 + 1))[:length]


def _spoiled_picture(name: str, answer: Response, verdict: Verdict) -> Response:
    body = bytes(answer.body)
    middle = len(body) // 2
    if name == "download_oversized":
        return playing.streamed(
            SIGNATURE, int(str(verdict.params["bytes"])), declared=bool(verdict.params["declared"])
        )
    contents = {
        "download_cut": (body[:middle], "image/png"),
        "download_corrupt": (body[:middle] + _garbage(16) + body[middle + 16 :], "image/png"),
        "download_garbage": (_garbage(len(body)), "image/png"),
        "download_empty": (b"", "image/png"),
        "download_html": (b"<!doctype html><html><body>Please sign in.</body></html>", "text/html"),
        "download_text": (b"The image is being prepared.", "text/plain"),
    }
    content, media_type = contents[name]
    return Response(content, media_type=media_type)


async def download(emulator: Emulator, request: Request) -> Response:
    """Answer the download of one picture."""
    verdict = emulator.decide("download", "download")
    if not await playing.stays(request.receive, verdict.delay_s):
        return playing.close()
    fault = verdict.answer
    if fault is None:
        return await _download_answer(emulator, request)
    if fault.manner == "status":
        return Response(f"Declined by the fault script: {fault.name}", fault.status, media_type="text/plain")
    if fault.manner == "redirect":
        return Response(status_code=302, headers={"Location": str(verdict.params["location"])})
    answer = await _download_answer(emulator, request)
    if fault.manner == "image":
        return _spoiled_picture(fault.name, answer, verdict)
    return playing.spoil(fault.manner, answer, verdict.params)
