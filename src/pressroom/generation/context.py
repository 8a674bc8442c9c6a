"""What a run works with and what it works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pressroom.database import Database
    from pressroom.generation.durations import Durations
    from pressroom.generation.jobs import Job
    from pressroom.generation.keeping import Keeping
    from pressroom.generation.waiters import Waiters
    from pressroom.ideogram import Ideogram
    from pressroom.settings import ClientSettings, GenerationSettings
    from pressroom.spend.attempts import Attempt
    from pressroom.storage import ObjectStore, Spool


@dataclass(frozen=True, kw_only=True)
class Parts:
    """
    What every run of one worker works with.

    Attributes:
        key_fingerprint: Tells the key of an attempt from others without being it.
        keeping: Whether what is bought could be kept.
        lease_is_fresh: Whether this worker may still begin a purchase.
        fresh_s: Seconds that may pass between the decision to send and the first byte.
        spool_id: Tells this worker's disk from another's.
    """

    database: Database
    client: Ideogram
    store: ObjectStore
    spool: Spool
    spool_id: str
    keeping: Keeping
    settings: GenerationSettings
    client_settings: ClientSettings
    durations: Durations
    waiters: Waiters
    upstream: str
    key_fingerprint: str
    lease_is_fresh: Callable[[], bool]
    fresh_s: float


@dataclass(kw_only=True)
class Run:
    """
    One execution of a job by this worker.

    Attributes:
        token: Worker's id and a nonce; while it stands on the attempt, this run and no other may begin a purchase or
            end the job.
    """

    parts: Parts
    job: Job
    attempt: Attempt
    token: str
    facts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.facts = {"job": self.job.id, "attempt": self.attempt.id}
