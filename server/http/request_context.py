"""The facts of the current HTTP request: correlation id, operation, Principal, body, Call.

They are one value for each request, beside Flask and not in it: a request that goes without Flask
has them too. Headers are read from the WSGI environment, because parsed ones cost more.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from random import getrandbits
from typing import Any

from werkzeug.datastructures import Accept, MIMEAccept
from werkzeug.http import parse_accept_header, parse_etags
from werkzeug.wrappers import Request

from composer.audit import AuditRow
from composer.deadline import Deadline
from composer.identity import Principal, parse_canonical_uuid
from composer.position import parse_position
from handlers.answers import Call
from handlers.compression import Pieces
from handlers.wire import SnapshotBody
from server.gunicorn.environ import RECEIVED
from server.telemetry.answered import QUEUE, Answered, Stage

CORRELATION_HEADER = "X-Correlation-Id"
# A proxy that compresses an answer may mark its ETag; its own comparison knows the mark, ours must.
_SUFFIX = re.compile(r"[-;]+(gzip|br|deflate|zstd)$")
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
# A path below a Node.
_NODE_PATH = re.compile(r"/v1/nodes/([^/]+)")


@dataclass(slots=True)
class _Facts:
    """The facts of one request."""

    environ: dict[str, Any]
    operation: str | None = None
    request: Request | None = None
    deadline: Deadline | None = None
    received: float | None = None
    correlation_id: str | None = None
    principal: Principal | None = None
    body: dict[str, Any] | None = None
    snapshot: tuple[SnapshotBody | None, bytes | Pieces | None] = (None, None)
    audit: list[AuditRow] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)


_current: ContextVar[_Facts | None] = ContextVar("facts", default=None)


def begin(environ: dict[str, Any]) -> None:
    """Begin the facts of a request, unless they have begun."""
    facts = _current.get()
    if facts is None or facts.environ is not environ:
        _current.set(_Facts(environ))


def end() -> None:
    """Drop the facts: a thread that waits for its next request must not keep a body."""
    _current.set(None)


# Those of the current request, by no call of Python's; outside of a request an AttributeError.
_facts: Callable[[], _Facts] = _current.get  # type: ignore[assignment]


def is_in_request() -> bool:
    """Whether this thread answers a request."""
    return _current.get() is not None


def environ() -> dict[str, Any]:
    """The WSGI environment of the request."""
    return _facts().environ


def request() -> Request:
    """The request as Werkzeug reads it, for what is too long to be read by hand."""
    facts = _facts()
    if facts.request is None:
        facts.request = Request(facts.environ, populate_request=False)
    return facts.request


def header(name: str) -> str | None:
    """The value of a request header other than ``Content-Type`` and ``Content-Length``."""
    value: str | None = _facts().environ.get(_environ_key(name))
    return value


@cache
def _environ_key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


def correlation_id() -> str:
    """The correlation id of the request; the same at every call."""
    facts = _facts()
    if facts.correlation_id is None:
        facts.correlation_id = correlation_id_of(facts.environ.get("HTTP_X_CORRELATION_ID", ""))
    return facts.correlation_id


def correlation_id_of(header: str) -> str:
    """The caller's id where it is well-formed, else a new id, which is no secret."""
    return header if _WELL_FORMED.fullmatch(header) else f"{getrandbits(128):032x}"


def explaining_command() -> dict[str, str]:
    """The command that explains a 500, for its log line; empty where the path has no Node."""
    found = _NODE_PATH.match(_facts().environ["PATH_INFO"])
    node_id = parse_canonical_uuid(found[1]) if found else None
    return {} if node_id is None else {"explain": f"plexsphere-state snapshot {node_id} --explain"}


def set_operation(name: str | None) -> None:
    """Note the operation that the request was routed to."""
    _facts().operation = name


def operation_id() -> str | None:
    """The operation of the request; None for an unknown route or method."""
    return _facts().operation


