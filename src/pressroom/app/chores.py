"""What the maintenance loop does beside the spine's own tasks: one line for each, wherever in the house it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pressroom.generation.context import Parts
    from pressroom.settings import Settings


def chores(parts: Parts, settings: Settings) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """Tasks by name, in the order to do them; `fleet.maintenance.every` slows one down."""
    del parts, settings
    return {}
