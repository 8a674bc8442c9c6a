"""What each answer means for the attempt and its job."""

from __future__ import annotations

import json

import pytest

from pressroom import errors
from pressroom.generation.run.outcomes import (
    LOST,
    RULES,
    backoff_s,
    error_facts,
    failed_generation,
    outcome_of,
)
from pressroom.ideogram import Generation, Status

MEANINGS = [
    (errors.RequestRefused, "unsold", "failed", "refused"),
    (errors.KeyRefused, "unsold", "held", "key"),
    (errors.CreditsExhausted, "unsold", "held", "credits"),
    (errors.QuotaExhausted, "unsold", "held", "quota"),
    (errors.ContentRefused, "unsold", "filtered", "refused"),
    (errors.RateLimited, "unsold", "queued", "limit"),
    (errors.InflightLimit, "unsold", "queued", "limit"),
    (errors.NotSent, "unsold", "queued", "vendor"),
    (errors.OutcomeUnknown, "uncertain", "uncertain", "lost answer"),
    (errors.Refused, "unsold", "failed", "refused"),
    (errors.Unavailable, "uncertain", "uncertain", "lost answer"),
    (errors.GenerationNotFound, "uncertain", "uncertain", "lost answer"),
    (errors.VendorError, "uncertain", "uncertain", "lost answer"),
]
"""The table of design section 3. What no rule names, after the request may have left, is uncertain."""


@pytest.mark.parametrize(("kind", "attempt", "job", "reason"), MEANINGS)
def test_each_answer_means_what_the_design_says(kind, attempt, job, reason):
    """A refusal is unsold, a lost answer is uncertain, and trouble of ours never ends the job."""
    outcome = outcome_of(kind("the words"))

    assert (attempt, job, reason) == (outcome.attempt, outcome.job, outcome.reason)


@pytest.mark.parametrize(
    ("job", "words"),
    [("held", ("goes on by itself", "`pressroom spend topup`")), ("uncertain", ("`pressroom jobs ",))],
)
def test_a_job_that_waits_tells_what_to_do(job, words):
    """Each names a command, or says that it needs none."""
    for kind, _, state, _ in MEANINGS:
        if state == job:
            assert any(word in outcome_of(kind("x")).advice for word in words)


CONSEQUENCES = {
    errors.NotSent: (True, None, False),
    errors.OutcomeUnknown: (True, None, False),
    errors.RateLimited: (False, None, True),
    errors.KeyRefused: (False, "key", False),
    errors.CreditsExhausted: (False, "credits", False),
    errors.QuotaExhausted: (False, "quota", False),
}
"""Whether the breaker counts it, what it stops, whether the limit learns from it."""


@pytest.mark.parametrize(("kind", "rule"), RULES, ids=lambda value: getattr(value, "__name__", ""))
def test_each_rule_says_what_it_means_for_the_fleet(kind, rule):
    """The others concern nobody but their own job; a mistake of ours is never the vendor's failure."""
    assert CONSEQUENCES.get(kind, (False, None, False)) == (rule.counts, rule.stops, rule.limits)
    assert not LOST.counts


def _failed(reason=None):
    return Generation("gen-1", Status.FAILED, failure_reason=reason)


@pytest.mark.parametrize(
    ("reason", "failures", "job"),
    [
        (None, 1, "queued"),
        ("internal_error", 2, "queued"),
        ("internal_error", 3, "failed"),
        (None, 4, "failed"),
        ("content_policy_violation", 1, "filtered"),
        ("content_policy_violation", 3, "filtered"),
    ],
)
def test_a_failed_generation_is_tried_again_until_the_attempts_are_used(reason, failures, job):
    """Nothing is sold in any case; a refusal by policy would be refused again."""
    outcome = failed_generation(_failed(reason), failures=failures, attempts=3)

    assert ("unsold", job) == (outcome.attempt, outcome.job)


def test_waits_double_up_to_a_limit():
    """Also after a thousand of them, where 2**n is no float any more."""
    waits = [backoff_s(count, first_s=2, most_s=300) for count in (0, 1, 2, 7, 8, 1100, 10**9)]

    assert waits == [2, 4, 8, 256, 300, 300, 300]


def test_the_facts_of_an_error_are_json():
    """They go onto the attempt's row."""
    error = errors.RateLimited(
        "slow down", status=429, vendor_message="wait", reject_reason="x", retry_after=3.0
    )

    assert json.loads(json.dumps(error_facts(error))) == {
        "kind": "RateLimited",
        "message": "slow down",
        "status": 429,
        "reject_reason": "x",
        "vendor_message": "wait",
    }
