"""The bodies of answers: images, acknowledgements, polls and refusals. Source: reference sections 2, 3, 6 to 9, 15."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pressroom.emulator.generations import Generation
    from pressroom.emulator.operations import Api, Shape

    Address = Callable[[Generation, int], str]


def json_answer(
    body: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with a JSON body."""
    content = json.dumps(body, separators=(",", ":")).encode()
    return Response(content, status, headers=headers, media_type="application/json")


def rfc3339(seconds: float) -> str:
    """A time of the vendor's clock as it stands in `created`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _address(generation: Generation, index: int, address: Address) -> dict[str, object]:
    if generation.safe[index]:
        return {"url": address(generation, index)}
    # An unsafe image has a null, an empty or no address (reference section 12): each in its turn.
    shapes: tuple[dict[str, object], ...] = ({"url": None}, {"url": ""}, {})
    return shapes[(generation.seq + index) % len(shapes)]


def _images(generation: Generation, address: Address, shape: Shape | None) -> list[dict[str, object]]:
    items = []
    size = f"{generation.width}x{generation.height}"
    picture_size = f"{generation.picture_width}x{generation.picture_height}"
    for index, seed in enumerate(generation.seeds):
        item = _address(generation, index, address)
        item |= {"prompt": generation.prompt, "resolution": size, "seed": seed}
        item["is_image_safe"] = generation.safe[index]
        if shape in ("legacy", "v3") and generation.style_type is not None:
            item["style_type"] = generation.style_type
        if shape == "v3" and picture_size != size:
            item["upscaled_resolution"] = picture_size
        items.append(item)
    return items


def success(
    generation: Generation, shape: Shape, *, asynchronous: bool, created: float, address: Address
) -> Response:
    """The answer to an accepted request."""
    if shape == "ack":
        return json_answer({"generation_id": generation.id})
    if shape in ("g", "g45"):
        body: dict[str, object] = {"generation_id": generation.id, "seed": generation.seeds[0]}
        if shape == "g45":
            body["generation_kind"] = "sampling"
        if not asynchronous:
            body["data"] = _images(generation, address, shape)
        return json_answer(body)
    body = {"created": rfc3339(created), "data": _images(generation, address, shape)}
    if shape == "v4":
        body["response_type"] = "url"
    return json_answer(body)


def poll(
    generation: Generation, api: Api, state: str, created: float, address: Address, *, cost: bool
) -> Response:
    """The answer to a poll."""
    body: dict[str, object] = {"generation_id": generation.id, "status": state, "created": rfc3339(created)}
    if state == "completed":
        body["response_type"] = "url"
        items = _images(generation, address, None)
        body["data"] = (
            [{"object_type": "image.generation", **item} for item in items] if api == "v2" else items
        )
        if cost:
            body["usage_cost_usd_micros"] = generation.billed_micros
    if state == "failed" and generation.failure_reason and api == "v2":
        body["failure_reason"] = generation.failure_reason
    return json_answer(body)


_TYPED_ON_V2: Final = frozenset({402, 429})


def refusal(
    api: Api,
    status: int,
    sentence: str,
    *,
    reason: str = "",
    inflight_limit: int = 0,
    retry_after: int | None = None,
) -> Response:
    """
    An answer that declines.

    A 422 has `error`; a 402 or 429 of v2 is typed where it has a reason; for everything else the vendor types nothing
    (reference section 3), and the emulator says `message`.

    Args:
        api: Generation of the API.
        status: HTTP status.
        sentence: For a person.
        reason: `reject_reason`, where the answer is typed.
        inflight_limit: The limit, told with reason `inflight_limit`.
        retry_after: Seconds for a `Retry-After` header, None for no header.
    """
    headers = None if retry_after is None else {"Retry-After": str(retry_after)}
    if reason and api == "v2" and status in _TYPED_ON_V2:
        body: dict[str, object] = {"error": sentence, "reject_reason": reason}
        if reason == "inflight_limit":
            body |= {"max_inflight_requests": inflight_limit, "task_completion_speed": "fast"}
        return json_answer(body, status, headers)
    return json_answer({"error" if status == 422 else "message": sentence}, status, headers)
