"""Admission: what is wrong with a request is said before anything is written."""

from __future__ import annotations

import pytest

from pressroom.errors import InvalidRequest
from pressroom.generation import jobs
from pressroom.generation.admission import LONGEST_TAG, MOST_TAGS, Submission, admit, request_hash
from pressroom.generation.jobs import JobState
from pressroom.ideogram import ImageRequest, Wire


def _request(**fields):
    return ImageRequest(**{"prompt": "a heron at dawn", **fields})


def _submission(*, wire=Wire.AUTO, tags=(), metadata=None, **fields):
    return Submission(request=_request(**fields), wire=wire, tags=tags, metadata=metadata or {})


async def test_the_row_holds_what_was_asked_for(database):
    """Every later step reads it from here: request, call, labels, and where it goes."""
    submission = _submission(tags=["b", "a", "b"], metadata={"campaign": "spring"}, seed=7, quality="high")
    call = submission.call()
    async with database.write() as connection:
        [job_id] = await admit(connection, [(submission, call)], upstream="emulator")
        job = await jobs.get_one_or_none(connection, job_id)

    assert (job.state, job.upstream, job.project) == (JobState.QUEUED, "emulator", "default")
    assert {
        "model": "ideogram-4-5",
        "prompt": "a heron at dawn",
        "seed": 7,
        "quality": "high",
    }.items() <= job.request.items()
    assert (call.to_json(), request_hash(call)) == (job.call, job.request_hash)
    assert (job.tags, job.metadata) == (["a", "b"], {"campaign": "spring"})
    assert (
        job.dispatches,
        job.failures,
        job.backoffs,
        job.continuing,
        job.missing,
        job.filtered_count,
    ) == (0, 0, 0, False, [], 0)
    assert job.eligible_at <= job.created_at + 1000


async def test_several_jobs_share_a_transaction_and_keep_their_order(database):
    """A campaign submits many at once; ids sort by age."""
    submission = _submission()
    call = submission.call()
    async with database.write() as connection:
        made = [(await admit(connection, [(submission, call)], upstream="emulator"))[0] for _ in range(50)]

    assert sorted(set(made)) == made


async def test_many_jobs_are_written_in_one_statement_in_the_order_asked_for(database):
    """Ids come back in the order of the requests and sort by age; nothing asked for is nothing written."""
    wanted = [_submission(prompt=f"picture {number}") for number in range(30)]
    async with database.write() as connection:
        made = await admit(connection, [(one, one.call()) for one in wanted], upstream="emulator")
        found = [await jobs.get_one_or_none(connection, job_id) for job_id in made]
        none = await admit(connection, [], upstream="emulator")

    assert [one.request.prompt for one in wanted] == [job.request["prompt"] for job in found]
    assert sorted(made) == made
    assert none == []


@pytest.mark.parametrize(
    "text", ["ümläut 🦩", "quote ' \" \\ and %s :x", "line\nbreak\ttab", "\u202emirrored"]
)
async def test_a_prompt_survives_as_it_was_typed(database, text):
    """Neither database changes a character."""
    submission = _submission(prompt=text)
    async with database.write() as connection:
        [job_id] = await admit(connection, [(submission, submission.call())], upstream="emulator")
        job = await jobs.get_one_or_none(connection, job_id)

    assert (text, text) == (job.request["prompt"], job.call["fields"]["prompt"])


def test_equal_requests_have_equal_hashes():
    """However they were spelt, and whatever labels they carry."""
    plain = request_hash(_submission(aspect_ratio="16x9").call())

    assert plain == request_hash(_submission(aspect_ratio="16:9", tags=["x"], metadata={"a": "b"}).call())
    assert plain == request_hash(_submission(aspect_ratio="ASPECT_16_9").call())


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a heron at dusk"},
        {"seed": 1},
        {"num_images": 2},
        {"aspect_ratio": "1x1"},
        {"quality": "high"},
        {"wire": Wire.V3},
        {"model": "ideogram-4"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_different_requests_have_different_hashes(other):
    """Each of them may give another picture."""
    assert request_hash(_submission().call()) != request_hash(_submission(**other).call())


@pytest.mark.parametrize(
    ("labels", "field", "words"),
    [
        ({"tags": [f"t{n}" for n in range(MOST_TAGS + 1)]}, "tags", f"at most {MOST_TAGS}"),
        ({"tags": ["x" * (LONGEST_TAG + 1)]}, "tags", f"at most {LONGEST_TAG}"),
        ({"tags": ["two\nlines"]}, "tags", "no control characters"),
        ({"tags": ["  "]}, "tags", "visible"),
        ({"metadata": {"k": "x" * (LONGEST_TAG + 1)}}, "metadata", f"at most {LONGEST_TAG}"),
        ({"metadata": {"k" * (LONGEST_TAG + 1): "v"}}, "metadata", f"at most {LONGEST_TAG}"),
        ({"metadata": {"k": "nul\0"}}, "metadata", "no control characters"),
        ({"metadata": {f"k{n}": "v" for n in range(MOST_TAGS + 1)}}, "metadata", f"at most {MOST_TAGS}"),
        ({"metadata": {" ": "v"}}, "metadata", "visible"),
    ],
)
def test_labels_that_cannot_be_kept_are_named(labels, field, words):
    """The field, and what would be accepted; never the label itself, which may be long."""
    with pytest.raises(InvalidRequest) as caught:
        _submission(**labels).call()

    assert caught.value.field == field
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


def test_labels_at_the_limit_are_kept():
    """The bound itself is inside."""
    most = [f"{n:0{LONGEST_TAG}}" for n in range(MOST_TAGS)]

    assert _submission(tags=most, metadata=dict.fromkeys(most, "x" * LONGEST_TAG)).call() is not None


@pytest.mark.parametrize("label", ["half \ud800", "nul \0"])
def test_a_label_that_no_database_can_hold_is_refused(label):
    """Half a surrogate pair has no UTF-8, and Postgres takes no NUL."""
    for labels in ({"tags": [label]}, {"metadata": {"k": label}}, {"metadata": {label: "v"}}):
        with pytest.raises(InvalidRequest):
            _submission(**labels).call()


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_nul_in_a_prompt_is_refused_before_it_reaches_the_database(field):
    """Postgres cannot store it; on every database it means the same: the request is at fault."""
    with pytest.raises(InvalidRequest) as caught:
        _submission(**{field: "before\0after"}, wire=Wire.V3).call()

    assert caught.value.field == field
    assert "before" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": "x" * 10_001}, "prompt"),
        ({"model": "no-such-model"}, "model"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"num_images": 0}, "num_images"),
        ({"num_images": 9}, "num_images"),
        ({"size": "1024x1024", "aspect_ratio": "1x1"}, "size"),
        ({"size": "17x4096"}, "size"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_input_names_the_field_and_what_would_be_accepted(fields, field):
    """The caller's mistake, found before anything is written; a prompt is never quoted."""
    with pytest.raises(InvalidRequest) as caught:
        _submission(**fields).call()

    assert caught.value.field == field
    assert caught.value.allowed
    assert "xxx" not in str(caught.value)


def test_a_repr_holds_no_prompt():
    """Submissions end up in tracebacks and logs."""
    submission = _submission(prompt="the secret heron", negative_prompt="the secret pond", wire=Wire.V3)

    assert "secret" not in repr(submission) + repr(submission.call())
