"""Whose turn is next: start-time fair queueing over projects and priorities.

Source: Goyal, Vin and Cheng, "Start-time fair queueing" (SIGCOMM 1996). A unit (project and priority) that waits has its
next turn at the virtual time at which its last one began plus 1 / weight, or now if it comes back from an idle time; the
least such time goes first, and virtual time is the greatest at which a turn has begun. What follows:

- Between any two units that wait through a whole window, turns divide as their weights, within one job, in every window.
- A unit that comes back has neither credit for its idle time nor a debt for what it got while it was alone.
- Nothing starves: each turn of others moves them behind a unit that waits.

Virtual time is no column of its own but the greatest start tag of all units, so a turn costs one row. A changed weight acts
from the unit's next turn on. The families of a unit share its tag; inside a unit the oldest job goes first.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.fleet.tables import flows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

REBASE_AT = 2.0**20
"""Virtual time at which all tags are moved back to begin at 0 again: far below it a float still tells tags of the largest weights
apart after any number of jobs (2**20 leaves 33 bits behind the point)."""


class Unit(NamedTuple):
    """What turns are given to: the jobs of one project that somebody waits for, or those that nobody waits for."""

    project: str
    priority: str


@dataclass(frozen=True, kw_only=True)
class Flow:
    """
    The jobs of one unit and family that wait, as one row.

    Attributes:
        start_tag: Virtual time at which its last turn began.
        head: Id of its oldest ready job; None while none is ready.
    """

    project: str
    priority: str
    family: str
    start_tag: float
    head: str | None

    @property
    def unit(self) -> Unit:
        """What it shares its turns with."""
        return Unit(self.project, self.priority)


@dataclass(eq=False)
class _Standing:
    """A unit in the order, with the heads of its flows: a job's id and the flow's place in the list."""

    unit: Unit
    share: float
    tag: float = -math.inf
    heads: list[tuple[str, int]] = field(default_factory=list)

    def start(self, now: float) -> float:
        """Virtual time of its next turn."""
        return max(self.tag + self.share, now)


class Order:
    """
    The order of turns from one moment on. It reads nothing: whoever takes a turn says which job is next in that flow.

    Args:
        waiting: Every flow of the upstream, with or without a ready job: the idle ones tell what time it is.
        weight: Of a unit.
        room: For each project with a cap, how many more of its jobs may be in flight.
    """

    def __init__(
        self,
        waiting: Sequence[Flow],
        *,
        weight: Callable[[Unit], float],
        room: Mapping[str, int] | None = None,
    ) -> None:
        self._flows = waiting
        self._room = dict(room or {})
        self._units = _units(waiting, weight)
        self._now = virtual_time(waiting)
        # Of those whose turn is later the earliest, of those whose turn is now the one with the greatest weight, of equals
        # the oldest job. The number only keeps two units from being compared.
        self._later: list[tuple[float, float, str, int, _Standing]] = []
        self._due: list[tuple[float, str, int, _Standing]] = []
        self._pushed = 0
        for standing in self._units.values():
            self._wait(standing)

    def next(self) -> Flow | None:
        """The flow whose oldest ready job has its turn now; None when nobody may have one."""
        while first := self._first():
            if self._room.get(first.unit.project, 1) > 0:
                return self._flows[first.heads[0][1]]
            self._leave()
        return None

    def take(self, *, then: str | None) -> None:
        """
        Give the turn to the flow that `next` named.

        Args:
            then: Id of its next ready job; None when there is none.
        """
        standing = self._first()
        assert standing is not None, "next named a flow"
        standing.tag = self._now = standing.start(self._now)
        if standing.unit.project in self._room:
            self._room[standing.unit.project] -= 1
        self.skip(then=then)

    def skip(self, *, then: str | None) -> None:
        """Pass over the oldest job of the flow that `next` named, without a turn; `then` is the one after it."""
        standing = self._leave()
        _, place = heapq.heappop(standing.heads)
        if then is not None:
            heapq.heappush(standing.heads, (then, place))
        self._wait(standing)

    def _wait(self, standing: _Standing) -> None:
        if standing.heads:
            start, head = standing.start(self._now), standing.heads[0][0]
            self._pushed += 1
            heapq.heappush(self._later, (start, start + standing.share, head, self._pushed, standing))

    def _first(self) -> _Standing | None:
        while self._later and self._later[0][0] <= self._now:
            _, _, head, number, standing = heapq.heappop(self._later)
            heapq.heappush(self._due, (standing.share, head, number, standing))
        if self._due:
            return self._due[0][-1]
        return self._later[0][-1] if self._later else None

    def _leave(self) -> _Standing:
        return heapq.heappop(self._due)[-1] if self._due else heapq.heappop(self._later)[-1]


def _units(waiting: Sequence[Flow], weight: Callable[[Unit], float]) -> dict[Unit, _Standing]:
    units: dict[Unit, _Standing] = {}
    for place, flow in enumerate(waiting):
        standing = units.get(flow.unit)
        if standing is None:
            standing = units[flow.unit] = _Standing(unit=flow.unit, share=1.0 / weight(flow.unit))
        standing.tag = max(standing.tag, flow.start_tag)
        if flow.head is not None:
            heapq.heappush(standing.heads, (flow.head, place))
    return units


def standings(waiting: Sequence[Flow], *, weight: Callable[[Unit], float]) -> dict[Unit, tuple[float, float]]:
    """For each unit the virtual time at which its next turn begins, and by how much later each further one does."""
    now = virtual_time(waiting)
    return {unit: (one.start(now), one.share) for unit, one in _units(waiting, weight).items()}


def virtual_time(waiting: Iterable[Flow]) -> float:
    """The greatest start tag; 0 before the first turn."""
    return max((flow.start_tag for flow in waiting), default=0.0)


def charged(
    waiting: Sequence[Flow], turns: Iterable[Unit], *, weight: Callable[[Unit], float]
) -> dict[Unit, float]:
    """
    New start tags after the turns that were really taken, in their order.

    Args:
        waiting: As for `Order`.
        turns: Units, once for each job that went.
        weight: Of a unit.
    """
    units, now = _units(waiting, weight), virtual_time(waiting)
    tags: dict[Unit, float] = {}
    for unit in turns:
        now = units[unit].tag = tags[unit] = units[unit].start(now)
    return tags


_CHARGE = (
    sa.update(flows)
    .where(
        flows.c.upstream == sa.bindparam("of_upstream"),
        flows.c.project == sa.bindparam("of_project"),
        flows.c.priority == sa.bindparam("of_priority"),
    )
    .values(start_tag=sa.bindparam("tag", type_=sa.Float))
)
_REBASE = (
    sa.update(flows)
    .where(flows.c.upstream == sa.bindparam("of_upstream"))
    .values(start_tag=flows.c.start_tag - sa.bindparam("tag", type_=sa.Float))
)


async def charge(connection: AsyncConnection, upstream: str, tags: Mapping[Unit, float]) -> None:
    """Write new start tags, under the dispatcher's lock; now and then all are moved back."""
    if not tags:
        return
    rows = [
        {"of_upstream": upstream, "of_project": unit.project, "of_priority": unit.priority, "tag": tag}
        for unit, tag in tags.items()
    ]
    await connection.execute(_CHARGE, rows)
    now = max(tags.values())
    if now >= REBASE_AT:
        await connection.execute(_REBASE, {"of_upstream": upstream, "tag": now})


async def projects_of(connection: AsyncConnection) -> list[str]:
    """Every project that ever had a job, of any upstream, by name."""
    found = await connection.execute(sa.select(flows.c.project).distinct().order_by(flows.c.project))
    return list(found.scalars())


_KNOWN: WeakKeyDictionary[AsyncEngine, set[tuple[str, str, str, str]]] = WeakKeyDictionary()
"""Flows that are known to be in a database for good; their rows are never removed."""


async def ensure(connection: AsyncConnection, wanted: Iterable[tuple[str, str, str, str]]) -> int:
    """
    See that there is a row for each of these flows: upstream, project, priority, family.

    A row that was made here is known only when it is met again: this transaction may be rolled back.

    Returns:
        How many rows were made.
    """
    known = _KNOWN.setdefault(connection.engine, set())
    made = 0
    for flow in sorted(set(wanted) - known):
        row = dict(zip(("upstream", "project", "priority", "family"), flow, strict=True))
        if (await connection.execute(_make(connection.dialect.name), row)).first() is None:
            known.add(flow)
        else:
            made += 1
    return made


@cache
def _make(dialect: str) -> sa.Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(flows).values(start_tag=0.0).on_conflict_do_nothing().returning(flows.c.upstream)
