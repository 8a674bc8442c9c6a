"""The engine's side of a run: ids in, one word out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbos import DBOS

from pressroom.generation.dispatch.giving import RUN

if TYPE_CHECKING:
    from pressroom.generation.run.runner import Runner

_runner: list[Runner] = []


def bind(runner: Runner) -> None:
    """Say who carries out the runs that the engine starts in this process; there is one engine per process."""
    _runner[:] = [runner]


@DBOS.workflow(name=RUN)
async def run(job_id: str, number: int) -> str:
    """Carry one job through one run. Repeating it is safe at any point: it begins where the rows say."""
    return await _runner[0].run(job_id, number)
