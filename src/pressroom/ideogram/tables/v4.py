"""Generate operations of the V4 API, synchronous and asynchronous (reference 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressroom.ideogram.operations import (
    Api,
    Body,
    Field,
    Mode,
    Operation,
    Response,
    Webhook,
    fields,
    group,
)
from pressroom.ideogram.tables import common, enums

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROMPTS = (common.text("text_prompt", minimum=1), common.STRUCTURED_PROMPT)
_GENERATE = fields(
    *_PROMPTS,
    common.choice("resolution", enums.SIZES_V4),
    common.choice("rendering_speed", enums.SPEEDS_V4),
    common.SEED,
    common.CUSTOM_MODEL,
    common.COPYRIGHT_DETECTION,
)
_TRANSPARENT = fields(
    *_PROMPTS,
    common.choice("aspect_ratio", enums.RATIOS_V4),
    common.choice("output_resolution", enums.OUTPUT_RESOLUTIONS),
    common.choice("rendering_speed", enums.SPEEDS_V4),
)


def _row(name: str, model: str, rows: Mapping[str, Field], mode: Mode) -> Operation:
    waits = mode is Mode.SYNC
    return Operation(
        name=f"v4/{name}",
        api=Api.V1,
        path=f"/v1/ideogram-v4/{name}",
        body=Body.EITHER,
        mode=mode,
        response=Response.IMAGES if waits else Response.ACKNOWLEDGEMENT,
        webhook=Webhook.NONE if waits else Webhook.QUERY,
        model=model,
        fields=rows,
        exactly_one=(group("text_prompt", "json_prompt"),),
    )


ROWS = (
    _row("generate", "ideogram-4", _GENERATE, Mode.SYNC),
    _row("async/generate", "ideogram-4", _GENERATE, Mode.ASYNC),
    _row("generate-transparent", "ideogram-4-transparent", _TRANSPARENT, Mode.SYNC),
    _row("async/generate-transparent", "ideogram-4-transparent", _TRANSPARENT, Mode.ASYNC),
)
