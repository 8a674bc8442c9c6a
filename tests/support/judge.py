"""
The judge: compares what the vendor sold with what pressroom says about it, after everything has come to rest.

    assert judge(read_evidence(place, emulator.control)) == []

It trusts neither side: the emulator's ledger is what was bought, the tables are read without pressroom's code, and
every stored object is hashed. Each finding is a sentence. `tests/fault/test_judge.py` tampers with every kind of
evidence and sees it found.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.emulator import Control, Entry
    from tests.support.place import Place

ENDED = {"completed", "filtered", "failed", "cancelled"}
WAITS_FOR_A_PERSON = {"held", "uncertain"}
MAYBE_BOUGHT = {"uncertain", "written_off"}

Row = dict[str, Any]


@dataclass
class Evidence:
    """
    All that is known about one upstream.

    Attributes:
        ledger: What the vendor accepted.
        jobs: Rows by id.
        attempts: Rows by id.
        assets: Rows.
        open_runs: Ids of the runs that the engine owes.
        objects: Stored objects, key to hash.
        spooled: Ids of the attempts that have files on a spool.
    """

    ledger: list[Entry]
    jobs: dict[str, Row]
    attempts: dict[str, Row]
    assets: list[Row]
    open_runs: list[str] = field(default_factory=list)
    objects: dict[str, str] = field(default_factory=dict)
    spooled: set[str] = field(default_factory=set)


def local_objects(folder: Path) -> dict[str, str]:
    """Every object of a local store with its hash; unfinished writes have no key and are no objects."""
    files = (path for path in folder.rglob("*") if path.is_file())
    keys = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        key: hashlib.sha256(path.read_bytes()).hexdigest()
        for key, path in keys.items()
        if not key.startswith(".incoming/")
    }


def read_evidence(place: Place, control: Control, *, objects: Mapping[str, str] | None = None) -> Evidence:
    """
    Read ledger, tables, store and spool.

    Args:
        place: Whose database, upstream, spool and local store.
        control: The emulator's.
        objects: What the store holds, where it is no folder of the place.
    """
    jobs = {
        row["id"]: dict(row) for row in place.rows("SELECT * FROM jobs WHERE upstream = ?", place.upstream)
    }
    attempts = place.rows("SELECT * FROM attempts WHERE upstream = ?", place.upstream)
    assets = place.rows("SELECT * FROM assets WHERE upstream = ?", place.upstream)
    runs = place.rows(
        "SELECT workflow_uuid FROM workflow_status WHERE queue_name = ? AND status IN ('PENDING', 'ENQUEUED')",
        f"runs/{place.upstream}",
    )
    return Evidence(
        ledger=control.ledger(),
        jobs=jobs,
        attempts={row["id"]: dict(row) for row in attempts},
        assets=[dict(row) for row in assets],
        open_runs=[row["workflow_uuid"] for row in runs],
        objects=dict(objects) if objects is not None else local_objects(place.home / "images"),
        spooled={path.name for path in (place.home / "spool").glob("at_*")},
    )


def judge(evidence: Evidence, *, missing: frozenset[str] = frozenset()) -> list[str]:
    """
    Everything that is wrong, as sentences; empty when all is well.

    Args:
        evidence: From `read_evidence`.
        missing: Jobs whose images the vendor does not hand out, so that they cannot be home; they must say so.
    """
    return [finding for found in by_kind(evidence, missing=missing).values() for finding in found]


def by_kind(evidence: Evidence, *, missing: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """What `judge` says, under what kind of wrong it is."""
    matches, unmatched = _match(evidence)
    return {
        "unmatched": unmatched,
        "unsettled": [*_unsettled(evidence)],
        "bought twice": [*_bought_twice(evidence, matches)],
        "lost": [*_lost(evidence, matches, missing)],
        "invented": [*_invented(evidence, matches)],
        "stored": [*_stored(evidence)],
    }


def _match(evidence: Evidence) -> tuple[dict[str, Entry], list[str]]:
    """Which attempt bought which billed generation, one to one, and what is left over on either side."""
    billed = {entry.id: entry for entry in evidence.ledger if entry.billed_micros > 0}
    matches: dict[str, Entry] = {}
    for attempt in evidence.attempts.values():
        if attempt["generation_id"] in billed and _may_have_bought(attempt):
            matches[attempt["id"]] = billed.pop(attempt["generation_id"])
    for states in ({"bought"}, MAYBE_BOUGHT):  # one that is sure of it comes first
        for attempt in evidence.attempts.values():
            if attempt["id"] in matches or attempt["state"] not in states or attempt["generation_id"]:
                continue
            found = next((entry for entry in billed.values() if _fits(evidence, attempt, entry)), None)
            if found is not None:
                matches[attempt["id"]] = billed.pop(found.id)
    findings = [f"generation {id_} was billed and no attempt says so" for id_ in billed]
    findings += [
        f"attempt {attempt['id']} says that it was bought and the ledger does not"
        for attempt in evidence.attempts.values()
        if attempt["state"] == "bought" and attempt["id"] not in matches
    ]
    return matches, findings


def _may_have_bought(attempt: Row) -> bool:
    return attempt["state"] in MAYBE_BOUGHT | {"bought", "accepted"}


def _fits(evidence: Evidence, attempt: Row, entry: Entry) -> bool:
    """Whether an attempt without a known id can be the one that bought a generation: same prompt, same seeds."""
    request = json.loads(evidence.jobs[attempt["job_id"]]["request"])
    if hashlib.sha256(request["prompt"].encode()).hexdigest() != entry.prompt_sha256:
        return False
    images = json.loads(attempt["answer"] or "null") or []
    if images:
        return [image["seed"] for image in images] == entry.seeds
    return "seed" not in request or request["seed"] == entry.seeds[0]


def _unsettled(evidence: Evidence) -> Iterator[str]:
    for job in evidence.jobs.values():
        if job["state"] not in ENDED | WAITS_FOR_A_PERSON:
            yield f"job {job['id']} is still {job['state']}"
        elif job["state"] in WAITS_FOR_A_PERSON and not (job["reason"] and job["message"]):
            yield f"job {job['id']} is {job['state']} and does not say why"
    for run in evidence.open_runs:
        yield f"the engine still owes the run {run}"
    for attempt in evidence.attempts.values():
        if attempt["slot"] is not None and evidence.jobs[attempt["job_id"]]["state"] != "held":
            yield f"attempt {attempt['id']} ({attempt['state']}) still takes slot {attempt['slot']}"
    for id_ in evidence.spooled:
        attempt = evidence.attempts.get(id_)
        if attempt is None or evidence.jobs[attempt["job_id"]]["state"] in ENDED:
            yield f"the spool still has files of {id_}, whose job has ended"


def _bought_twice(evidence: Evidence, matches: dict[str, Entry]) -> Iterator[str]:
    """Only a person's `buy again`, which writes the attempt before off, allows a job another purchase."""
    bought = Counter(evidence.attempts[id_]["job_id"] for id_ in matches)
    given_up = Counter(row["job_id"] for row in evidence.attempts.values() if row["state"] == "written_off")
    for job_id, count in bought.items():
        if count > 1 + given_up[job_id]:
            yield f"job {job_id} was bought {count} times"


