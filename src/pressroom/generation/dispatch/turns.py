"""Which jobs may buy now, in which order: the gate, the caps and the order of flows put together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pressroom.access.projects import Project
from pressroom.fleet import gate as gates
from pressroom.fleet.flows import Order, Unit
from pressroom.generation.dispatch import waiting
from pressroom.generation.jobs import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pressroom.fleet.flows import Flow
    from pressroom.fleet.gate import Gate
    from pressroom.generation.jobs import Job
    from pressroom.settings import Settings

FlowKey = tuple[str, str, str]


@dataclass(frozen=True)
class Shares:
    """
    What each project may have.

    Attributes:
        interactive: Turns of interactive jobs for each turn of a batch job of the same project.
        projects: By name; all others have the defaults.
    """

    interactive: float
    projects: Mapping[str, Project]

    def weight(self, unit: Unit) -> float:
        """Turns of a unit for each turn of batch jobs of a project of weight 1."""
        project = self.projects.get(unit.project) or Project(name=unit.project)
        return project.weight * (self.interactive if unit.priority == Priority.INTERACTIVE else 1.0)

    def room(self, in_flight: Mapping[str, int]) -> dict[str, int]:
        """For each project with a cap, how many more purchases it may have in flight."""
        return {
            name: project.max_inflight - in_flight.get(name, 0)
            for name, project in self.projects.items()
            if project.max_inflight is not None
        }


@dataclass(frozen=True, kw_only=True)
class Turn:
    """
    A job whose turn it is.

    Attributes:
        trial: It is sent to see whether the vendor sells again.
    """

    job: Job
    trial: bool = False

    @property
    def unit(self) -> Unit:
        """Who is charged for it."""
        return Unit(self.job.project, self.job.priority)


def may_go(flow: Flow, gate: Gate) -> gates.Flow:
    """What the gate leaves to a flow."""
    if gate.batch_paused and flow.priority == Priority.BATCH:
        return gates.Flow.SHUT
    return gate.flow(flow.family)


def trials(flows: Iterable[Flow], gate: Gate, *, full: Iterable[str] = ()) -> list[Flow]:
    """
    The flows whose oldest job goes as a trial: one for each family that may have one, or one in all while the account is tried.

    Args:
        flows: All of them.
        gate: What may go.
        full: Projects that may have no more in flight.
    """
    first: dict[str, Flow] = {}
    for flow in flows:
        if flow.head is None or flow.project in full or may_go(flow, gate) is not gates.Flow.TRIAL:
            continue
        tried = "" if gate.account is gates.Flow.TRIAL else flow.family
        if tried not in first or _trial_order(flow) < _trial_order(first[tried]):
            first[tried] = flow
    return list(first.values())


def _trial_order(flow: Flow) -> tuple[bool, str]:
    """Batch first, for nobody waits for what a trial may lose; then the oldest."""
    return flow.priority != Priority.BATCH, flow.head or ""


class Chooser:
    """
    Chooses from one look; reads the jobs of a flow when its first turn comes.

    Args:
        connection: For reading.
        upstream: Whose.
        settings: How many placeholders are replaced at a time.
        most: Turns at most.
    """

    def __init__(self, connection: AsyncConnection, upstream: str, settings: Settings, *, most: int) -> None:
        self._connection = connection
        self._upstream = upstream
        self._settings = settings
        self._most = most
        self._lanes: dict[FlowKey, deque[Job]] = {}
        self._backfill_left: int | None = None

    async def choose(
        self, flows: Sequence[Flow], gate: Gate, shares: Shares, in_flight: Mapping[str, int]
    ) -> list[Turn]:
        """
        The turns of this moment, in their order.

        Args:
            flows: All of the upstream, as `waiting.look` found them.
            gate: What may go.
            shares: Weights and caps.
            in_flight: Purchases on their way, by project.
        """
        room = shares.room(in_flight)
        turns: list[Turn] = []
        full = [project for project, left in room.items() if left < 1]
        for flow in trials(flows, gate, full=full)[: self._most]:
            lane = await self._lane(flow)
            if lane and room.get(flow.project, 1) > 0:
                turns.append(Turn(job=lane.popleft(), trial=True))
                if flow.project in room:
                    room[flow.project] -= 1
        open_ = [
            flow if may_go(flow, gate) is gates.Flow.OPEN else replace(flow, head=None) for flow in flows
        ]
        order = Order(open_, weight=shares.weight, room=room)
        while len(turns) < self._most and (named := order.next()) is not None:
            lane = await self._lane(named)
            job = lane.popleft() if lane else None
            then = lane[0].id if lane else None
            if job is None:
                order.skip(then=None)
            else:
                order.take(then=then)
                turns.append(Turn(job=job))
        return turns

    async def _lane(self, flow: Flow) -> deque[Job]:
        """What waits in a flow, the oldest first, without more backfill than may go."""
        key = (flow.project, flow.priority, flow.family)
        if key not in self._lanes:
            self._lanes[key] = deque(await self._read(flow))
        return self._lanes[key]

    async def _read(self, flow: Flow) -> list[Job]:
        found = await waiting.oldest(self._connection, self._upstream, flow, limit=self._most)
        backfill = [job for job in found if job.placeholder_served is not None]
        if not backfill:
            return found
        if self._backfill_left is None:
            going = await waiting.backfill_in_flight(self._connection, self._upstream)
            self._backfill_left = self._settings.fallback.backfill_inflight - going
        allowed = backfill[: max(0, self._backfill_left)]
        self._backfill_left -= len(allowed)
        if len(allowed) == len(backfill):
            return found
        others = await waiting.oldest(
            self._connection, self._upstream, flow, limit=self._most, backfill=False
        )
        return sorted([*allowed, *others], key=lambda job: job.id)[: self._most]
