"""A thousand faults of every kind at a fleet under load, and what they cost: the soak, but counted by faults."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.soak.__main__ import carry_out, opened
from tests.soak.ending import come_to_rest, findings_of
from tests.soak.plan import WIRES, plan

from bench.table import Figure

if TYPE_CHECKING:
    from tests.soak.stage import Stage

    from bench.rig import Rig

FAULTS_WANTED = 1000
SEED = 20261120
ROUND_S = 20.0
JOBS_A_ROUND = 100
ALWAYS = {
    "*.generate*": ("reset_after", "lost_answer_close", "503_after", "truncated_body", "429_inflight_limit"),
    "*.poll": ("poll_500", "poll_reset"),
    "download": ("download_reset", "download_corrupt", "download_503"),
}
"""Operations, and the faults that strike `SHARE` of their requests all the time, beside what the plan does."""
SHARE = 0.08


def _round(stage: Stage, number: int) -> None:
    for operation, names in ALWAYS.items():
        for name in names:
            stage.fault(name, operation, rate=SHARE, window_s=ROUND_S)
    for wire in WIRES:
        facts = {"wire": wire, "project": "default", "priority": "batch"}
        stage.do(
            "submit", count=JOBS_A_ROUND // len(WIRES), name=f"a boat on {wire} in round {number}", **facts
        )
    carry_out(stage, plan(SEED + number, ROUND_S, postgres=True))
    stage.make_whole()


def _measure(rig: Rig, wanted: int) -> list[Figure]:
    with ExitStack() as stack:
        stage, where = opened(stack, rig.fresh("faults"), postgres=True)
        stage.begin()
        number = 0
        while stage.rig.injected() < wanted:
            _round(stage, number)
            number += 1
        findings = come_to_rest(stage) or findings_of(stage, stage.objects(**where))
        counts = stage.counts
    asked = counts["decided by a person: buy_again"] + counts["decided by a person: give_up"]
    return [
        Figure(
            name=f"{counts['faults injected']} faults, 3 workers, Postgres, {counts['jobs submitted']} jobs",
            measured=f"bought twice, lost or misbooked: {len(findings)}; left to a person: {asked}",
            goal="0",
            reached=not findings,
            beside=f"{counts['generations billed']} generations billed",
        ),
        *(Figure(name=f"  {finding}", measured="", reached=False) for finding in findings),
    ]


async def faults(rig: Rig) -> list[Figure]:
    """What was bought twice, lost, and left to a person."""
    return await asyncio.to_thread(_measure, rig, FAULTS_WANTED)
