"""The access log: a line for each request, which the thread that counts requests writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from server.telemetry.answered import Answered

_PATH = 256  # characters

_log = structlog.stdlib.get_logger("plexsphere.access")


def write_access_lines(requests: Sequence[Answered]) -> None:
    """A line `request` with times in milliseconds; ``received`` is the time of its last byte."""
    to_unix = time.time() - time.monotonic()
    for request in requests:
        stages = request.seconds_by_stage()
        _log.info(
            "request",
            operation=request.operation,
            status=request.status,
            method=request.method,
            path=request.path[:_PATH],
            subject=None if request.principal is None else request.principal.subject,
            correlation_id=request.correlation_id,
            received=datetime.fromtimestamp(request.received + to_unix, UTC).isoformat(),
            ms=round(1000 * request.seconds, 2),
            stages={stage: round(1000 * seconds, 2) for stage, seconds in stages.items()},
        )
