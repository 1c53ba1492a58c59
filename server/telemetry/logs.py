"""Structured logs: one JSON object a line in production, readable lines in ``make run``.

Standard-library loggers (gunicorn's, the handlers') use the same pipeline, so every line has the
same shape. Messages are names of events; the facts are in the fields.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO
from uuid import UUID

import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Set up logging for this process; idempotent."""
    renderer: list[Any]
    if log_format == "console":
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(),
                # The default shows every local variable: tokens and DSNs, and it takes seconds.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    else:
        renderer = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=_plain),
        ]
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("werkzeug", "urllib3", "openapi_spec_validator"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It logs an unknown query parameter of a request as an error, with the text of the request.
    logging.getLogger("connexion").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _plain(value: object) -> str:
    return str(value) if isinstance(value, UUID) else repr(value)
