"""The states of an attempt.

reserved ──> sending ──> accepted ──> bought
   │            │  │         │  └──> unsold      the vendor failed or refused it
   └──> unsold <┘  └──> uncertain <──┘           pending too long, or its id is unknown to the vendor
                   └──> bought                   a synchronous answer
uncertain ──> accepted | bought | unsold | written_off
"""

from __future__ import annotations

from enum import StrEnum


class AttemptState(StrEnum):
    """What is known about one paid request."""

    RESERVED = "reserved"
    """Money and a slot are set aside; nothing was sent."""
    SENDING = "sending"
    """The request may have left this machine."""
    ACCEPTED = "accepted"
    """The vendor gave a generation id; the rest is waiting."""
    BOUGHT = "bought"
    """The vendor delivered; the money is spent."""
    UNSOLD = "unsold"
    """The vendor did not take it, or failed; no money is spent."""
    UNCERTAIN = "uncertain"
    """Nobody knows; it counts as spent and is never sent again blindly."""
    WRITTEN_OFF = "written_off"
    """It was uncertain and a person gave it up; it counts as spent."""


ENTERED_FROM: dict[AttemptState, frozenset[AttemptState]] = {
    AttemptState.SENDING: frozenset({AttemptState.RESERVED}),
    AttemptState.ACCEPTED: frozenset({AttemptState.SENDING, AttemptState.UNCERTAIN}),
    AttemptState.BOUGHT: frozenset({AttemptState.SENDING, AttemptState.ACCEPTED, AttemptState.UNCERTAIN}),
    AttemptState.UNSOLD: frozenset(
        {AttemptState.RESERVED, AttemptState.SENDING, AttemptState.ACCEPTED, AttemptState.UNCERTAIN}
    ),
    AttemptState.UNCERTAIN: frozenset({AttemptState.SENDING, AttemptState.ACCEPTED}),
    AttemptState.WRITTEN_OFF: frozenset({AttemptState.UNCERTAIN}),
}
"""For each state, those it may be entered from."""

CLOSED = frozenset({AttemptState.UNSOLD, AttemptState.WRITTEN_OFF})
"""A job may begin another attempt only when all it has are in one of these."""

SETTLED = CLOSED | {AttemptState.BOUGHT}
"""Nothing about the money changes any more."""
