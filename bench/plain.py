"""
The peer: a plain asyncio + httpx2 script that only generates and downloads.

It keeps nothing, survives nothing and buys again whenever somebody runs it again. Its argument is a JSON object; it
prints one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

POLL_S = 0.01
"""Seconds between two polls of an asynchronous generation."""

STORE_AGAIN_S = 0.2
"""Seconds between two tries at a folder that cannot be written."""


async def generate(client: httpx2.AsyncClient, wire: str, seed: int) -> str:
    """Buy one picture; its address."""
    if wire == "v3":
        fields = {"prompt": "a letterpress studio", "rendering_speed": "DEFAULT", "seed": str(seed)}
        answer = await client.post(
            "/v1/ideogram-v3/generate", files={name: (None, value) for name, value in fields.items()}
        )
        answer.raise_for_status()
        return str(answer.json()["data"][0]["url"])
    body = {"prompt": "a letterpress studio", "quality": "medium", "seed": seed}
    answer = await client.post("/v2/image/generate/ideogram-4-5", json=body)
    answer.raise_for_status()
    generation_id = answer.json()["generation_id"]
    while True:
        found = (await client.get(f"/v2/generations/{generation_id}")).raise_for_status().json()
        if found["status"].lower() == "completed":
            return str(found["images"][0]["url"])
        await asyncio.sleep(POLL_S)


async def keep(client: httpx2.AsyncClient, address: str, path: Path) -> bool:
    """Download to a file, again and again while the folder is away; False when the address has died meanwhile."""
    while True:
        answer = await client.get(address)
        if answer.status_code in {403, 404, 410}:
            return False
        answer.raise_for_status()
        try:
            await asyncio.to_thread(path.write_bytes, answer.content)
        except FileNotFoundError:
            await asyncio.sleep(STORE_AGAIN_S)
        else:
            return True


async def main(task: dict[str, Any]) -> dict[str, Any]:
    """Generate one picture for each seed with so many at a time."""
    seeds = iter(task["seeds"])
    taken: dict[int, float] = {}
    kept = 0

    async def work(client: httpx2.AsyncClient, delay_s: float) -> None:
        nonlocal kept
        await asyncio.sleep(delay_s)
        for seed in seeds:
            began = time.perf_counter()
            address = await generate(client, task["wire"], seed)
            kept += await keep(client, address, Path(task["folder"]) / f"{seed}.png")
            taken[seed] = time.perf_counter() - began

    count, stagger_s = task["at_once"], task.get("stagger_s", 0.0)
    limits = httpx2.Limits(max_connections=count, max_keepalive_connections=count)
    async with httpx2.AsyncClient(
        base_url=task["base_url"], limits=limits, timeout=60, trust_env=False
    ) as client:
        client.headers["Api-Key"] = "plain"
        began = time.perf_counter()
        await asyncio.gather(*(work(client, stagger_s * place / count) for place in range(count)))
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "kept": kept, "taken": list(taken.items())}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
