"""What a run works with and what it works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pressroom.database import Database
    from pressroom.fleet.keys import Keys
    from pressroom.generation.jobs import Job
    from pressroom.generation.run.durations import Durations
    from pressroom.generation.run.keeping import Keeping
    from pressroom.generation.waiters import Waiters
    from pressroom.settings import ClientSettings, GenerationSettings, Settings
    from pressroom.spend.attempts import Attempt
    from pressroom.storage import ObjectStore, Spool


@dataclass(frozen=True, kw_only=True)
class Parts:
    """
    What every run of one worker works with.

    Attributes:
        keys: To ask the vendor with.
        keeping: Whether what is bought could be kept.
        all_settings: For what a run's outcome means to the fleet.
        lease_is_fresh: Whether this worker may still begin a purchase.
        fresh_s: Seconds that may pass between the decision to send and the first byte.
        spool_id: Tells this worker's disk from another's.
    """

    database: Database
    keys: Keys
    store: ObjectStore
    spool: Spool
    spool_id: str
    keeping: Keeping
    settings: GenerationSettings
    all_settings: Settings
    client_settings: ClientSettings
    durations: Durations
    waiters: Waiters
    upstream: str
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
