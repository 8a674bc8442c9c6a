"""The judge itself: it finds every way in which the two sides can disagree, and nothing where they agree."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from dataclasses import replace

import pytest
from tests.support.emulator import Entry
from tests.support.judge import Evidence, judge, read_evidence

PROMPT = "a kite"
DIGEST = hashlib.sha256(b"picture").hexdigest()
OTHER = hashlib.sha256(b"another").hexdigest()


def entry(number, **changes):
    """A billed generation of one safe picture."""
    made = Entry(
        seq=number,
        id=f"g{number}",
        operation="v3.generate",
        model="ideogram-3",
        api_key_fingerprint="f",
        accepted_at=0.0,
        ready_at=0.0,
        state="completed",
        failure_reason=None,
        billed_micros=60_000,
        num_images=1,
        seeds=[7],
        safe=[True],
        width=8,
        height=8,
        prompt_sha256=hashlib.sha256(PROMPT.encode()).hexdigest(),
        sha256=[DIGEST],
    )
    return replace(made, **changes)


def sound():
    """One job, one purchase with a known id, one picture at home."""
    return Evidence(
        ledger=[entry(1)],
        jobs={
            "j1": {
                "id": "j1",
                "state": "completed",
                "reason": None,
                "message": None,
                "request": json.dumps({"prompt": PROMPT, "seed": 7}),
                "missing": "[]",
            }
        },
        attempts={"a1": attempt("a1")},
        assets=[asset("s1", "a1")],
        objects={"key-s1": DIGEST},
    )


def attempt(id_, **changes):
    return {
        "id": id_,
        "job_id": "j1",
        "state": "bought",
        "generation_id": "g1",
        "slot": None,
        "answer": json.dumps([{"seed": 7}]),
    } | changes


def asset(id_, attempt_id, **changes):
    return {
        "id": id_,
        "attempt_id": attempt_id,
        "position": 0,
        "sha256": DIGEST,
        "stored_path": f"key-{id_}",
    } | changes


def uncertain(evidence, **job):
    """The job's answer was lost: the attempt knows no id, and a person was told."""
    evidence.attempts["a1"] |= {"state": "uncertain", "generation_id": None, "answer": None}
    evidence.jobs["j1"] |= {"state": "uncertain", "reason": "lost answer", "message": "look for it"} | job
    evidence.assets.clear()
    evidence.objects.clear()


def bought_twice(evidence):
    evidence.ledger.append(entry(2))
    evidence.attempts["a2"] = attempt("a2", generation_id="g2")
    evidence.assets.append(asset("s2", "a2"))
    evidence.objects["key-s2"] = DIGEST


def written_off_and_bought_again(evidence):
    bought_twice(evidence)
    evidence.attempts["a1"] |= {"state": "written_off"}
    del evidence.assets[0], evidence.objects["key-s1"]


def without_an_id(evidence):
    evidence.attempts["a1"]["generation_id"] = None


def never_bought(evidence):
    uncertain(evidence)
    evidence.ledger.clear()


def missing_and_said(evidence):
    evidence.jobs["j1"] |= {"state": "failed", "missing": '[{"reason": "dead"}]', "message": "not home"}
    evidence.assets.clear()
    evidence.objects.clear()


def not_billed(evidence):
    evidence.ledger.append(entry(2, billed_micros=0, state="failed"))


@pytest.mark.parametrize(
    "change",
    [lambda _: None, uncertain, written_off_and_bought_again, without_an_id, never_bought, not_billed],
)
def test_what_agrees_is_not_objected_to(change):
    """Sound books, a question that was asked, and a purchase that somebody asked for."""
    evidence = sound()
    change(evidence)
    assert judge(evidence) == []


def test_missing_pictures_are_accepted_only_where_they_are_expected_and_told():
    """The vendor may keep a picture back; the job must say so."""
    evidence = sound()
    missing_and_said(evidence)
    assert judge(evidence) == ["image 0 of generation g1 is in the catalog 0 times"]
    assert judge(evidence, missing=frozenset({"j1"})) == []
    evidence.jobs["j1"]["missing"] = "[]"
    assert judge(evidence, missing=frozenset({"j1"})) == ["job j1 has lost images and does not say so"]


def change_attempt(**values):
    return lambda evidence: evidence.attempts["a1"].update(values)


