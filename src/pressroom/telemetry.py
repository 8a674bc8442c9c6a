"""Logs: structured events without prompts, keys or addresses that carry a signature.

Events are named `subject.what_happened` and listed in docs/operations.md; a test compares that list with the code.
They are records of the standard library's loggers below `pressroom`, silent until a program asks for them: with
`configure`, as the command line does, or with handlers of its own (`record.msg` is the event as a mapping).
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog
from structlog.stdlib import ProcessorFormatter

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

logging.getLogger("pressroom").addHandler(logging.NullHandler())


def drop_private(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of private fields, as the last guard before a record is made."""
    del logger, method
    for name in PRIVATE_FIELDS & event.keys():
        event[name] = "(private)"
    return event


def event_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module; `log.info("run.accepted", job=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_private,
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def configure(settings: LogSettings) -> None:
    """Send events to standard error, as text or as JSON lines; libraries below warning stay silent."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("pressroom").setLevel(settings.level.upper())
