"""One machine's pressroom as a test sees it: its settings, its tables, and how to wait for what happens in them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.tables import SQLITE, tables_of

import pressroom
from pressroom.app import App, open_app
from pressroom.ideogram import ImageRequest
from pressroom.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from tests.support.tables import Row

WAIT_S = 60.0
"""Seconds within which anything waited for must have happened; a wait that works takes one or two."""
LOOK_S = 0.02

KEY = "key-of-tests"

OURS = ("PRESSROOM_", "IDEOGRAM_")
"""Beginnings of the variables that a place sets itself."""

QUICK: dict[str, dict[str, Any]] = {
    "fleet": {
        "beat_s": 0.1,
        "dead_after_s": 0.6,
        "fresh_s": 0.4,
        "slot_life_s": 2.0,
        "drain_s": 3.0,
        "tidy_s": 0.2,
        "dispatch_every_s": 0.02,
        "refused_trial_s": 0.1,
        "switch_cache_s": 0.1,
        "key_look_s": 0.1,
    },
    "limit": {"raise_s": 0.1},
    "breaker": {
        "trial_s": 0.2,
        "trial_max_s": 0.4,
        "uncertain_trial_s": 0.4,
        "probe_s": 0.1,
    },
    "generation": {
        "backoff_s": 0.1,
        "backoff_max_s": 0.5,
        "poll_first_s": 0.05,
        "poll_every_s": 0.05,
        "poll_max_s": 0.2,
        "pending_limit_s": 60.0,
        "lost_id_s": 0.5,
        "home_patience_s": 20.0,
        "quote_s": 0.5,
    },
    "client": {
        "connect_s": 1.0,
        "pool_s": 1.0,
        "async_post_s": 1.5,
        "sync_post_s": 1.5,
        "poll_s": 0.5,
        "download_read_s": 0.5,
        "download_s": 10.0,
    },
    "storage": {"spool_reserve_bytes": 0, "spool_keep_s": 0.3, "max_retries": 0, "connect_timeout_s": 1.0},
    "log": {"level": "debug", "format": "json"},
}
"""Settings with which a death is noticed in under a second, beside which everything else keeps its proportions."""

_OPEN_RUNS = "SELECT count(*) FROM workflow_status WHERE queue_name LIKE 'runs/%' AND status IN ('PENDING', 'ENQUEUED')"
_SETTLED = ("held", "uncertain", "completed", "filtered", "failed", "cancelled")


def until(
    look: Callable[[], object],
    what: str,
    *,
    within_s: float = WAIT_S,
    tell: Callable[[], object] = str,
) -> None:
    """Look until it is true; the error of a deadline says what was waited for, and what `tell` has to tell then."""
    deadline = time.monotonic() + within_s
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:g} s for {what}\n{tell()}")
        time.sleep(LOOK_S)


@dataclass
class Place:
    """
    One machine's pressroom: its folder, and what it is set to.

    Attributes:
        home: `PRESSROOM_HOME`.
        base_url: The vendor's address; None for the embedded emulator.
        key: The vendor's key.
        values: Further settings by field name, on top of `QUICK`.
        database: The database's address, where it is not the SQLite file in `home`.
        without: Settings of `QUICK` to leave out, `breaker` or `fleet.key_look_s`: an older version does not know them.
    """

    home: Path
    base_url: str | None = None
    key: str = KEY
    values: dict[str, Any] = field(default_factory=dict)
    database: str | None = None
    without: frozenset[str] = frozenset()

    def elsewhere(self, home: Path, **changes: Any) -> Place:
        """Another machine on the same database."""
        return replace(self, home=home, **{"database": self.address, **changes})

    def settings_by_name(self) -> dict[str, Any]:
        """Every setting that differs from its default."""
        merged: dict[str, Any] = {
            name: {inner: value for inner, value in group.items() if f"{name}.{inner}" not in self.without}
            for name, group in QUICK.items()
            if name not in self.without
        }
        for name, value in self.values.items():
            merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
        merged["home"] = str(self.home)
        if self.database is not None:
            merged["database_url"] = self.database
        if self.base_url is not None:
            merged |= {"ideogram_base_url": self.base_url, "ideogram_api_key": self.key}
        return merged

    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        found = {}
        for name, value in self.settings_by_name().items():
            prefix = "" if name.startswith("ideogram_") else "PRESSROOM_"
            if isinstance(value, dict):
                found |= {f"{prefix}{name}__{inner}".upper(): str(one) for inner, one in value.items()}
            else:
                found[f"{prefix}{name}".upper()] = str(value)
        return found

    @property
    def address(self) -> str:
        """The database's, as others have to name it."""
        return self.database or f"{SQLITE}{self.home / 'pressroom.sqlite'}"

    @property
    def upstream(self) -> str:
        return "emulator" if self.base_url is None else self.base_url.removeprefix("http://")

    def ask(self, work: Callable[[App], Awaitable[Any]]) -> Any:
        """Do something with an app of this place in the test's own process."""

        async def run() -> Any:
            async with open_app(Settings.load(**self.settings_by_name())) as app:
                return await work(app)

        return asyncio.run(run())

    def submit(
        self, count: int = 1, *, wire: str = "auto", name: str = "a paper boat", **fields: Any
    ) -> list[str]:
        """Submit so many jobs, each with a prompt and a seed of its own; their ids."""

        async def work(app: App) -> list[str]:
            return [
                await app.submit(
                    ImageRequest(prompt=f"{name} {number}", **{"seed": 1000 + number, **fields}), wire=wire
                )
                for number in range(count)
            ]

        jobs: list[str] = self.ask(work)
        return jobs

    def command(self, *arguments: str, source: Path | None = None) -> subprocess.Popen[str]:
        """`pressroom` with these arguments in this place, as a process of its own; of an older `source` if one is given."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        source = source or Path(pressroom.__file__).parents[1]
        return subprocess.Popen(
            [sys.executable, "-c", "from pressroom.cli import main; main()", *arguments],
            env={
                **environment,
                **self.environment(),
                "PRESSROOM_LOG__LEVEL": "error",
                "PYTHONPATH": str(source),
            },
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, query: str, *values: object) -> Sequence[Row]:
        """Read the tables directly."""
        return tables_of(self.address).rows(query, *values)

    def states(self, jobs: Collection[str]) -> list[str]:
        """Each job's state with its reason, `held: key`, in the order of the ids."""
        known = {row["id"]: row for row in self.rows("SELECT id, state, reason FROM jobs")}
        return [f"{known[job]['state']}: {known[job]['reason']}".removesuffix(": None") for job in jobs]

    def wait_until_settled(self, jobs: Collection[str], *, within_s: float = WAIT_S) -> list[str]:
        """Wait until nothing moves any more by itself: jobs, engine, slots, spool. The states reached."""
        until(
            lambda: self._is_settled(jobs),
            f"{len(jobs)} jobs to settle in {self.home}",
            within_s=within_s,
            tell=lambda: (self.states(jobs), self.logs()),
        )
        return self.states(jobs)

    def logs(self) -> str:
        """The last lines of every worker's log, for the message of a failed test."""
        return "\n".join(f"{log.name}:\n{tail_of(log)}" for log in sorted(self.home.glob("worker-*.log")))

    def is_free(self) -> bool:
        """Whether the database can be written now: nobody was stopped in the middle of a transaction."""
        return tables_of(self.address).is_free()

    def _is_settled(self, jobs: Collection[str]) -> bool:
        states = {row["id"]: row["state"] for row in self.rows("SELECT id, state FROM jobs")}
        if any(states[job] not in _SETTLED for job in jobs) or self.rows(_OPEN_RUNS)[0][0]:
            return False
        taken = {row["job_id"] for row in self.rows("SELECT job_id FROM attempts WHERE slot IS NOT NULL")}
        # An accepted generation of a held job is in flight until somebody retries the job.
        moving = {job for job in jobs if states[job] != "held"}
        ended = {job for job in moving if states[job] != "uncertain"}
        return not taken & moving and not self.spooled_jobs() & ended

    def spooled_jobs(self) -> set[str]:
        """Jobs that have files on this machine's spool."""
        folders = {path.name for path in (self.home / "spool").glob("at_*")}
        return {row["job_id"] for row in self.rows("SELECT id, job_id FROM attempts") if row["id"] in folders}


def tail_of(log: Path, *, lines: int = 20) -> str:
    """The last lines of a log, for the message of a failed test."""
    return "\n".join(log.read_text().splitlines()[-lines:]) if log.exists() else "(no log)"