def change_asset(**values):
    return lambda evidence: evidence.assets[0].update(values)


def change_job(**values):
    return lambda evidence: evidence.jobs["j1"].update(values)


TAMPERINGS = {
    "a generation nobody knows of": (
        lambda evidence: evidence.ledger.append(entry(2, prompt_sha256="0")),
        "generation g2 was billed and no attempt says so",
    ),
    "a purchase denied": (change_attempt(state="unsold"), "generation g1 was billed and no attempt says so"),
    "a purchase that never was": (
        lambda evidence: evidence.ledger.clear(),
        "attempt a1 says that it was bought and the ledger does not",
    ),
    "other seeds": (
        change_attempt(generation_id=None, answer='[{"seed": 8}]'),
        "generation g1 was billed and no attempt says so",
    ),
    "bought twice": (bought_twice, "job j1 was bought 2 times"),
    "still running": (change_job(state="running"), "job j1 is still running"),
    "still queued": (change_job(state="queued"), "job j1 is still queued"),
    "uncertain without a word": (
        lambda evidence: uncertain(evidence, message=None),
        "job j1 is uncertain and does not say why",
    ),
    "a slot left": (change_attempt(slot=3), "attempt a1 (bought) still takes slot 3"),
    "a run owed": (lambda evidence: evidence.open_runs.append("j1:1"), "the engine still owes the run j1:1"),
    "a full spool": (
        lambda evidence: evidence.spooled.add("a1"),
        "the spool still has files of a1, whose job has ended",
    ),
    "a stranger's spool": (
        lambda evidence: evidence.spooled.add("a9"),
        "the spool still has files of a9, whose job has ended",
    ),
    "a lost picture": (
        lambda evidence: (evidence.assets.clear(), evidence.objects.clear()),
        "image 0 of generation g1 is in the catalog 0 times",
    ),
    "a picture twice": (
        lambda evidence: evidence.assets.append(asset("s2", "a1", stored_path="key-s1")),
        "image 0 of generation g1 is in the catalog 2 times",
    ),
    "a shared object": (
        lambda evidence: evidence.assets.append(asset("s2", "a1", stored_path="key-s1")),
        "2 assets share the object key-s1",
    ),
    "another picture": (change_asset(sha256=OTHER), "asset s1 has another hash than the ledger"),
    "a wrong position": (change_asset(position=1), "asset s1 is no safe image of its generation"),
    "an unsafe picture": (
        lambda evidence: evidence.ledger.__setitem__(0, entry(1, safe=[False])),
        "asset s1 is no safe image of its generation",
    ),
    "an asset from nowhere": (
        lambda evidence: evidence.assets.append(asset("s2", "a7")),
        "asset s2 belongs to no billed generation",
    ),
    "an object gone": (lambda evidence: evidence.objects.clear(), "asset s1 has no stored object"),
    "an object spoiled": (
        lambda evidence: evidence.objects.update({"key-s1": OTHER}),
        "the object of asset s1 has other bytes than its record says",
    ),
    "an orphan": (
        lambda evidence: evidence.objects.update({"key-s9": DIGEST}),
        "the object key-s9 has no record",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_every_tampering_is_found(name):
    """Each changes one piece of sound evidence, and the judge says which."""
    tamper, finding = TAMPERINGS[name]
    evidence = sound()
    untouched = deepcopy(evidence)
    tamper(evidence)
    assert evidence != untouched
    assert finding in judge(evidence)


def test_real_evidence_is_read_and_tampering_with_it_is_found(rig):
    """A real job, then its object and its row are spoiled, and a generation is bought behind our back."""
    rig.start()
    [job] = rig.place.submit()
    assert rig.settled([job]) == ["completed"]
    sound_evidence = read_evidence(rig.place, rig.emulator.control)
    assert (len(sound_evidence.ledger), len(sound_evidence.assets), len(sound_evidence.objects)) == (1, 1, 1)
    [stored] = (rig.place.home / "images").rglob("*.png")
    stored.write_bytes(b"something else")
    assert len(judge(read_evidence(rig.place, rig.emulator.control))) == 1
    stored.rename(stored.with_name("elsewhere.png"))
    assert len(judge(read_evidence(rig.place, rig.emulator.control))) == 2
