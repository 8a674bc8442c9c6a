"""What a budget is for: its scope, as people write it and as rows name it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from pressroom.errors import InvalidRequest

LONGEST_SUBJECT = 200
"""Characters of a project's or a campaign's name, as admission takes them."""

_UNNAMED = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""What no name holds: control characters, and halves of surrogate pairs."""

DAY_MS = 24 * 3_600_000
"""Milliseconds of a day."""

EVER = "ever"
"""The period of a budget that never begins anew."""


class Scope(StrEnum):
    """Whose spending a budget limits; in this order the first that refuses is named."""

    DAY = "day"
    """All spending of one UTC day."""
    PROJECT = "project"
    """One project's, for ever."""
    CAMPAIGN = "campaign"
    """One campaign's, for ever."""
    KEY = "key"
    """What is bought with one key of the vendor, by its fingerprint."""
    TOTAL = "total"
    """All spending, for ever."""
    BACKFILL = "backfill"
    """Purchases that replace placeholders, counted from when the budget is set."""


NAMED = frozenset({Scope.PROJECT, Scope.CAMPAIGN, Scope.KEY})
"""Scopes that need a subject."""


@dataclass(frozen=True, kw_only=True)
class BudgetName:
    """
    Which budget.

    Attributes:
        subject: A project, a campaign or a key's fingerprint; empty for the other scopes.
    """

    upstream: str
    scope: Scope
    subject: str = ""

    @classmethod
    def parse(cls, upstream: str, text: str) -> BudgetName:
        """
        Read `day`, `total`, `backfill`, `project:NAME`, `campaign:NAME` or `key:FINGERPRINT`.

        Raises:
            InvalidRequest: It is none of these.
        """
        name, separator, subject = text.partition(":")
        allowed = "it is day, total, backfill, project:NAME, campaign:NAME or key:FINGERPRINT"
        if name not in set(Scope) or bool(separator) is not (name in NAMED):
            raise InvalidRequest("scope", text, allowed)
        if separator and (not subject.strip() or len(subject) > LONGEST_SUBJECT or _UNNAMED.search(subject)):
            raise InvalidRequest(
                "scope", text, f"a name has 1 to {LONGEST_SUBJECT} characters, no control characters"
            )
        return cls(upstream=upstream, scope=Scope(name), subject=subject)

    @property
    def id(self) -> str:
        """The row's id; upstream and scope hold no bar, so it is never ambiguous."""
        return f"{self.upstream}|{self.scope}|{self.subject}"

    @property
    def words(self) -> str:
        """As people write it."""
        return f"{self.scope}:{self.subject}" if self.scope in NAMED else str(self.scope)

    def counter_id(self, now_ms: int) -> str:
        """The id of its counter at a moment, milliseconds since the epoch."""
        return f"{self.id}@{self.period(now_ms)}"

    def period(self, now_ms: int) -> str:
        """The UTC day for `day`; for the others there is one for ever."""
        return day_of(now_ms) if self.scope is Scope.DAY else EVER


def day_of(millis: int) -> str:
    """The UTC day of a moment, as in `2026-11-20`."""
    return datetime.fromtimestamp(millis / 1000, UTC).date().isoformat()
