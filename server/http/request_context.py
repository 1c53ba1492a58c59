"""What one HTTP request means to us: its correlation id, its operation, its Call.

The only module that keeps anything in Flask's request globals.
"""

from __future__ import annotations

import math
import re
import time
from typing import Any
from uuid import uuid4

import flask

from composer.audit import AuditRow
from composer.deadline import Deadline
from composer.identity import Principal
from handlers.answers import Call
from handlers.wire import SnapshotBody
from server.gunicorn.environ import RECEIVED

CORRELATION_HEADER = "X-Correlation-Id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


def correlation_id() -> str:
    """The request's correlation id: the caller's where it is well-formed, else made here."""
    known: str | None = flask.g.get("correlation_id")
    if known is None:
        known = correlation_id_of(flask.request.headers.get(CORRELATION_HEADER, ""))
        flask.g.correlation_id = known
    return known


def correlation_id_of(given: str) -> str:
    """What was given where it is well-formed, else a new one."""
    return given if _WELL_FORMED.fullmatch(given) else uuid4().hex


def operation_id() -> str | None:
    """The operation Connexion routed the request to; None for an unknown route or method."""
    endpoint = flask.request.endpoint
    return None if endpoint is None else endpoint.rpartition(".")[2]


def start(deadline_s: float, answer_deadline_s: float = math.inf) -> None:
    """Note when the request was received; everything it waits for shares one budget.

    The budget is ``deadline_s`` from now, and ends ``answer_deadline_s`` after the last byte.
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


def admit(principal: Principal | None) -> None:
    """Attach the authenticated Principal."""
    flask.g.principal = principal


def hold_body(value: dict[str, Any]) -> None:
    """Attach the request's body, read and found to be what the contract declares."""
    flask.g.body = value


def body() -> dict[str, Any]:
    """The request's body; only where the operation declares one."""
    found: dict[str, Any] = flask.g.body
    return found


def current_call() -> Call:
    """The Call a handler is given."""
    tags = flask.request.if_none_match
    return Call(
        principal=flask.g.get("principal"),
        correlation_id=correlation_id(),
        deadline=flask.g.deadline,
        matches=tags.contains_weak,
        takes_body=flask.request.method != "HEAD",
        idempotency_key=flask.request.headers.get("Idempotency-Key"),
    )


def keep_snapshot(snapshot: SnapshotBody, data: bytes) -> None:
    """Keep a snapshot beside the very bytes that were joined from its blocks."""
    flask.g.snapshot = (snapshot, data)


def kept_snapshot(data: bytes) -> SnapshotBody | None:
    """The snapshot that ``data`` was joined from; None when the body has been replaced since."""
    snapshot, joined = flask.g.get("snapshot", (None, None))
    return snapshot if joined is data else None


def hold_audit(row: AuditRow) -> None:
    """Keep a row until it is known whether the answer leaves."""
    flask.g.setdefault("audit", []).append(row)


def held_audit() -> list[AuditRow]:
    """The rows of this request."""
    rows: list[AuditRow] = flask.g.get("audit", [])
    return rows
