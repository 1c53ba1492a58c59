"""The facts of the current HTTP request: correlation id, operation, Principal, body, Call.

Only this module uses Flask's request globals (``flask.g``).
"""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache
from typing import Any
from uuid import uuid4

import flask
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from composer.audit import AuditRow
from composer.deadline import Deadline
from composer.identity import Principal
from handlers.answers import Call
from handlers.wire import SnapshotBody
from server.gunicorn.environ import RECEIVED

CORRELATION_HEADER = "X-Correlation-Id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


def correlation_id() -> str:
    """The correlation id of the request; the same at every call."""
    identifier: str | None = flask.g.get("correlation_id")
    if identifier is None:
        identifier = correlation_id_of(flask.request.headers.get(CORRELATION_HEADER, ""))
        flask.g.correlation_id = identifier
    return identifier


def correlation_id_of(header: str) -> str:
    """The caller's id where it is well-formed, else a new id."""
    return header if _WELL_FORMED.fullmatch(header) else uuid4().hex


def operation_id() -> str | None:
    """The operation Connexion routed the request to; None for an unknown route or method."""
    endpoint = flask.request.endpoint
    return None if endpoint is None else endpoint.rpartition(".")[2]


def start(deadline_s: float, answer_deadline_s: float = math.inf) -> None:
    """Note when the request was received, and set its Deadline.

    The Deadline is ``deadline_s`` from now, but at most ``answer_deadline_s`` after the last byte
    of the request.
    """
    now = time.monotonic()
    received: float = flask.request.environ.get(RECEIVED, now)
    budget = min(deadline_s, received + answer_deadline_s - now)
    flask.g.deadline = Deadline.after(budget, time.monotonic)
    flask.g.received = received


def elapsed() -> float:
    """Seconds since the request was received."""
    received: float | None = flask.g.get("received")
    return 0.0 if received is None else time.monotonic() - received


def deadline() -> Deadline:
    """The moment by which the caller must have an answer."""
    found: Deadline = flask.g.deadline
    return found


def set_principal(principal: Principal | None) -> None:
    """Attach the authenticated Principal."""
    flask.g.principal = principal


def set_body(value: dict[str, Any]) -> None:
    """Attach the request's body after its validation."""
    flask.g.body = value


def body() -> dict[str, Any]:
    """The validated body; only for an operation that declares a body."""
    value: dict[str, Any] = flask.g.body
    return value


def accepts_gzip() -> bool:
    """Whether ``Accept-Encoding`` names gzip, and not to rule it out."""
    return _accepts_gzip(flask.request.headers.get("Accept-Encoding", ""))


@lru_cache(maxsize=256)
def _accepts_gzip(header: str) -> bool:
    return parse_accept_header(header, Accept)["gzip"] > 0 and "gzip" in header.lower()


def current_call() -> Call:
    """The request as a handler sees it."""
    tags = flask.request.if_none_match
    return Call(
        principal=flask.g.get("principal"),
        correlation_id=correlation_id(),
        deadline=flask.g.deadline,
        matches=tags.contains_weak,
        takes_body=flask.request.method != "HEAD",
        idempotency_key=flask.request.headers.get("Idempotency-Key"),
    )


def set_snapshot(snapshot: SnapshotBody, data: bytes) -> None:
    """Attach a snapshot and the bytes object that was joined from its blocks."""
    flask.g.snapshot = (snapshot, data)


def snapshot_of(data: bytes) -> SnapshotBody | None:
    """The snapshot of these bytes; None where the answer has another body."""
    snapshot, snapshot_data = flask.g.get("snapshot", (None, None))
    return snapshot if snapshot_data is data else None


def add_audit_row(row: AuditRow) -> None:
    """Attach an audit row."""
    flask.g.setdefault("audit", []).append(row)


def audit_rows() -> list[AuditRow]:
    """The audit rows of the request."""
    rows: list[AuditRow] = flask.g.get("audit", [])
    return rows
