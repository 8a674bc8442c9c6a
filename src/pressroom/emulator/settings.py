"""Settings that the control path changes for every instance on the same books."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pressroom.emulator.books import Books
    from pressroom.emulator.options import EmulatorOptions


def fingerprint(api_key: str) -> str:
    """What the books keep instead of a key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What applies now: the options of this instance, overridden by what was posted.

    Attributes:
        inflight_limit: As in the options.
        url_life_s: As in the options.
        time_scale: As in the options.
        clock_offset_s: Seconds added to this machine's clock in everything the emulator says and decides.
        keys: Fingerprints of the keys accepted, None for any key.
        bill_unsafe: As in the options.
        refresh_urls: As in the options.
        poll_limit_per_s: As in the options.
        admin: Whether the keys' owner administers the organization, so that account calls are answered.
        usage_lag_s: Seconds after acceptance before the account calls tell of a purchase.
    """

    inflight_limit: int
    url_life_s: float
    time_scale: float
    clock_offset_s: float
    keys: frozenset[str] | None
    bill_unsafe: bool
    refresh_urls: bool
    poll_limit_per_s: int | None
    admin: bool = True
    usage_lag_s: float = 0.0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_key_list(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(key, str) and key for key in value))


SETTING_RULES: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "inflight_limit": (_is_positive_int, "an integer of at least 1"),
    "url_life_s": (_is_amount, "seconds, 0 or more"),
    "time_scale": (_is_amount, "a factor, 0 or more"),
    "clock_offset_s": (_is_number, "seconds, negative to run slow"),
    "api_keys": (_is_key_list, "a list of keys, or null for any key"),
    "bill_unsafe": (lambda value: isinstance(value, bool), "true or false"),
    "refresh_urls": (lambda value: isinstance(value, bool), "true or false"),
    "poll_limit_per_s": (
        lambda value: value is None or _is_positive_int(value),
        "an integer of at least 1, or null",
    ),
    "admin": (lambda value: isinstance(value, bool), "true or false"),
    "usage_lag_s": (_is_amount, "seconds, 0 or more"),
}
"""Name of a setting, its check, and what would be accepted."""


def settings_problem(values: Mapping[str, object]) -> str | None:
    """What is wrong with settings to be posted, as a sentence."""
    for name, value in values.items():
        if name not in SETTING_RULES:
            return f"{name[:60]!r} is not a setting; there are {', '.join(SETTING_RULES)}"
        accepts, wanted = SETTING_RULES[name]
        if not accepts(value):
            return f"{name} must be {wanted}"
    return None


def write_settings(books: Books, values: Mapping[str, object]) -> None:
    """Store checked settings. Keys are stored as fingerprints."""
    with books.transaction():
        for name, value in values.items():
            stored = (
                [fingerprint(key) for key in value]
                if name == "api_keys" and isinstance(value, list)
                else value
            )
            books.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", name, json.dumps(stored))
        books.raise_revision()


def read_settings(books: Books, options: EmulatorOptions) -> Settings:
    """The options with every posted setting applied."""
    keys = None if options.api_keys is None else frozenset(map(fingerprint, options.api_keys))
    settings = Settings(
        inflight_limit=options.inflight_limit,
        url_life_s=options.url_life_s,
        time_scale=options.time_scale,
        clock_offset_s=0.0,
        keys=keys,
        bill_unsafe=options.bill_unsafe,
        refresh_urls=options.refresh_urls,
        poll_limit_per_s=options.poll_limit_per_s,
    )
    posted = {
        str(name): json.loads(value) for name, value in books.execute("SELECT name, value FROM setting")
    }
    if "api_keys" in posted:
        posted_keys = posted.pop("api_keys")
        settings = replace(settings, keys=None if posted_keys is None else frozenset(posted_keys))
    return replace(settings, **posted)
