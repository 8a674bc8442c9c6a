"""The lines of the bench by name, in the order of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.budget import budget
from bench.commands import commands
from bench.faults import faults
from bench.latency import latency
from bench.outage import outage
from bench.pickup import pickup_postgres, pickup_sqlite
from bench.recovery import recovery
from bench.slots import slots
from bench.submitting import submitting
from bench.takeover import takeover
from bench.throughput import throughput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bench.rig import Rig
    from bench.table import Figure

LINES: Mapping[str, Callable[[Rig], Awaitable[list[Figure]]]] = {
    "slots": slots,
    "throughput": throughput,
    "latency": latency,
    "submit": submitting,
    "pickup-sqlite": pickup_sqlite,
    "pickup-postgres": pickup_postgres,
    "takeover": takeover,
    "recovery": recovery,
    "budget": budget,
    "faults": faults,
    "outage": outage,
    "commands": commands,
}
