"""How fast the command line answers."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bench.rig import Rig, start_command
from bench.table import Figure, spread

ROUNDS = 9
GOAL_MS = 300.0


def _ms(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def _pressroom_ms(argument: str) -> float:
    began = time.perf_counter()
    process = start_command([argument], {}, quiet=True)
    if process.wait() != 0:
        raise RuntimeError(f"pressroom {argument} ended with {process.returncode}")
    return (time.perf_counter() - began) * 1000


async def commands(rig: Rig) -> list[Figure]:
    """`--help` and `--version`, beside Python alone with the library that parses the command line."""
    del rig
    bare = statistics.median([_ms([sys.executable, "-c", "import typer"]) for _ in range(ROUNDS)])
    figures = []
    for argument in ("--help", "--version"):
        times = [_pressroom_ms(argument) for _ in range(ROUNDS)]
        figures.append(
            Figure(
                name=f"pressroom {argument}",
                measured=spread(times, "ms", 0),
                goal=f"< {GOAL_MS:.0f} ms",
                reached=statistics.median(times) < GOAL_MS,
                beside=f"python -c 'import typer' {bare:.0f} ms",
                ratio=f"{statistics.median(times) / bare:.2f}",
            )
        )
    return figures
