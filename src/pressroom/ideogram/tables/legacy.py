"""Generate of the legacy API (reference 6.1)."""

from __future__ import annotations

from dataclasses import replace

from pressroom.ideogram.operations import Api, Body, Mode, OnlyWith, Operation, fields, group
from pressroom.ideogram.tables import common, enums

_TURBO_1 = ("V_1", "V_1_TURBO")
_MODELS_AFTER_1 = frozenset(enums.LEGACY_MODELS) - set(_TURBO_1)

ROWS = (
    Operation(
        name="legacy/generate",
        api=Api.LEGACY,
        path="/generate",
        body=Body.JSON,
        mode=Mode.SYNC,
        wrapper="image_request",
        fields=fields(
            common.PROMPT,
            replace(common.choice("model", enums.LEGACY_MODELS), default="V_2"),
            common.choice(
                "aspect_ratio", tuple(f"ASPECT_{r.replace('x', '_')}" for r in enums.RATIOS_LEGACY)
            ),
            common.choice(
                "resolution", tuple(f"RESOLUTION_{s.replace('x', '_')}" for s in enums.SIZES_LEGACY)
            ),
            common.choice("magic_prompt_option", enums.MAGIC_PROMPTS),
            common.choice("magic_prompt_version", enums.MAGIC_PROMPT_VERSIONS),
            common.SEED,
            common.choice("style_type", enums.LEGACY_STYLES),
            common.NEGATIVE_PROMPT,
            common.NUM_IMAGES,
            common.PALETTE,
        ),
        exclusive=(group("aspect_ratio", "resolution"),),
        conditions=(
            OnlyWith("resolution", "model", frozenset({"V_2", "V_2_TURBO"})),
            OnlyWith("style_type", "model", _MODELS_AFTER_1),
            OnlyWith("negative_prompt", "model", frozenset({*_TURBO_1, "V_2", "V_2_TURBO"})),
            OnlyWith("color_palette", "model", _MODELS_AFTER_1 - {"V_2A", "V_2A_TURBO"}),
        ),
    ),
)
