"""The pace of polling over all durations, on machines of any speed."""

from __future__ import annotations

from itertools import islice

from hypothesis import example, given
from hypothesis import strategies as st

from pressroom.generation.run.durations import LEAST_S, Durations

FIRST_S, EVERY_S, MOST_S = 1.0, 0.5, 30.0
TRUE = st.floats(0.02, 300.0)
OPERATION = "v2/generate/ideogram-4-5"


def fresh(first_s=FIRST_S):
    return Durations(first_s=first_s, every_s=EVERY_S, most_s=MOST_S)


def generate(durations, true_s, *, stretch=1.0, lag_s=0.0):
    """
    One generation that takes `true_s`, waited for by a machine whose sleeps take `stretch` times as long and `lag_s`
    more.

    Returns:
        The first wait that was planned, and when the end was seen.
    """
    waited, pending_at, first = 0.0, None, None
    for wait in durations.waits(OPERATION):
        first = wait if first is None else first
        waited += wait * stretch + lag_s
        if waited >= true_s:
            durations.learn(OPERATION, pending_at=pending_at, ended_at=waited)
            return first, waited
        pending_at = waited
    raise AssertionError("the waits ended")


@given(
    st.lists(st.tuples(st.none() | st.floats(0, 1e6), st.floats(0, 1e6)), max_size=80), st.floats(0.001, 1e4)
)
def test_waits_are_positive_and_bounded_whatever_was_learned(observed, first_s):
    """Polling neither spins nor falls asleep, and never ends by itself."""
    durations = fresh(first_s)
    for pending_at, ended_at in observed:
        durations.learn(OPERATION, pending_at=pending_at, ended_at=ended_at)
    first, *later = list(islice(durations.waits(OPERATION), 400))

    longest = max([first_s, *(max(pending or 0, ended) for pending, ended in observed)])
    assert LEAST_S <= first <= max(LEAST_S, longest)
    assert all(LEAST_S <= wait <= MOST_S for wait in later)


@given(TRUE)
def test_the_pace_slows_down_only_after_the_slowest_usual_time(true_s):
    """A generation that is late is asked about ever more rarely, up to the longest wait."""
    durations = fresh()
    for _ in range(5):
        generate(durations, true_s)
    paces = list(islice(durations.waits(OPERATION), 1, 2000))

    assert sorted(paces) == paces
    assert paces[-1] == MOST_S


@given(st.floats(FIRST_S, 300.0), st.floats(0.9, 1.1))
def test_a_true_time_above_the_guess_is_found_in_the_first_round(true_s, jitter):
    """Whatever the first guess was, the second generation is polled at about the right moment."""
    durations = fresh()
    generate(durations, true_s * jitter)
    first, _ = generate(durations, true_s)

    assert 0.5 * true_s <= first <= 1.5 * true_s + EVERY_S


@given(st.floats(0.3, FIRST_S))
def test_a_true_time_below_the_guess_is_found_in_a_few_rounds(true_s):
    """Each end that the first poll finds takes the learned time down by a fifth."""
    durations = fresh()
    for _ in range(64):
        first, _ = generate(durations, true_s)

    assert 0.5 * true_s <= first <= 1.5 * true_s + LEAST_S


@given(TRUE, st.floats(1.0, 4.0), st.floats(0.0, 5.0))
@example(1.0, 2.0, 0.0)
@example(0.6, 1.0, 1.0)
def test_a_slow_machine_does_not_teach_itself_to_wait_longer_for_ever(true_s, stretch, lag_s):
    """The lag of our own sleeps is no duration of the vendor's: the first wait stays near the true time."""
    durations = fresh()
    one_pace_late = (true_s + MOST_S + EVERY_S) * stretch + lag_s  # the longest time between two polls
    bound = max(FIRST_S, true_s + one_pace_late)
    firsts = [generate(durations, true_s, stretch=stretch, lag_s=lag_s)[0] for _ in range(300)]

    assert max(firsts) <= bound
    assert max(firsts[150:]) <= max(firsts[:150]) + one_pace_late


@given(TRUE, st.floats(0.0, 100.0))
def test_only_a_generation_that_was_seen_pending_makes_the_first_wait_longer(true_s, lag_s):
    """Proof that the vendor needed longer, and nothing else, moves it up."""
    durations = fresh()
    for _ in range(10):
        generate(durations, true_s)
    before = next(durations.waits(OPERATION))
    for _ in range(200):
        durations.learn(OPERATION, pending_at=None, ended_at=before + lag_s)

    assert next(durations.waits(OPERATION)) <= before


@given(TRUE)
def test_operations_learn_apart(true_s):
    """A slow model says nothing about a fast one."""
    durations = fresh()
    generate(durations, true_s)

    assert next(durations.waits("legacy/generate")) == FIRST_S
