"""Every answer means something, and what it means never buys twice: status, reason and body, in all combinations."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressroom import errors
from pressroom.errors import MAX_VENDOR_TEXT, VendorError
from pressroom.generation.jobs import JobState
from pressroom.generation.run.outcomes import RULES, error_facts, failed_generation, outcome_of
from pressroom.ideogram import Generation, Status
from pressroom.ideogram.failures import BY_REASON, Answered, Cost, answer_error, classify
from pressroom.ideogram.reading import json_object
from pressroom.spend.attempts import AttemptState

NOW = datetime(2026, 11, 20, tzinfo=UTC)
STATUS = st.integers(100, 599)
REASON = st.none() | st.sampled_from([*BY_REASON, "something_new", ""]) | st.text(max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
NAMED = st.fixed_dictionaries(
    {},
    optional={
        "reject_reason": REASON | JSON,
        "error": JSON,
        "message": JSON,
        "detail": JSON,
        "status_code": STATUS | JSON,
        "max_inflight_requests": JSON,
        "task_completion_speed": JSON,
    },
)
BODY = (
    st.binary(max_size=300)
    | NAMED.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
)
HEADERS = st.fixed_dictionaries(
    {}, optional={"retry-after": st.text(max_size=12), "x-ratelimit-remaining": st.text(max_size=5)}
)


def _kinds(base=VendorError):
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


def _texts(value):
    """Every text in a value of JSON, names included."""
    if isinstance(value, str):
        yield value
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    for one in inner:
        yield from _texts(one)


KINDS = sorted(set(_kinds()), key=lambda kind: kind.__name__)


@given(STATUS, REASON, st.sampled_from(Cost))
def test_every_status_with_every_reason_has_a_meaning(status, reason, cost):
    """Nothing a paid request may have bought is called a refusal, and nothing that is refused is called unknown."""
    kind = classify(status, reason, cost)

    refused = 400 <= status < 500 and status != 408
    if refused:
        assert issubclass(kind, errors.Refused | errors.GenerationNotFound)
    else:
        assert kind is (errors.OutcomeUnknown if cost is Cost.PAID else errors.Unavailable)
    assert cost is Cost.POLL or kind is not errors.GenerationNotFound


@given(STATUS, HEADERS, BODY, st.sampled_from(Cost))
def test_every_body_has_a_meaning_that_a_row_can_hold(status, headers, body, cost):
    """Whatever came: the facts are JSON in UTF-8 without a NUL, short, and the sentence quotes nothing of it."""
    error = answer_error(Answered(status, headers, body, NOW), cost)
    facts = json.dumps(error_facts(error), ensure_ascii=False)

    assert facts.encode()
    assert not any("\0" in text for text in _texts(json.loads(facts)))
    assert len(error.vendor_message) <= MAX_VENDOR_TEXT
    assert str(error).startswith(f"HTTP {status}")
    assert error.retry_after is None or error.retry_after >= 0
    if isinstance(error, errors.InflightLimit):
        assert error.max_inflight is None or error.max_inflight >= 1


@given(STATUS, HEADERS, BODY)
def test_only_a_refusal_lets_a_paid_request_be_sent_again(status, headers, body):
    """From the bytes of the answer to the states of attempt and job."""
    error = answer_error(Answered(status, headers, body, NOW), Cost.PAID)
    outcome = outcome_of(error)

    assert (outcome.attempt is AttemptState.UNSOLD) is isinstance(error, errors.Refused)
    assert (outcome.attempt is AttemptState.UNCERTAIN) is (outcome.job is JobState.UNCERTAIN)
    if not (400 <= status < 500 or 200 <= status < 300):
        assert outcome.attempt is AttemptState.UNCERTAIN


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps({"a": value}).encode()))
def test_what_is_read_of_the_vendor_can_be_stored(body):
    """A text with a NUL or half of a pair is mended once, where it comes in."""
    try:
        read = json_object(body)
    except ValueError:
        return
    stored = json.dumps(read, ensure_ascii=False).encode()
    assert not any("\0" in text for text in _texts(json.loads(stored)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_vendor_has_an_outcome(kind):
    """The table is total, and none of its ends sells what may have been bought."""
    outcome = outcome_of(kind("x"))

    assert outcome.attempt in {AttemptState.UNSOLD, AttemptState.UNCERTAIN}
    unsold = issubclass(kind, errors.Refused | errors.NotSent)
    assert unsold is (outcome.attempt is AttemptState.UNSOLD)
    assert outcome.reason


@pytest.mark.parametrize("index", range(len(RULES)))
def test_no_rule_is_hidden_behind_an_earlier_one(index):
    """The first that fits decides, so a narrow one must come before a wide one."""
    kind = RULES[index][0]

    assert RULES[index][1] == outcome_of(kind("x"))
    assert not any(issubclass(kind, earlier) for earlier, _ in RULES[:index])


@given(st.none() | st.text(max_size=30), st.integers(1, 10), st.integers(1, 10))
def test_a_failed_generation_is_never_sold_and_never_tried_for_ever(reason, failures, attempts):
    """Whatever the vendor calls it."""
    generation = Generation("gen-1", Status.FAILED, failure_reason=reason)
    outcome = failed_generation(generation, failures=failures, attempts=attempts)

    assert outcome.attempt is AttemptState.UNSOLD
    assert outcome.job in {JobState.QUEUED, JobState.FAILED, JobState.FILTERED}
    if failures >= attempts:
        assert outcome.job is not JobState.QUEUED
