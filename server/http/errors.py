"""Turns every exception of a request into a Problem."""

from __future__ import annotations

import structlog
from connexion.exceptions import ProblemException
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from handlers.refusals import INTERNAL, NOT_PROVISIONED_KINDS, RefusalKind, Refused
from server.contract.document import Contract
from server.contract.unserved import code_of
from server.http import request_context
from server.http.doorkeeper import fallback_problem
from server.http.problems import FRAMEWORK
from server.http.reply import Reply, reply_of_refusal

_log = structlog.stdlib.get_logger("plexsphere.http")

# Statuses of refusals before authentication, or of a path that names nothing.
_UNAUTHENTICATED = (400, 401, 501)


def reply_of_error(contract: Contract, error: Exception) -> Reply:
    """The Problem of any exception. Never raises."""
    try:
        return _problem_of(contract, error)
    except Exception as second_error:  # of the log, or of the Problem
        return fallback_problem(second_error)


def _problem_of(contract: Contract, error: Exception) -> Reply:
    if isinstance(error, Refused):
        return _refuse(error)
    unserved = _unserved_kind(contract) if isinstance(error, NotFound) else None
    if unserved is not None:
        return _refuse(Refused(unserved, "this release does not serve it"))
    kind = _framework_kind(error)
    if kind is not None:
        allow = _allowed(contract) if isinstance(error, MethodNotAllowed) else ()
        return reply_of_refusal(Refused(kind, type(error).__name__), allow)
    _log.error(
        "request_failed",
        operation=request_context.operation_id(),
        correlation_id=request_context.correlation_id(),
        **request_context.explaining_command(),
        exc_info=error,
    )
    return reply_of_refusal(Refused(INTERNAL, type(error).__name__))


def _unserved_kind(contract: Contract) -> RefusalKind | None:
    """The 501 of a request that the contract lists as not served, before anything of it is read."""
    environ = request_context.environ()
    # Werkzeug's own path has one slash where the request has two.
    code = code_of(contract.unserved, environ["REQUEST_METHOD"], environ["PATH_INFO"])
    return None if code is None else NOT_PROVISIONED_KINDS[code]


def _framework_kind(error: Exception) -> RefusalKind | None:
    if isinstance(error, HTTPException):
        return FRAMEWORK.get(error.code or INTERNAL.status)
    if isinstance(error, ProblemException):
        return FRAMEWORK.get(error.status)
    return None


def _refuse(refused: Refused) -> Reply:
    kind = refused.kind
    log = _log.error if kind is INTERNAL else _log.warning if kind.retry_after else _log.info
    # The path tells Nodes apart. It is left out where a caller may invent any number of paths.
    path = request_context.request().path
    log(
        "request_refused",
        operation=request_context.operation_id(),
        status=kind.status,
        code=kind.code,
        **({} if kind.status in _UNAUTHENTICATED else {"path": path}),
        cause=refused.inside,
        correlation_id=request_context.correlation_id(),
        **(request_context.explaining_command() if kind is INTERNAL else {}),
    )
    return reply_of_refusal(refused)


def _allowed(contract: Contract) -> tuple[str, ...]:
    """The declared methods of the path. Werkzeug's list has another order at each start."""
    segments = request_context.request().path.split("/")
    for path in contract.document["paths"]:
        declared = path.split("/")
        if len(declared) == len(segments) and all(
            name.startswith("{") or name == segment
            for name, segment in zip(declared, segments, strict=True)
        ):
            return contract.methods_of(path)
    return ()
