"""Binds operations to their ports, and runs what every request of an operation passes, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver
from flask import Response

from handlers.answers import Answer
from handlers.operation import AnyOperation, Authenticate, answer, gate_0, gate_1
from handlers.ports import Ports
from server.contract.document import Contract, OperationContract
from server.http import request_context
from server.http.application import response_of
from server.http.reply import reply_of
from server.http.requests import (
    check_accept,
    check_body_size,
    check_query,
    check_request,
    python_name,
)
from server.telemetry.answered import AUTHENTICATION, OPERATION


@dataclass(frozen=True, slots=True)
class BoundOperations:
    """The operations of one process with their ports, by operationId.

    ``path_prefix`` is put before the path in a ``Location``.
    """

    operations: Mapping[str, AnyOperation]
    ports: Ports
    authenticate: Authenticate
    path_prefix: str = ""

    def authorize(self, name: str) -> None:
        """Gates 0 and 1: the Principal of the current request, before the rest of it is read."""
        gate_0(self.operations[name], self.ports.ledger)
        header = request_context.header("Authorization")
        headers = [] if header is None else [header]
        deadline = request_context.deadline()
        began = time.monotonic()
        try:
            principal = gate_1(
                operation=self.operations[name],
                authenticate=self.authenticate,
                headers=headers,
                deadline=deadline,
            )
        finally:
            request_context.timed(AUTHENTICATION, began, time.monotonic())
        request_context.set_principal(principal)

    def answer(self, name: str, parameters: Mapping[str, Any]) -> Answer:
        """The answer to the current request, whose gates 0 and 1 are passed."""
        call = request_context.current_call()
        began = time.monotonic()
        try:
            result = answer(self.operations[name], self.ports, call, parameters)
        finally:
            request_context.timed(OPERATION, began, time.monotonic())
        if self.path_prefix and (path := result.headers.get("Location")):
            headers = {**result.headers, "Location": self.path_prefix + path}
            return replace(result, headers=headers)
        return result

    def answer_of_path(self, declared: OperationContract, path: Mapping[str, str]) -> Answer:
        """The answer to the current request of an operation whose parameters are in its path."""
        if declared.secured:
            self.authorize(declared.operation_id)
        else:
            gate_0(self.operations[declared.operation_id], self.ports.ledger)
        check_request(declared, self.operations[declared.operation_id], path)
        return self.checked_answer(declared, path)

    def checked_answer(self, declared: OperationContract, received: Mapping[str, Any]) -> Answer:
        """The answer to the current request, whose parameters and body are valid."""
        parameters = {python_name(name): value for name, value in received.items()}
        if declared.body is None:
            check_query(declared)
            check_body_size()
            check_accept(declared)
        else:  # check_request has made these checks
            parameters["body"] = request_context.body()
        return self.answer(declared.operation_id, parameters)


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


def _view(declared: OperationContract, bound: BoundOperations) -> Callable[..., Response]:
    names = {
        parameter.name for parameter in declared.parameters if parameter.kind in ("path", "query")
    }

    def view(**received: Any) -> Response:
        parameters = {name: value for name, value in received.items() if name in names}
        return response_of(reply_of(bound.checked_answer(declared, parameters)))

    return view
