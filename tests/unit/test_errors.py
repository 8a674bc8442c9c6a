"""The tree of errors: what all of them promise."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from pressroom import errors
from pressroom.errors import MAX_VENDOR_TEXT, InvalidRequest, PressroomError, VendorError

TREE = sorted(
    (kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PressroomError)),
    key=lambda kind: kind.__name__,
)


def build(kind):
    """One of this kind, with every attribute set."""
    if issubclass(kind, InvalidRequest):
        return kind("seed", -1, "0 or more")
    if issubclass(kind, VendorError):
        made = kind(
            "what to do next",
            status=429,
            vendor_message="their words",
            reject_reason="inflight_limit",
            retry_after=3.5,
            headers={"retry-after": "3.5"},
        )
        if isinstance(made, errors.InflightLimit):
            made.max_inflight, made.queue = 4, "fast"
        return made
    return kind("what to do next")


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_a_pickle_with_all_it_knows(kind, protocol):
    """The engine replays errors, and processes hand them on."""
    before = build(kind)
    before.add_note("and where")
    after = pickle.loads(pickle.dumps(before, protocol))

    assert (type(before), str(before), before.args) == (type(after), str(after), after.args)
    assert before.__dict__ == after.__dict__


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_survives_a_copy(kind):
    """Deep or shallow."""
    before = build(kind)
    for after in (copy.copy(before), copy.deepcopy(before)):
        assert (type(before), str(before), before.__dict__) == (type(after), str(after), after.__dict__)


def test_the_docstring_draws_the_tree_as_it_is():
    """Every class with its base, by its depth in the drawing."""
    drawn, path = {}, []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^    ([ │├└─]*)([A-Z]\w+)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        path[depth:] = [match[2]]
        drawn[match[2]] = path[depth - 1] if depth else "Exception"

    assert {kind.__name__: kind.__base__.__name__ for kind in TREE} == drawn


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_what_an_error_says_is_its_message(kind):
    """One sentence for a person, without the vendor's words, which may quote the prompt."""
    made = build(kind)

    assert str(made) == made.message
    assert "their words" not in str(made) + repr(made)


def test_only_so_much_of_the_vendors_words_is_kept():
    """A page of HTML is no reason."""
    made = VendorError("x", vendor_message="y" * 100_000)

    assert len(made.vendor_message) == MAX_VENDOR_TEXT == 2048


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1, "-1"), ("red", "'red'"), ("(10001 characters)", "(10001 characters)"), (None, "None")],
)
def test_an_invalid_request_names_field_value_and_what_would_do(value, shown):
    """A value in brackets stands for one that is not to be quoted."""
    made = InvalidRequest("seed", value, "it is something else")

    assert f"seed: {shown} is not possible; it is something else" == str(made)


def test_a_long_value_is_shortened():
    """So that a message stays a line."""
    assert len(InvalidRequest("style", "x" * 10_000, "y").value) == 120


def test_two_errors_share_nothing():
    """Headers of one are not those of another."""
    first, second = VendorError("a"), VendorError("b")
    first.headers["x"] = "1"

    assert second.headers == {}
