"""One prompt through the whole pipeline: client, dispatch, run, spool, object store, catalog.

Run it with `make demo`. With IDEOGRAM_API_KEY set it asks the vendor and pays; without, the emulator answers.
"""

from __future__ import annotations

import asyncio
import json
import sys

import pressroom

PROMPT = "a letterpress studio at dawn, type cases open, warm light"


async def main() -> int:
    """Generate, then show the image's path, its record and its cost."""
    async with pressroom.open_app() as app:
        if app.settings.uses_emulator:
            print("No key and no base URL are set: the emulator answers, nothing is bought.")
        else:
            print(f"Asking {app.upstream}; this buys one image.")
        job = await app.generate(PROMPT, aspect_ratio="16x9", seed=1440, tags=["demo"])
        print(f"job      {job.id} {job.state}")
        for found in job.assets:
            record = await app.asset(found.id)
            print(f"image    {record['location']}")
            print(f"record   {json.dumps(record, indent=2)}")
        print(f"cost     ${job.cost_micros / 1_000_000:.4f}")
        if not job.assets:
            print(f"no image: {job.job.reason}: {job.job.message}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    try:
        code = asyncio.run(main())
    except pressroom.PressroomError as error:
        print(f"pressroom: {error}", file=sys.stderr)
        code = 3
    sys.exit(code)
