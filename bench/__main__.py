"""`python -m bench [names]`: measure, and print a table. docs/benchmarks.md says what each line means."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from typing import TYPE_CHECKING

from bench.lines import LINES
from bench.rig import Rig, clean_environment
from bench.table import show

if TYPE_CHECKING:
    from bench.table import Figure


async def measure(names: list[str]) -> list[Figure]:
    """Every figure of the named lines, one line after the other."""
    figures: list[Figure] = []
    with Rig() as rig:
        for name in names:
            began = time.monotonic()
            print(f"{name}: load {os.getloadavg()[0]:.1f} ...", file=sys.stderr, flush=True)
            found = await LINES[name](rig)
            figures += found
            for figure in found:  # the table comes last, and a run may be broken off
                print(f"  {figure.name}: {figure.measured}", file=sys.stderr)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return figures


def main() -> int:
    """Run the lines that were asked for, or all of them."""
    names = sys.argv[1:] or list(LINES)
    if unknown := sorted(set(names) - set(LINES)):
        print(f"bench: no line {', '.join(unknown)}; there are {', '.join(LINES)}", file=sys.stderr)
        return 2
    clean_environment()
    python = platform.python_version()
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.system()}, Python {python}")
    show(asyncio.run(measure(names)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