def start(deadline_s: float, answer_deadline_s: float = math.inf) -> None:
    """Note when the request was received, and set its Deadline.

    The Deadline is ``deadline_s`` from now, but at most ``answer_deadline_s`` after the last byte
    of the request.
    """
    facts = _facts()
    now = time.monotonic()
    received: float = facts.environ.get(RECEIVED, now)
    budget = min(deadline_s, received + answer_deadline_s - now)
    facts.deadline = Deadline.after(budget, time.monotonic)
    facts.received = received
    facts.stages.append((QUEUE, received, now))


def timed(stage: str, began: float, ended: float) -> None:
    """Note a stage of the request; nothing outside of one. See db.timing.Timed."""
    facts = _current.get()
    if facts is not None:
        facts.stages.append((stage, began, ended))


def answered(status: int) -> Answered:
    """The request as it is counted, now that its answer leaves."""
    facts = _facts()
    now = time.monotonic()
    return Answered(
        operation=facts.operation or "none",
        status=status,
        received=now if facts.received is None else facts.received,
        answered=now,
        stages=facts.stages,
        method=facts.environ["REQUEST_METHOD"],
        path=facts.environ["PATH_INFO"],
        correlation_id=correlation_id(),
        principal=facts.principal,
        traceparent=facts.environ.get("HTTP_TRACEPARENT"),
    )


def deadline() -> Deadline:
    """The moment by which the caller must have an answer."""
    found = _facts().deadline
    assert found is not None
    return found


def set_principal(principal: Principal | None) -> None:
    """Attach the authenticated Principal."""
    _facts().principal = principal


def set_body(value: dict[str, Any]) -> None:
    """Attach the request's body after its validation."""
    _facts().body = value


def body() -> dict[str, Any]:
    """The validated body; only for an operation that declares a body."""
    value = _facts().body
    assert value is not None
    return value


def accepts_gzip() -> bool:
    """Whether ``Accept-Encoding`` names gzip, and not to rule it out."""
    return _accepts_gzip(_facts().environ.get("HTTP_ACCEPT_ENCODING", ""))


@lru_cache(maxsize=256)
def _accepts_gzip(header: str) -> bool:
    return parse_accept_header(header, Accept)["gzip"] > 0 and "gzip" in header.lower()


def current_call() -> Call:
    """The request as a handler sees it."""
    facts = _facts()
    return Call(
        principal=facts.principal,
        correlation_id=correlation_id(),
        deadline=deadline(),
        matches=partial(_matches, facts.environ.get("HTTP_IF_NONE_MATCH", "")),
        takes_body=facts.environ["REQUEST_METHOD"] != "HEAD",
        idempotency_key=facts.environ.get("HTTP_IDEMPOTENCY_KEY"),
        last_event_id=facts.environ.get("HTTP_LAST_EVENT_ID"),
        preferred=partial(_preferred, facts.environ.get("HTTP_ACCEPT", "")),
        position=parse_position(facts.environ.get("HTTP_X_PLEXSPHERE_LEDGER_POSITION", "")),
    )


def _preferred(header: str, media_types: Sequence[str]) -> str:
    accepted = parse_accept_header(header, MIMEAccept)
    return accepted.best_match(media_types) or media_types[0]


def _matches(header: str, tag: str) -> bool:
    if not header:
        return False
    tags = parse_etags(header)
    if tags.contains_weak(tag):
        return True
    # An empty tag is None there.
    every = filter(None, tags.as_set(include_weak=True))
    return any(_SUFFIX.sub("", known) == tag for known in every)


def set_snapshot(snapshot: SnapshotBody, data: bytes | Pieces) -> None:
    """Attach a snapshot and the object that was made of its blocks."""
    _facts().snapshot = (snapshot, data)


def snapshot_of(data: bytes | Pieces) -> SnapshotBody | None:
    """The snapshot of these bytes; None where the answer has another body."""
    snapshot, snapshot_data = _facts().snapshot
    return snapshot if snapshot_data is data else None


def add_audit_row(row: AuditRow) -> None:
    """Attach an audit row."""
    _facts().audit.append(row)


def audit_rows() -> list[AuditRow]:
    """The audit rows of the request."""
    return _facts().audit
