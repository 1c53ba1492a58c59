"""Compares the facts of each operation in code with the contract, before the service starts.

Each complaint has the path in the file that it is about. ``signature_complaints`` is about the
parameters of functions, ``answer_complaints`` about statuses and headers, ``problem_complaints``
about refusals.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from handlers.answers import PROBLEM
from handlers.operation import AnyOperation, OpenOperation, Operation, UnservedOperation
from handlers.refusals import (
    CATALOGUE,
    INTERNAL,
    NOT_ACCEPTABLE,
    PAYLOAD_TOO_LARGE,
    UNAUTHORIZED,
    UNKNOWN_QUERY_PARAMETER,
    UNSUPPORTED_MEDIA_TYPE,
    RefusalKind,
)
from handlers.wire import json_bytes
from server.contract.document import Contract, OperationContract
from server.contract.errors import Path
from server.contract.parameters import ParameterContract
from server.http.problems import FRAMEWORK, METHOD_NOT_ALLOWED, problem_answer
from server.http.requests import negotiates, parameter_refusals, python_name
from server.http.response_validation import CORRELATION, Breach, Outgoing, ResponseValidator

Operations = Mapping[str, AnyOperation]
Complaint = tuple[Path, str]

# How a declared request body arrives, after the declared parameters.
BODY = ("body", "Mapping[str, Any]")
PYTHON_TYPES = {"string": "str", "integer": "int", "boolean": "bool", "number": "float"}
# The position of the first declared parameter in the signature of a function.
FIRST_OF_HANDLER, FIRST_OF_PARSE = 2, 1
# Headers of every answer, whatever the operation (server/http/doorkeeper.py).
ALWAYS_SENT = frozenset({CORRELATION.lower(), "content-type", "content-length"})
_PROBLEM = ("components", "schemas", "Problem")
_CORRELATION_ID = "0" * 32


def coverage_complaints(contract: Contract, operations: Operations) -> list[str]:
    """Operations of the file without a handler, and handlers without an operation."""
    missing = sorted(contract.operations.keys() - operations.keys())
    unknown = sorted(operations.keys() - contract.operations.keys())
    return [f"operation {name} of the contract has no handler" for name in missing] + [
        f"handler {name} has no operation in the contract" for name in unknown
    ]


def signature_complaints(contract: Contract, operations: Operations) -> Iterator[Complaint]:
    """Functions whose parameters differ from the contract: every request would be a 500."""
    for name, declared in contract.operations.items():
        operation = operations[name]
        if isinstance(operation, UnservedOperation):
            continue
        place: Path = ("paths", declared.path, declared.method.lower(), "operationId")
        taken = _taken_parameters(operation)
        expected = _declared_parameters(declared, operation)
        if taken != expected:
            yield place, f"{name}: the handler takes {taken}, the contract declares {expected}"
        address = operation.way.address if isinstance(operation, Operation) else None
        in_path = [parameter.name for parameter in declared.parameters if parameter.kind == "path"]
        if sorted(in_path) != sorted(re.findall(r"{([^}]+)}", declared.path)):
            yield place, f"{name}: {declared.path} does not name the parameters {in_path}"
        if address is not None and address.parameter not in in_path:
            yield (
                place,
                f"{name}: the path has no parameter {address.parameter}, which gate 1a reads",
            )
        body = operation.body_refusals if isinstance(operation, Operation) else None
        if declared.body is not None and body is None:
            yield place, f"{name}: the contract declares a body, the operation no refusals of it"


def annotation(parameter: ParameterContract) -> str:
    """The annotation of a declared parameter; ``| None`` where a request may omit it."""
    schema_type = parameter.item_type or parameter.schema_type
    python_type = PYTHON_TYPES.get(schema_type)
    if python_type is None:
        return f"no type for {schema_type}"
    bare = python_type if parameter.item_type is None else f"list[{python_type}]"
    return bare if parameter.given else f"{bare} | None"


def _declared_parameters(
    declared: OperationContract, operation: AnyOperation
) -> list[tuple[str, str]]:
    address = operation.way.address if isinstance(operation, Operation) else None
    parameters = [
        (python_name(parameter.name), _annotation_and_default(parameter))
        for parameter in declared.parameters
        if parameter.kind in ("path", "query")
        and (address is None or parameter.name != address.parameter)
    ]
    return parameters + ([BODY] if declared.body is not None else [])


def _annotation_and_default(parameter: ParameterContract) -> str:
    return annotation(parameter) + ("" if parameter.given else " = None")


def _taken_parameters(operation: Operation | OpenOperation) -> list[tuple[str, str]]:
    """The parameters of ``parse``, or else of the handler, with annotation and default."""
    if isinstance(operation, Operation) and operation.parse is not None:
        return _signature(operation.parse, FIRST_OF_PARSE)
    return _signature(operation.handler, FIRST_OF_HANDLER)


def _signature(function: Callable[..., Any], first: int) -> list[tuple[str, str]]:
    parameters = list(inspect.signature(function).parameters.values())[first:]
    return [
        (
            parameter.name,
            f"{parameter.annotation}"
            + ("" if parameter.default is parameter.empty else f" = {parameter.default}"),
        )
        for parameter in parameters
    ]


def answer_complaints(contract: Contract, operations: Operations) -> Iterator[Complaint]:
    """Statuses that the contract does not declare, and required headers that are never sent."""
    for name, declared in contract.operations.items():
        operation = operations[name]
        if isinstance(operation, UnservedOperation):
            continue
        place: Path = ("paths", declared.path, declared.method.lower())
        if not declared.secured and isinstance(operation, Operation):
            sentence = f"{name} is gated: without security every answer would be 401"
            yield (*place, "security"), sentence
        for status in sorted(set(operation.statuses) - declared.responses.keys()):
            yield (*place, "responses"), f"{name} can answer {status}, which is not declared"
        sent = ALWAYS_SENT | {
            header.lower() for header in (*operation.headers, *operation.sent_headers)
        }
        for status, response in declared.responses.items():
            for header in () if PROBLEM in response.media else response.headers:
                if header.required and header.name.lower() not in sent:
                    where: Path = (*place, "responses", str(status), "headers", header.name)
                    yield where, f"{name} {status}: {header.name} is required, and is never sent"


def problem_complaints(contract: Contract, operations: Operations) -> list[Complaint]:
    """Refusals whose Problem would break the contract.

    At run time a 500 replaces such an answer and is not validated itself. So every Problem is
    validated here.
    """
    validator = ResponseValidator(contract)
    of_schema: dict[Breach, Complaint] = {}
    for kind in (*FRAMEWORK.values(), *CATALOGUE):
        breach = validator.breach(_outgoing(kind, None, "/"))
        if breach is not None and breach not in of_schema:
            place = (*_PROBLEM, "properties", breach.pointer.removeprefix("/"))
            of_schema[breach] = place, _sentence("the service", kind, breach)
    if of_schema:  # a breach of the Problem schema itself is reported once, not for each operation
        return list(of_schema.values())
    complaints = []
    for name, declared in contract.operations.items():
        undeclared: set[int] = set()  # each status is reported once, not for each of its codes
        for kind in dict.fromkeys(_refusals(declared, operations[name])):
            breach = validator.breach(_outgoing(kind, name, declared.path))
            if breach is not None and kind.status not in undeclared:
                complaints.append((_place(declared, kind), _sentence(name, kind, breach)))
                undeclared |= {kind.status} - declared.responses.keys()
    return complaints


def _refusals(declared: OperationContract, operation: AnyOperation) -> Iterator[RefusalKind]:
    """Every refusal of an operation, and of every code that the contract declares for it."""
    yield INTERNAL
    if isinstance(operation, UnservedOperation):  # it reads nothing of a request
        yield operation.not_provisioned
        return
    body = operation.body_refusals if isinstance(operation, Operation) else None
    yield body.too_large if body else PAYLOAD_TOO_LARGE
    if declared.secured:
        yield UNAUTHORIZED
    if declared.strict_query:
        yield UNKNOWN_QUERY_PARAMETER
    if declared.body is not None:
        yield UNSUPPORTED_MEDIA_TYPE
    if negotiates(declared):
        yield NOT_ACCEPTABLE
    if isinstance(operation, Operation):
        yield operation.not_provisioned
        yield from (kind for kind in operation.way.refusals if kind is not UNAUTHORIZED)
        yield from operation.refusals
    for parameter in declared.parameters:
        yield from parameter_refusals(operation, parameter)
    if body is not None:
        yield from body.kinds
    for kind in CATALOGUE:
        response = declared.responses.get(kind.status)
        if response is not None and kind.code in response.problem_codes:
            yield kind


def _outgoing(kind: RefusalKind, operation_id: str | None, path: str) -> Outgoing:
    """The Problem as ``respond_problem`` and the doorkeeper send it."""
    allow = ("GET",) if kind is METHOD_NOT_ALLOWED else ()
    answer = problem_answer(kind, path, _CORRELATION_ID, allow=allow)
    headers = {**answer.headers, CORRELATION: _CORRELATION_ID}
    return Outgoing(
        operation_id=operation_id,
        status=kind.status,
        media_type=PROBLEM,
        headers={name.lower(): value for name, value in headers.items()},
        body=json_bytes(answer.body),
    )


def _place(declared: OperationContract, kind: RefusalKind) -> Path:
    path: Path = ("paths", declared.path, declared.method.lower(), "responses")
    return (*path, str(kind.status)) if kind.status in declared.responses else path


def _sentence(subject: str, kind: RefusalKind, breach: Breach) -> str:
    answer = f"{subject} can answer {kind.status} {kind.code or 'without a code'}"
    reason = " ".join(part for part in (breach.part, breach.pointer, breach.rule) if part)
    return f"{answer}, which the contract does not allow: {reason}"
