"""Asking the vendor about a generation: with the key that bought it, else with every other key that is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressroom.errors import KeyRefused
from pressroom.ideogram import polling_api
from pressroom.telemetry import event_logger

if TYPE_CHECKING:
    from pressroom.generation.run.context import Run
    from pressroom.ideogram import Generation

log = event_logger(__name__)


async def poll(run: Run) -> Generation:
    """
    Read the generation of a run's attempt; free.

    Raises:
        KeyRefused: Every key here was refused.
        GenerationNotFound: The vendor does not know it (yet).
        VendorError: Anything else that can be repeated.
    """
    keys, attempt = run.parts.keys, run.attempt
    api = polling_api(attempt.operation)
    refused: list[KeyRefused] = []
    for fingerprint in keys.in_turn(attempt.key_fingerprint):
        with keys.using(fingerprint) as key:
            try:
                return await key.client.poll(attempt.generation_id or "", api=api)
            except KeyRefused as error:
                log.info("run.poll_refused", **run.facts, fingerprint=key.fingerprint)
                refused.append(error)
    keys.doubt()
    raise refused[0]
