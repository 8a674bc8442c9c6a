"""Polls a generation to its end, for people who use the client alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pressroom.errors import (
    ContentRefused,
    GenerationNotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    VendorError,
)
from pressroom.ideogram.answers import Generation, Status
from pressroom.ideogram.failures import ADVICE

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """
    How `generate` polls, in seconds.

    Attributes:
        first: Before the first poll (usual among clients of this API: reference 15).
        factor: By how much each wait grows.
        cap: Longest wait.
        give_up: Waits in all before the outcome is called unknown.
        not_found: Waits in all during which the vendor may not know a fresh id yet.
    """

    first: float = 2.0
    factor: float = 1.5
    cap: float = 30.0
    give_up: float = 900.0
    not_found: float = 60.0


async def until_done(
    poll: Callable[[], Awaitable[Generation]], generation_id: str, waiting: Waiting, sleep: Sleep
) -> Generation:
    """
    Poll until a generation is completed. Polls that fail in passing are repeated, after `retry_after` where given.

    Raises:
        ContentRefused: It failed because of its content.
        VendorError: It failed otherwise.
        OutcomeUnknown: It is still pending after `waiting.give_up` seconds of waiting, or cannot be read any more.
    """
    waited, pause = 0.0, waiting.first
    while waited < waiting.give_up:
        await sleep(pause)
        waited, asked = waited + pause, None
        try:
            generation = await poll()
        except (NotSent, Unavailable, RateLimited) as error:
            asked = error.retry_after
        except GenerationNotFound as error:
            if waited >= waiting.not_found:
                raise OutcomeUnknown(
                    f"generation {generation_id} was accepted and is not known now"
                ) from error
        except Refused as error:  # of the poll: the purchase stands
            raise OutcomeUnknown(f"generation {generation_id} was accepted; {error.message}") from error
        else:
            if generation.status is Status.COMPLETED:
                return generation
            if generation.status is Status.FAILED:
                raise _failure(generation)
        pause = max(min(pause * waiting.factor, waiting.cap), asked or 0.0)
    raise OutcomeUnknown(f"generation {generation_id} is still pending after {waited:g} s; poll it later")


def _failure(generation: Generation) -> VendorError:
    kind = ContentRefused if generation.refused_by_policy else VendorError
    advice = ADVICE.get(kind, "it can be tried again")
    return kind(
        f"generation {generation.generation_id} failed: {advice}",
        vendor_message=generation.failure_reason or "",
    )
