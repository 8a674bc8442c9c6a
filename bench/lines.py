"""The lines of the bench by name, in the order of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.throughput import throughput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bench.rig import Rig
    from bench.table import Figure

LINES: Mapping[str, Callable[[Rig], Awaitable[list[Figure]]]] = {
    "throughput": throughput,
}
