"""Logs: structured events without prompts, keys or addresses that carry a signature.

Events are named `subject.what_happened` and listed in docs/operations.md; a test compares that list with the code.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pressroom.settings import LogSettings

PRIVATE_FIELDS = frozenset(
    {
        "prompt",
        "negative_prompt",
        "expanded_prompt",
        "api_key",
        "key",
        "url",
        "request",
        "fields",
        "vendor_message",
    }
)
"""Names that never reach a log line, whoever puts them there by mistake."""


def drop_private(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of private fields, as the last guard before a line is written."""
    del logger, method
    for name in PRIVATE_FIELDS & event.keys():
        event[name] = "(private)"
    return event


def configure(settings: LogSettings) -> None:
    """Send events to standard error, as text or as JSON lines; libraries below warning stay silent."""
    level = getattr(logging, settings.level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_private,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=max(level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )


def event_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one module; `log.info("run.accepted", job=…)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
