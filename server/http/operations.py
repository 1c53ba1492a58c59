"""Binds operations to their ports for Connexion, and turns an Answer into a Flask response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flask
from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver
from flask import Response

from handlers.answers import PROBLEM, Answer
from handlers.operation import AnyOperation, Ports, answer, gate_0
from handlers.refusals import Refused
from handlers.wire import GZIP_LEAST_BYTES, SnapshotBody, json_bytes
from server.contract.document import Contract, OperationContract
from server.http import request_context
from server.http.application import Answer as FlaskAnswer
from server.http.problems import problem_answer
from server.http.requests import check_accept, check_body_size, check_query, python_name


@dataclass(frozen=True, slots=True)
class BoundOperations:
    """The operations of one process with their ports, by operationId."""

    operations: Mapping[str, AnyOperation]
    ports: Ports

    def gate_0(self, name: str) -> None:
        """Refuse an operation whose ports do not exist, before the request is read."""
        gate_0(self.operations[name], self.ports.ledger)

    def answer(self, name: str, parameters: Mapping[str, Any]) -> Answer:
        """The answer to the current request."""
        call = request_context.current_call()
        return answer(self.operations[name], self.ports, call, parameters)


class OperationResolver(Resolver):
    """Gives Connexion the view function of an operationId."""

    def __init__(self, contract: Contract, bound: BoundOperations) -> None:
        super().__init__()
        self._contract = contract
        self._bound = bound

    def resolve(self, operation: AbstractOperation) -> Resolution:
        """The view function of a declared operation."""
        name = operation.operation_id
        return Resolution(_view(self._contract.operations[name], self._bound), name)


def _view(operation: OperationContract, bound: BoundOperations) -> Callable[..., Response]:
    names = {
        parameter.name for parameter in operation.parameters if parameter.kind in ("path", "query")
    }

    def view(**received: Any) -> Response:
        parameters = {python_name(k): v for k, v in received.items() if k in names}
        if operation.body is None:
            check_query(operation)
            check_body_size()
            check_accept(operation)
        else:  # body_validator has made these checks
            parameters["body"] = request_context.body()
        return respond(bound.answer(operation.operation_id, parameters))

    return view


def respond(answer: Answer) -> Response:
    """An Answer as a Flask response. A snapshot is kept for the response validation."""
    body, headers = answer.body, dict(answer.headers)
    if isinstance(body, SnapshotBody):
        if request_context.accepts_gzip() and body.size >= GZIP_LEAST_BYTES:
            data = body.to_gzip()
            headers["Content-Encoding"] = "gzip"
        else:
            data = body.to_bytes()
        request_context.set_snapshot(body, data)
    elif body is None:
        data = b""
        if answer.confirmed is not None:
            request_context.set_snapshot(answer.confirmed, data)
    else:
        data = body if isinstance(body, bytes) else json_bytes(body)
    if answer.media_type is None:
        response = FlaskAnswer(data, status=answer.status, headers=headers)
        del response.headers["Content-Type"]
        return response
    headers["Content-Type"] = answer.media_type
    return FlaskAnswer(data, status=answer.status, headers=headers)


def respond_problem(refused: Refused, allow: tuple[str, ...] = ()) -> Response:
    """The Problem of a refusal."""
    return respond(
        problem_answer(
            refused.kind,
            flask.request.path,
            request_context.correlation_id(),
            allow=allow,
            child_counts=refused.child_counts,
        )
    )


def is_problem(response: Response) -> bool:
    """Whether the response carries a Problem."""
    return response.mimetype == PROBLEM
