"""A part of the system that is missing: skipped on a user's machine, a failure on CI."""

from __future__ import annotations

import pytest
from tests.support import parts


@pytest.fixture
def missing(monkeypatch):
    monkeypatch.setitem(parts.PARTS, "time machine", lambda: "install one")
    monkeypatch.delenv("CI", raising=False)


def test_a_user_is_told_what_is_not_tested_and_why(missing):
    """The test counts as skipped."""
    with pytest.raises(pytest.skip.Exception, match="no time machine here: install one"):
        parts.needs("time machine")


def test_on_ci_everything_has_to_be_there(missing, monkeypatch):
    """Else a suite could be green because it ran nothing."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI has no time machine: install one"):
        parts.needs("time machine")


def test_what_is_there_is_no_obstacle(monkeypatch):
    """On CI and elsewhere."""
    asked = []
    monkeypatch.setitem(parts.PARTS, "time machine", lambda: asked.append(True))
    for value in ("", "true"):
        monkeypatch.setenv("CI", value)
        parts.needs("time machine")
    assert asked == [True, True]
