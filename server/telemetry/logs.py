"""Structured logs: one JSON object a line in production, readable lines in ``make run``.

Standard-library loggers (gunicorn's, the handlers') use the same pipeline, so every line has the
same shape. Messages are names of events; the facts are in the fields.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO
from uuid import UUID

import structlog

from server.telemetry.line_queue import LineQueue
from server.telemetry.repeats import Repeats

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(
    log_format: str,
    level: str,
    stream: TextIO | None = None,
    *,
    queue: int,
    repeats: int,
) -> None:
    """Set up logging for this process; idempotent.

    Lines go to stdout by a queue of ``queue`` lines and a thread, or straight to ``stream``; of
    lines that are the same, ``repeats`` in a minute.
    """
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
    handler: logging.Handler
    first: list[Any] = []
    if stream is not None or not _has_descriptor(sys.stdout):
        handler = logging.StreamHandler(stream or sys.stdout)
    else:
        handler = LineQueue(sys.stdout.fileno(), queue, Repeats(repeats, time.monotonic))
        first.append(handler.drop_repeats)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    # As the documentation of logging advises where no line names these.
    logging._srcfile = None  # type: ignore[assignment]
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    for replaced in root.handlers:
        replaced.flush()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("werkzeug", "urllib3", "openapi_spec_validator"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It logs an unknown query parameter of a request as an error, with the text of the request.
    logging.getLogger("connexion").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*first, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _has_descriptor(stream: TextIO) -> bool:
    try:
        return stream.fileno() >= 0
    except (OSError, ValueError):  # a test's own stream
        return False


def _plain(value: object) -> str:
    return str(value) if isinstance(value, UUID) else repr(value)
