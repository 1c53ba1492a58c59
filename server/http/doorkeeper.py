"""The last step of every request: the doorkeeper validates the answer and counts it.

An answer that breaks the contract is withheld, and a 500 leaves in its place.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from uuid import uuid4

import structlog
from flask import Response
from werkzeug.http import parse_options_header

from composer.audit import AuditSink
from handlers.refusals import INTERNAL, Refused
from server.contract.document import Contract
from server.http import request_context
from server.http.application import response_of
from server.http.body_history import BodyHistory, keep_body
from server.http.problems import problem_answer
from server.http.reply import Reply, reply_of, reply_of_refusal
from server.http.request_audit import forward_rows
from server.http.response_validation import Breach, Outgoing, ResponseValidator
from server.telemetry.answered import VALIDATION
from server.telemetry.metrics import Metrics
from server.telemetry.readiness import AnsweredPulls

PULL = "GetNodeState"

_log = structlog.stdlib.get_logger("plexsphere.http")


class Doorkeeper:
    """Decides whether an answer may leave, and counts it."""

    def __init__(
        self,
        contract: Contract,
        metrics: Metrics,
        audit: AuditSink,
        large_body_bytes: int,
        pulls: AnsweredPulls,
        history: BodyHistory | None = None,
    ) -> None:
        """``history`` is None where bodies are not kept; ``pulls`` are told of each answer."""
        self._validator = ResponseValidator(contract)
        self._metrics = metrics
        self._audit = audit
        self._large_body_bytes = large_body_bytes
        self._pulls = pulls
        self._history = history

    def check_answer(self, response: Response) -> Response:
        """``check`` of a response of Flask's."""
        try:
            reply = Reply(response.status_code, list(response.headers), _body(response))
        except Exception as error:
            return response_of(fallback_problem(error))
        checked = self.check(reply)
        if checked is reply:
            response.headers[request_context.CORRELATION_HEADER] = reply.headers[-1][1]
            return response
        return response_of(checked)

    def check(self, reply: Reply) -> Reply:
        """The same reply with its correlation id, or a 500 in its place. Never raises."""
        began = time.monotonic()
        try:
            reply = self._checked(reply)
        except Exception as error:  # an answer that could not be checked does not leave
            reply = fallback_problem(error)
        request_context.timed(VALIDATION, began, time.monotonic())
        try:
            self._count(reply)
        except Exception:  # a checked answer leaves, even if it could not be counted
            with suppress(Exception):
                _log.exception("answer_not_counted")
        return reply

    def _checked(self, reply: Reply) -> Reply:
        operation = request_context.operation_id()
        reply.headers.append((request_context.CORRELATION_HEADER, request_context.correlation_id()))
        outgoing = _outgoing(operation, reply)
        breach = self._validator.breach(outgoing)
        if breach is not None:
            return self._withhold(operation, reply, breach)
        if outgoing.snapshot is not None and outgoing.body:
            is_packed = "content-encoding" in outgoing.headers
            size = outgoing.snapshot.size if is_packed else len(outgoing.body)
            if size >= self._large_body_bytes:
                self._warn_of_size(size)
        return reply

    def _count(self, reply: Reply) -> None:
        operation = request_context.operation_id() or "none"
        if operation == PULL:
            self._pulls.note(reply.status)
            # Before the rows: a row wakes the thread that writes both.
            if self._history is not None and _has_served_body(reply):
                keep_body(self._history, reply.body)
        forward_rows(self._audit, is_served=not reply.is_problem)
        self._metrics.answered.append(request_context.answered(reply.status))

    def _warn_of_size(self, size: int) -> None:
        """An agent reads at most 10 MiB of an inflated body, and cannot parse a part."""
        _log.warning(
            "snapshot_large",
            bytes=size,
            path=request_context.request().path,
            correlation_id=request_context.correlation_id(),
        )
        self._metrics.large_bodies.inc()

    def _withhold(self, operation: str | None, reply: Reply, breach: Breach) -> Reply:
        _log.error(
            "contract_breach",
            operation=operation,
            path=request_context.request().path,
            status=reply.status,
            part=breach.part,
            pointer=breach.pointer,
            rule=breach.rule,
            correlation_id=request_context.correlation_id(),
            **request_context.explaining_command(),
        )
        self._metrics.breaches.labels(operation or "none").inc()
        problem = reply_of_refusal(Refused(INTERNAL, "contract breach"))
        problem.headers.append(
            (request_context.CORRELATION_HEADER, request_context.correlation_id())
        )
        return problem


def fallback_problem(error: Exception) -> Reply:
    """A 500 that needs neither the request nor the log: both may have failed."""
    correlation_id = uuid4().hex
    with suppress(Exception):
        correlation_id = request_context.correlation_id()
    with suppress(Exception):
        _log.error("answer_not_checked", correlation_id=correlation_id, exc_info=error)
    reply = reply_of(problem_answer(INTERNAL, "/", correlation_id))
    reply.headers.append((request_context.CORRELATION_HEADER, correlation_id))
    return reply


def _outgoing(operation: str | None, reply: Reply) -> Outgoing:
    headers: dict[str, str] = {}
    repeated: list[tuple[str, str]] = []
    for name, value in reply.headers:
        lower = name.lower()
        if lower in headers:
            repeated.append((lower, value))
        else:
            headers[lower] = value
    media_type, charset = _media_type(headers.get("content-type", ""))
    return Outgoing(
        operation_id=operation,
        status=reply.status,
        media_type=media_type,
        headers=headers,
        body=reply.body,
        snapshot=request_context.snapshot_of(reply.body),
        charset=charset,
        repeated=tuple(repeated),
    )


@lru_cache(maxsize=64)
def _media_type(content_type: str) -> tuple[str | None, str | None]:
    """The media type and its charset."""
    media_type, parameters = parse_options_header(content_type)
    return media_type.lower() or None, parameters.get("charset")


def _body(response: Response) -> bytes:
    """The bytes object that the response was made of, uncopied where it is the only one."""
    parts = response.response
    if isinstance(parts, list) and len(parts) == 1:
        return parts[0]  # type: ignore[no-any-return]
    return response.get_data()


def _has_served_body(reply: Reply) -> bool:
    """Whether it is a 200 whose body leaves; that of a HEAD does not."""
    method = request_context.environ()["REQUEST_METHOD"]
    return reply.status == HTTPStatus.OK and method != "HEAD"
