"""
Every fault that can be scripted, as a table of data.

A fault belongs to one stage of the exchange and is of one of three kinds: a `delay` comes on top of whatever else
happens, an `outcome` changes what becomes of an accepted generation, an `answer` replaces or spoils the answer.
`docs/emulator.md` lists the table for its readers; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage = Literal["post", "poll", "download"]
Kind = Literal["delay", "outcome", "answer"]
Manner = Literal[
    "status", "reset", "close", "hang", "truncate", "malformed", "drip", "image", "redirect", "none"
]

OVERSIZED_BYTES: Final = 65 * 1024 * 1024
"""Bytes of an oversized download: one MiB over the 64 MiB that a careful client takes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One line of the table.

    Attributes:
        name: What a script calls it.
        stage: Where in the exchange it acts.
        kind: What it touches.
        what: What the client meets, for the documentation.
        accepted: Whether a POST that meets it was accepted, and so is in the ledger and billed.
        manner: How the answer is spoiled.
        status: HTTP status of a `status` answer.
        reject_reason: `reject_reason` of a typed refusal.
        params: Parameters that a script may set, with their defaults.
    """

    name: str
    stage: Stage
    kind: Kind
    what: str
    accepted: bool = False
    manner: Manner = "none"
    status: int = 0
    reject_reason: str = ""
    params: Mapping[str, object] = field(default_factory=dict)


def _delay(name: str, stage: Stage, what: str, *, accepted: bool = False) -> Fault:
    return Fault(name, stage, "delay", what, accepted, params={"seconds": 1.0})


def _outcome(name: str, what: str, **params: object) -> Fault:
    return Fault(name, "post", "outcome", what, accepted=True, params=params)


def _status(
    name: str, stage: Stage, status: int, what: str, *, accepted: bool = False, reason: str = ""
) -> Fault:
    return Fault(name, stage, "answer", what, accepted, "status", status, reason)


def _spoiled(
    name: str, stage: Stage, manner: Manner, what: str, *, accepted: bool = False, **params: object
) -> Fault:
    return Fault(name, stage, "answer", what, accepted, manner, params=params)


def _typed(reason: str, status: int = 402) -> Fault:
    return _status(
        f"{status}_{reason}", "post", status, f"{status} with reject_reason {reason} on v2", reason=reason
    )


_POST: Final = (
    _delay("delay", "post", "the request is looked at only after `seconds`"),
    _delay("delay_after", "post", "accepted, and the answer comes `seconds` late", accepted=True),
    _outcome(
        "unsafe", "images come back with is_image_safe false; `images` counts them, null for all", images=None
    ),
    _outcome(
        "stuck_pending", "stays pending, in flight, until released or until `seconds` are over", seconds=None
    ),
    _outcome(
        "failed_generation",
        "ends failed with `failure_reason` (null for none); not billed",
        failure_reason=None,
    ),
    _outcome(
        "failed_policy",
        "ends failed with failure_reason content_policy_violation; not billed",
        failure_reason="content_policy_violation",
    ),
    _spoiled("reset_before", "post", "reset", "TCP reset, nothing accepted"),
    _spoiled("close_before", "post", "close", "connection closed without a byte, nothing accepted"),
    _spoiled(
        "hang_before", "post", "hang", "no answer for `seconds`, then closed, nothing accepted", seconds=600.0
    ),
    _spoiled("reset_after", "post", "reset", "accepted, then TCP reset", accepted=True),
    _spoiled("lost_answer_close", "post", "close", "accepted, then closed without a byte", accepted=True),
    _spoiled(
        "lost_answer_hang",
        "post",
        "hang",
        "accepted, no answer for `seconds`, then closed",
        accepted=True,
        seconds=600.0,
    ),
    _spoiled("truncated_body", "post", "truncate", "accepted, half the body, then closed", accepted=True),
    _spoiled("malformed_json", "post", "malformed", "accepted, 200 with broken JSON", accepted=True),
    _spoiled(
        "slow_drip",
        "post",
        "drip",
        "accepted, body in pieces of `bytes`, `seconds` apart",
        accepted=True,
        seconds=0.2,
        bytes=16,
    ),
    Fault(
        "error_in_200",
        "post",
        "answer",
        "200 with error and status_code in the body, nothing accepted",
        manner="status",
        status=200,
        params={"status_code": 500},
    ),
    Fault(
        "error_in_200_after",
        "post",
        "answer",
        "accepted, then 200 with error and status_code in the body",
        accepted=True,
        manner="status",
        status=200,
        params={"status_code": 500},
    ),
    _status("400", "post", 400, "400 with a sentence"),
    _status("401", "post", 401, "401 as for a wrong key"),
    _typed("insufficient_funds"),
    _typed("subscription_required"),
    _typed("daily_limit"),
    _typed("priority_credit_required"),
    _typed("feature_limit"),
    _status("403", "post", 403, "403 with a sentence"),
    _status("404", "post", 404, "404 with a sentence"),
    _status("408", "post", 408, "408 with a sentence, nothing accepted"),
    _status("413", "post", 413, "413 with a sentence"),
    _status("422", "post", 422, "422 with error: refused by the safety check"),
    _status("429", "post", 429, "429 without Retry-After and without a reason"),
    Fault(
        "429_retry_after",
        "post",
        "answer",
        "429 with Retry-After `seconds`",
        manner="status",
        status=429,
        params={"seconds": 1},
    ),
    _typed("inflight_limit", 429),
    _typed("daily_limit", 429),
    _status("500", "post", 500, "500, nothing accepted"),
    _status("500_after", "post", 500, "accepted, then 500", accepted=True),
    _status("502_after", "post", 502, "accepted, then 502 with an HTML body", accepted=True),
    _status("503", "post", 503, "503, nothing accepted"),
    _status("503_after", "post", 503, "accepted, then 503", accepted=True),
    _status("504_after", "post", 504, "accepted, then 504 with an HTML body", accepted=True),
)

_POLL: Final = (
    _delay("poll_delay", "poll", "the poll is answered `seconds` late"),
    _status("poll_400", "poll", 400, "400 as for a malformed id"),
    _status("poll_401", "poll", 401, "401 as for a wrong key"),
    _status("poll_404", "poll", 404, "404 as for an unknown generation"),
    Fault(
        "poll_429",
        "poll",
        "answer",
        "429 with Retry-After `seconds`",
        manner="status",
        status=429,
        params={"seconds": 1},
    ),
    _status("poll_500", "poll", 500, "500"),
    _status("poll_503", "poll", 503, "503"),
    _spoiled("poll_reset", "poll", "reset", "TCP reset"),
    _spoiled("poll_hang", "poll", "hang", "no answer for `seconds`, then closed", seconds=600.0),
    _spoiled("poll_truncated", "poll", "truncate", "half the body, then closed"),
    _spoiled("poll_malformed", "poll", "malformed", "200 with broken JSON"),
)

_DOWNLOAD: Final = (
    _delay("download_delay", "download", "the picture comes `seconds` late"),
    _status("download_403", "download", 403, "403 as for an expired address"),
    _status("download_404", "download", 404, "404"),
    _status("download_410", "download", 410, "410"),
    _status("download_429", "download", 429, "429"),
    _status("download_500", "download", 500, "500"),
    _status("download_503", "download", 503, "503"),
    _spoiled("download_reset", "download", "reset", "TCP reset"),
    _spoiled("download_hang", "download", "hang", "no answer for `seconds`, then closed", seconds=600.0),
    _spoiled("download_truncated", "download", "truncate", "half the declared length, then closed"),
    _spoiled(
        "download_drip",
        "download",
        "drip",
        "picture in pieces of `bytes`, `seconds` apart",
        seconds=0.2,
        bytes=256,
    ),
    _spoiled("download_cut", "download", "image", "half the picture, sent as if it were whole"),
    _spoiled("download_corrupt", "download", "image", "a PNG with wrong bytes in the middle"),
    _spoiled("download_garbage", "download", "image", "random bytes sent as image/png"),
    _spoiled("download_empty", "download", "image", "no bytes, sent as image/png"),
    _spoiled("download_html", "download", "image", "200 with an HTML page"),
    _spoiled("download_text", "download", "image", "200 with plain text"),
    _spoiled(
        "download_oversized",
        "download",
        "image",
        "`bytes` streamed behind a PNG signature; `declared` sends their length ahead",
        bytes=OVERSIZED_BYTES,
        declared=False,
    ),
    _spoiled(
        "download_redirect", "download", "redirect", "302 to `location`", location="http://169.254.169.254/"
    ),
)

FAULTS: Final[Mapping[str, Fault]] = {fault.name: fault for fault in (*_POST, *_POLL, *_DOWNLOAD)}
