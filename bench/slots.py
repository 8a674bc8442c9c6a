"""How full the slots are while three workers poll, and whether the vendor ever sees more in flight than allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.rig import Rig, open_app, until_ended, until_live
from bench.table import Figure
from bench.work import hold_back, let_go, seeds, submission, submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.emulator import Entry

SLOTS = 8
WORKERS = 3
JOBS = 112
CASES = (
    ("0.8-1.2 s, one quality", 0.125, ("medium",)),
    ("0.5-1.5 s, three qualities", 0.11, ("low", "medium", "high")),
)
"""Name, factor on the emulator's latency (5, 8, 14 s by quality, a fifth more or less), qualities in turn."""

WARM = 3 * SLOTS
"""Generations before the window begins: the usual time is not known yet."""


def use(entries: Sequence[Entry], slots: int) -> float:
    """Share of slot time in which a generation was in flight at the vendor, while jobs were waiting."""
    accepted = sorted(entry.accepted_at for entry in entries)
    begin, end = accepted[WARM], accepted[-1]
    busy = sum(max(0.0, min(end, entry.ready_at or end) - max(begin, entry.accepted_at)) for entry in entries)
    return busy / (slots * (end - begin))


async def slots(rig: Rig) -> list[Figure]:
    """High-water mark and use for each kind of load."""
    figures = []
    for name, scale, qualities in CASES:
        with rig.emulator(time_scale=scale, inflight_limit=100) as emulator:
            site = await rig.site("postgres", emulator.base_url, fleet={"concurrency": SLOTS})
            async with open_app(site.settings()) as app:
                wanted = [
                    submission(seed, "auto", quality=qualities[place % len(qualities)])
                    for place, seed in enumerate(seeds(JOBS))
                ]
                await submit(app, wanted)
                await hold_back(app)
                with site.workers(WORKERS):
                    await until_live(app, WORKERS)
                    await let_go(app)
                    await until_ended(app, JOBS)
            share = use(emulator.control.ledger(pictures=False), SLOTS)
            mark = emulator.control.totals().in_flight.high_water
        figures.append(
            Figure(
                name=f"slot use while polling, {WORKERS} workers, {SLOTS} slots, {name}",
                measured=f"{share:.1%}",
                goal=">= 93 %",
                reached=share >= 0.93,
                beside="ideal: all slots always busy",
                ratio=f"{share:.2f}",
            )
        )
        figures.append(
            Figure(
                name=f"most in flight that the vendor saw, {name}",
                measured=str(mark),
                goal=f"<= {SLOTS}",
                reached=mark <= SLOTS,
                beside=f"limit {SLOTS}",
                ratio=f"{mark / SLOTS:.2f}",
            )
        )
    return figures