def _lost(evidence: Evidence, matches: dict[str, Entry], missing: frozenset[str]) -> Iterator[str]:
    """Every safe image that was billed is in the catalog once, or a person has been told, or has given it up."""
    homes: Counter[tuple[str, int, str]] = Counter()
    for asset in evidence.assets:
        homes[asset["attempt_id"], asset["position"], asset["sha256"]] += 1
    for attempt_id, entry in matches.items():
        attempt = evidence.attempts[attempt_id]
        job = evidence.jobs[attempt["job_id"]]
        if job["state"] in WAITS_FOR_A_PERSON or attempt["state"] == "written_off":
            continue  # `_unsettled` sees to it that the job says why
        if job["id"] in missing:
            if job["state"] != "failed" or not json.loads(job["missing"]) or not job["message"]:
                yield f"job {job['id']} has lost images and does not say so"
            continue
        for position, (safe, digest) in enumerate(zip(entry.safe, entry.sha256, strict=True)):
            count = homes[attempt_id, position, digest]
            if safe and count != 1:
                yield f"image {position} of generation {entry.id} is in the catalog {count} times"


def _invented(evidence: Evidence, matches: dict[str, Entry]) -> Iterator[str]:
    for asset in evidence.assets:
        entry = matches.get(asset["attempt_id"])
        if entry is None:
            yield f"asset {asset['id']} belongs to no billed generation"
        elif not (asset["position"] < len(entry.safe) and entry.safe[asset["position"]]):
            yield f"asset {asset['id']} is no safe image of its generation"
        elif asset["sha256"] != entry.sha256[asset["position"]]:
            yield f"asset {asset['id']} has another hash than the ledger"


def _stored(evidence: Evidence) -> Iterator[str]:
    keys = Counter(asset["stored_path"] for asset in evidence.assets)
    for asset in evidence.assets:
        digest = evidence.objects.get(asset["stored_path"])
        if digest is None:
            yield f"asset {asset['id']} has no stored object"
        elif digest != asset["sha256"]:
            yield f"the object of asset {asset['id']} has other bytes than its record says"
    for key in evidence.objects.keys() - keys.keys():
        yield f"the object {key} has no record"
    for key, count in keys.items():
        if count > 1:
            yield f"{count} assets share the object {key}"
