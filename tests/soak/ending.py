"""The end of a soak: everything comes to rest, and both sides of the books are compared."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.soak.plan import PROJECTS
from tests.soak.stage import LIMIT
from tests.support.judge import ENDED, judge, read_evidence

from pressroom.generation.decisions import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.soak.stage import Stage
    from tests.support.judge import Evidence

REST_S = 240.0
"""Seconds within which everything must have ended after the last disturbance."""

LOOK_S = 1.0

MISTAKES = {"run.crashed", "worker.loop_failed", "job.contradictory"}
"""Events that say that the code is wrong, whatever was done to it."""

SWITCHES = ("mode", "batch", "concurrency")


def come_to_rest(stage: Stage) -> list[str]:
    """Take everything back and decide like a person about what waits for one; what still moves in the end."""
    stage.make_whole()
    for name in SWITCHES:
        stage.switch(name, "default")
    for scope in ("day", "total", *(f"project:{name}" for name in PROJECTS)):
        stage.budget(scope, None)
    deadline = time.monotonic() + REST_S
    while time.monotonic() < deadline:
        stage.tend()
        states = {row["id"]: dict(row) for row in stage.rig.place.rows("SELECT id, state, reason FROM jobs")}
        if all(row["state"] in ENDED for row in states.values()):
            stage.rig.place.wait_until_settled(list(states), within_s=REST_S)
            return []
        _decide(stage, states)
        time.sleep(LOOK_S)
    left = Counter(f"{row['state']}: {row['reason']}" for row in states.values() if row["state"] not in ENDED)
    return [f"{count} jobs are still {state}" for state, count in sorted(left.items())]


def _decide(stage: Stage, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Retry what is held; buy every second lost answer again and give the others up."""
    held = [id_ for id_, row in states.items() if row["state"] == "held"]
    lost = sorted(
        id_ for id_, row in states.items() if row["state"] == "uncertain" and row["reason"] != "pending"
    )
    for decision, which in (
        (Decision.RETRY, held),
        (Decision.BUY_AGAIN, lost[::2]),
        (Decision.GIVE_UP, lost[1::2]),
    ):
        if which:
            tally = stage.ask(lambda app, what=decision, ids=which: app.decisions.decide(what, ids))
            stage.counts[f"decided by a person: {decision}"] += len(tally.decided)


def findings_of(stage: Stage, objects: Mapping[str, str]) -> list[str]:
    """Everything that is wrong after the rest, as sentences."""
    evidence = read_evidence(stage.rig.place, stage.rig.emulator.control, objects=objects)
    missing = frozenset(id_ for id_, job in evidence.jobs.items() if job["reason"] == "missing")
    found = judge(evidence, missing=missing)
    found += [f"spend check: {one.text}" for one in stage.ask(lambda app: app.spend_check())]
    mark = stage.rig.emulator.control.totals().in_flight.high_water
    if mark > LIMIT:
        found.append(f"the vendor saw {mark} in flight, and the limit is {LIMIT}")
    found += _mistakes(stage)
    if codes := [code for code in stage.end() if code != 0]:
        found.append(f"workers ended with {codes}")
    _count(stage, evidence, mark)
    return found


def _mistakes(stage: Stage) -> list[str]:
    counted = Counter(
        f"{event['event']} {event.get('error', '')} {event.get('at', '')}".strip()
        for worker in stage.rig.workers.started
        for event in worker.events()
        if event["event"] in MISTAKES
    )
    return [f"{count} x {what} in the logs" for what, count in sorted(counted.items())]


def _count(stage: Stage, evidence: Evidence, mark: int) -> None:
    counts = stage.counts
    counts["faults injected"] = stage.rig.injected()
    counts["generations billed"] = sum(entry.billed_micros > 0 for entry in evidence.ledger)
    counts["most in flight at the vendor"] = mark
    counts["assets"] = len(evidence.assets)
    for job in evidence.jobs.values():
        reason = f", {job['reason']}" if job["reason"] else ""
        counts[f"jobs {job['state']}{reason}"] += 1
    for attempt in evidence.attempts.values():
        counts[f"attempts {attempt['state']}"] += 1
