"""The refusals the code can give, held against the contract before the service starts.

A 500 takes the place of whatever breaches the contract, and is not checked again on its way out: so
it is checked here, with every other refusal, as the Problem it would leave as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from handlers.answers import PROBLEM
from handlers.refusals import (
    CATALOGUE,
    INTERNAL,
    NOT_ACCEPTABLE,
    PAYLOAD_TOO_LARGE,
    UNAUTHORIZED,
    UNKNOWN_QUERY_PARAMETER,
    UNSUPPORTED_MEDIA_TYPE,
    RefusalKind,
    Refused,
)
from handlers.wire import json_bytes
from server.authoring.handler_check import gate_refusals
from server.contract.document import Contract, OperationContract
from server.contract.errors import Path
from server.http.operations import gate_of, is_unprovisioned, negotiates
from server.http.problems import FRAMEWORK, METHOD_NOT_ALLOWED, problem_answer
from server.http.request_refusals import BODY_REFUSALS
from server.http.request_validation import parameter_refusals
from server.http.response_validation import Breach, Outgoing, ResponseValidator

Handlers = Mapping[str, Callable[..., Any]]
Complaint = tuple[Path, str]
_PROBLEM = ("components", "schemas", "Problem")
_CORRELATION_ID = "0" * 32


def problem_complaints(contract: Contract, handlers: Handlers) -> list[Complaint]:
    """Each refusal that could not leave as declared, beside the path of what would not let it."""
    validator = ResponseValidator(contract)
    anywhere: dict[Breach, Complaint] = {}
    for kind in (*FRAMEWORK.values(), *CATALOGUE):
        breach = validator.breach(_outgoing(kind, None, "/"))
        if breach is not None and breach not in anywhere:
            place = (*_PROBLEM, "properties", breach.pointer.removeprefix("/"))
            anywhere[breach] = place, _sentence("the service", kind, breach)
    if anywhere:  # what no Problem may say, no operation's may
        return list(anywhere.values())
    found = []
    for name, operation in contract.operations.items():
        undeclared: set[int] = set()  # told once, however many codes the status has
        for kind in dict.fromkeys(_given(operation, handlers[name])):
            breach = validator.breach(_outgoing(kind, name, operation.path))
            if breach is not None and kind.status not in undeclared:
                found.append((_place(operation, kind), _sentence(name, kind, breach)))
                undeclared |= {kind.status} - operation.responses.keys()
    return found


def _given(operation: OperationContract, handler: Callable[..., Any]) -> Iterator[RefusalKind]:
    """What an operation can answer before its handler, at its gates, and declares beyond that."""
    yield INTERNAL
    gate = gate_of(handler)
    if gate is not None:
        yield _refusal_of(gate)
    if is_unprovisioned(handler):  # nothing of a request is looked at
        return
    refusals = BODY_REFUSALS.get(operation.operation_id)
    yield refusals.too_large if refusals else PAYLOAD_TOO_LARGE
    if operation.secured:
        yield UNAUTHORIZED
    if operation.strict_query:
        yield UNKNOWN_QUERY_PARAMETER
    if operation.body is not None:
        yield UNSUPPORTED_MEDIA_TYPE
    if negotiates(operation):
        yield NOT_ACCEPTABLE
    yield from (kind for kind in gate_refusals(handler) if kind is not UNAUTHORIZED)
    for parameter in operation.parameters:
        yield from parameter_refusals(operation.operation_id, parameter)
    if refusals:
        yield from refusals.kinds
    for kind in CATALOGUE:
        declared = operation.responses.get(kind.status)
        if declared is not None and kind.code in declared.problem_codes:
            yield kind


def _refusal_of(gate: Callable[[], object]) -> RefusalKind:
    try:
        gate()
    except Refused as refused:
        return refused.kind
    raise AssertionError("a gate 0 that does not refuse")


def _outgoing(kind: RefusalKind, operation_id: str | None, path: str) -> Outgoing:
    """As ``respond_problem`` and the doorkeeper send it."""
    allow = ("GET",) if kind is METHOD_NOT_ALLOWED else ()
    answer = problem_answer(kind, path, _CORRELATION_ID, allow=allow)
    headers = {**answer.headers, "X-Correlation-Id": _CORRELATION_ID}
    return Outgoing(
        operation_id=operation_id,
        status=kind.status,
        media_type=PROBLEM,
        headers={name.lower(): value for name, value in headers.items()},
        body=json_bytes(answer.body),
    )


def _place(operation: OperationContract, kind: RefusalKind) -> Path:
    path: Path = ("paths", operation.path, operation.method.lower(), "responses")
    return (*path, str(kind.status)) if kind.status in operation.responses else path


def _sentence(who: str, kind: RefusalKind, breach: Breach) -> str:
    what = f"{who} can answer {kind.status} {kind.code or 'without a code'}"
    why = " ".join(part for part in (breach.part, breach.pointer, breach.rule) if part)
    return f"{what}, and the file would not let it out: {why}"
