"""Whether one budget holds when four processes submit at the same time and four workers buy."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

from bench.rig import DATABASES, Rig, open_app, until_live
from bench.table import Figure
from bench.work import seeds, states, submission

if TYPE_CHECKING:
    from bench.rig import Site
    from pressroom.app import App

PROCESSES = 4
SUBMISSIONS = 200
AT_ONCE = 100
CAP_USD = Decimal("3.0")
"""About half of what all of them would cost."""
REST_S = 3.0
"""Seconds without any change after which nothing more will happen."""


async def _submit_in(site: Site, number: int) -> None:
    share = SUBMISSIONS // PROCESSES
    spec = json.dumps({"seeds": list(seeds(share, start=1 + number * share))})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.budget", spec, env=site.environment()
    )
    if await process.wait() != 0:
        raise RuntimeError(f"a submitting process ended with {process.returncode}")


async def _until_rest(app: App) -> dict[str, int]:
    """What the jobs are when none of them moves any more."""
    while True:
        before = await states(app)
        await asyncio.sleep(REST_S)
        now = await states(app)
        if now == before and not {"queued", "running"} & now.keys():
            return now


async def _once(rig: Rig, kind: str) -> Figure:
    with rig.emulator(time_scale=0.0) as emulator:
        fleet: dict[str, float | str] = {"concurrency": AT_ONCE, "account_limit": AT_ONCE}
        site = await rig.site(kind, emulator.base_url, fleet=fleet)
        async with open_app(site.settings()) as app:
            await app.set_budget("total", CAP_USD, who="bench")
            with site.workers(PROCESSES):
                await until_live(app, PROCESSES)
                await asyncio.gather(*(_submit_in(site, number) for number in range(PROCESSES)))
                ended = await _until_rest(app)
            differences = await app.spend_check()
        billed = emulator.control.totals().billed_micros
    over = max(0, billed - int(CAP_USD * 1_000_000))
    return Figure(
        name=f"{SUBMISSIONS} submissions at once from {PROCESSES} processes, one budget of ${CAP_USD}, {kind}",
        measured=f"{over} micro-dollars over; {ended.get('completed', 0)} bought, {ended.get('held', 0)} held",
        goal="0 over, books agree",
        reached=over == 0 and not differences,
        beside=f"budget ${CAP_USD}, billed ${Decimal(billed) / 1_000_000}",
        ratio=f"{Decimal(billed) / 1_000_000 / CAP_USD:.3f}",
    )


async def budget(rig: Rig) -> list[Figure]:
    """One figure for each database."""
    return [await _once(rig, kind) for kind in DATABASES]


async def _submit(wanted: list[int]) -> None:
    async with open_app() as app:
        asked = [submission(seed, "v3") for seed in wanted]
        await asyncio.gather(*(app.submit(one.request, wire=one.wire) for one in asked))


if __name__ == "__main__":
    asyncio.run(_submit(json.loads(sys.argv[1])["seeds"]))
