"""pressroom: Ideogram image generation in production.

    async with pressroom.open_app() as app:
        job = await app.generate("a red bicycle, studio light", aspect_ratio="16x9")
        print(job.state, [asset.stored_path for asset in job.assets])

`pressroom.ideogram.Ideogram` alone is a typed client of the vendor's API.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pressroom.app import App, open_app
    from pressroom.catalog.assets import Asset
    from pressroom.errors import (
        Conflict,
        DatabaseError,
        InvalidInput,
        InvalidRequest,
        InvalidSettings,
        NotFound,
        OutcomeUnknown,
        PressroomError,
        StorageError,
        VendorError,
    )
    from pressroom.generation.jobs import JobState
    from pressroom.generation.views import JobView
    from pressroom.ideogram import Ideogram, ImageRequest, Wire
    from pressroom.settings import Settings

__all__ = [
    "App",
    "Asset",
    "Conflict",
    "DatabaseError",
    "Ideogram",
    "ImageRequest",
    "InvalidInput",
    "InvalidRequest",
    "InvalidSettings",
    "JobState",
    "JobView",
    "NotFound",
    "OutcomeUnknown",
    "PressroomError",
    "Settings",
    "StorageError",
    "VendorError",
    "Wire",
    "open_app",
]

_HOMES = {
    "App": "pressroom.app",
    "Asset": "pressroom.catalog.assets",
    "Ideogram": "pressroom.ideogram",
    "ImageRequest": "pressroom.ideogram",
    "JobState": "pressroom.generation.jobs",
    "JobView": "pressroom.generation.views",
    "Settings": "pressroom.settings",
    "Wire": "pressroom.ideogram",
    "open_app": "pressroom.app",
}
"""Where a public name lives; those not named here are errors. Loaded on first use, so that the command line starts fast."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pressroom' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "pressroom.errors")), name)
