"""Compares the facts of each operation in code with the contract, before the service starts.

Five lists of faults: ``coverage_faults`` (operations without a handler), ``signature_faults`` (the
parameters of a function), ``answer_faults`` (statuses and headers), ``problem_faults`` (every
refusal, as the Problem that it would leave as), and ``unserved_faults`` (``x-unserved``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from inspect import Parameter, signature
from typing import Any

from handlers.answers import PROBLEM
from handlers.operation import AnyOperation, Operation
from handlers.refusals import (
    CATALOGUE,
    INTERNAL,
    NOT_ACCEPTABLE,
    NOT_PROVISIONED_KINDS,
    PAYLOAD_TOO_LARGE,
    UNAUTHORIZED,
    UNKNOWN_QUERY_PARAMETER,
    UNSUPPORTED_MEDIA_TYPE,
    RefusalKind,
)
from handlers.wire import json_bytes
from server.contract.document import METHODS, Contract, OperationContract
from server.contract.errors import ContractFault
from server.contract.parameters import ParameterContract
from server.contract.pointers import Path, canonical_path
from server.contract.unserved import UNSERVED
from server.http.problems import FRAMEWORK, METHOD_NOT_ALLOWED, problem_answer
from server.http.requests import negotiates, parameter_refusals, python_name
from server.http.response_validation import CORRELATION, Breach, Outgoing, ResponseValidator

Operations = Mapping[str, AnyOperation]

# How a declared request body arrives, after the declared parameters.
BODY = Parameter("body", Parameter.POSITIONAL_OR_KEYWORD, annotation=Mapping[str, Any])
PYTHON_TYPES = {"string": str, "integer": int, "boolean": bool, "number": float}
# The position of the first declared parameter in the signature of a function.
FIRST_OF_HANDLER, FIRST_OF_PARSE = 2, 1
# Headers of every answer, whatever the operation (server/http/doorkeeper.py).
ALWAYS_SENT = frozenset({CORRELATION.lower(), "content-type", "content-length"})
# The scheme of node secret keys in the file.
SECRET_KEY_SCHEME = "nodeSecretKey"
_PROBLEM = ("components", "schemas", "Problem")
_CORRELATION_ID = "0" * 32


def coverage_faults(paths: Mapping[str, Path], operations: Operations) -> Iterator[ContractFault]:
    """Operations of the file without a handler; ``paths`` are those of the operationIds."""
    for name in paths.keys() - operations.keys():
        yield ContractFault(paths[name], f"operation {name} of the contract has no handler")


def signature_faults(contract: Contract, operations: Operations) -> Iterator[ContractFault]:
    """Functions whose parameters differ from the contract: every request would be a 500."""
    for name, declared in contract.operations.items():
        operation = operations.get(name)
        if operation is None:
            continue
        place: Path = ("paths", declared.path, declared.method.lower(), "operationId")
        try:
            taken = _taken_parameters(operation)
        except NameError as error:  # imported for type checkers only
            yield ContractFault(place, f"{name}: a type of the handler is not imported: {error}")
            continue
        expected = _declared_parameters(declared, operation)
        if taken != expected:
            sentence = f"{name}: the handler takes {_shown(taken)}"
            sentence += f", the contract declares {_shown(expected)}"
            yield ContractFault(place, sentence)
        address = operation.way.address if isinstance(operation, Operation) else None
        in_path = [parameter.name for parameter in declared.parameters if parameter.kind == "path"]
        if sorted(in_path) != sorted(re.findall(r"{([^}]+)}", declared.path)):
            sentence = f"{name}: {declared.path} does not name the parameters {in_path}"
            yield ContractFault(place, sentence)
        if address is not None and address.parameter not in in_path:
            sentence = f"{name}: the path has no parameter {address.parameter}, which gate 1a reads"
            yield ContractFault(place, sentence)
        body = operation.body_refusals if isinstance(operation, Operation) else None
        if declared.body is not None and body is None:
            sentence = f"{name}: the contract declares a body, the operation no refusals of it"
            yield ContractFault(place, sentence)


def _declared_parameters(declared: OperationContract, operation: AnyOperation) -> list[Parameter]:
    """The parameters of the contract, without the id that the way reads."""
    address = operation.way.address if isinstance(operation, Operation) else None
    parameters = [
        Parameter(
            python_name(parameter.name),
            Parameter.POSITIONAL_OR_KEYWORD,
            annotation=_python_type(parameter),
            default=Parameter.empty if parameter.has_value else None,
        )
        for parameter in declared.parameters
        if parameter.kind in ("path", "query")
        and (address is None or parameter.name != address.parameter)
    ]
    return [*parameters, BODY] if declared.body is not None else parameters


def _python_type(parameter: ParameterContract) -> object:
    """The type of a declared parameter; ``| None`` where a request may omit it."""
    schema_type = parameter.item_type or parameter.schema_type
    bare: Any = PYTHON_TYPES.get(schema_type)
    if bare is None:
        return f"no type for {schema_type}"
    if parameter.item_type is not None:
        bare = list[bare]
    return bare if parameter.has_value else bare | None


def _taken_parameters(operation: AnyOperation) -> list[Parameter]:
    """The parameters of ``parse``, or else of the handler."""
    function, first = operation.handler, FIRST_OF_HANDLER
    if isinstance(operation, Operation) and operation.parse is not None:
        function, first = operation.parse, FIRST_OF_PARSE
    elif isinstance(operation, Operation) and operation.needs is not None:
        first += 1  # the port
    return list(signature(function, eval_str=True).parameters.values())[first:]


def _shown(parameters: list[Parameter]) -> str:
    return f"({', '.join(map(str, parameters))})"


def answer_faults(contract: Contract, operations: Operations) -> Iterator[ContractFault]:
    """Statuses that the contract does not declare, and required headers that are never sent."""
    for name, declared in contract.operations.items():
        operation = operations.get(name)
        if operation is None:
            continue
        place: Path = ("paths", declared.path, declared.method.lower())
        in_body = isinstance(operation, Operation) and operation.way.caller_in_body
        if in_body and declared.secured:
            sentence = f"{name}: the body proves the caller, so security must be []"
            yield ContractFault((*place, "security"), sentence)
        elif not in_body and not declared.secured and isinstance(operation, Operation):
            sentence = f"{name} is gated: without security every answer would be 401"
            yield ContractFault((*place, "security"), sentence)
        elif isinstance(operation, Operation):
            is_declared = SECRET_KEY_SCHEME in declared.schemes
            if is_declared != operation.way.takes_secret_key:
                verb = "is not declared" if operation.way.takes_secret_key else "proves nobody"
                sentence = f"{name}: {SECRET_KEY_SCHEME} {verb} here"
                yield ContractFault((*place, "security"), sentence)
        for status in sorted(set(operation.statuses) - declared.responses.keys()):
            sentence = f"{name} can answer {status}, which is not declared"
            yield ContractFault((*place, "responses"), sentence)
        sent = ALWAYS_SENT | {
            header.lower() for header in (*operation.headers, *operation.sent_headers)
        }
        for status, response in declared.responses.items():
            for header in () if PROBLEM in response.media else response.headers:
                if header.required and header.name.lower() not in sent:
                    path = (*place, "responses", str(status), "headers", header.name)
                    sentence = f"{name} {status}: {header.name} is required, and is never sent"
                    yield ContractFault(path, sentence)


def unserved_faults(contract: Contract) -> Iterator[ContractFault]:
    """Entries of ``x-unserved`` that have no refusal, or that hide behind an operation."""
    declared = {
        (operation.method, _template(operation.path)) for operation in contract.operations.values()
    }
    for index, request in enumerate(contract.unserved):
        if request.method.lower() not in METHODS:
            sentence = f"{request.method} is no method of an operation"
            yield ContractFault((UNSERVED, index, "method"), sentence)
        if request.code not in NOT_PROVISIONED_KINDS:
            sentence = f"no refusal with status 501 has the code {request.code}"
            yield ContractFault((UNSERVED, index, "code"), sentence)
        if (request.method, _template(request.path)) in declared:
            sentence = f"{request.method} {request.path} is served: remove it here"
            yield ContractFault((UNSERVED, index, "path"), sentence)


def _template(path: str) -> str:
    """The path without the names of its parameters."""
    return re.sub(r"\{\w+\}", "{}", path)


def problem_faults(contract: Contract, operations: Operations) -> Iterator[ContractFault]:
    """Refusals whose Problem would break the contract.

    At run time a 500 replaces such an answer and is not validated itself. So every Problem is
    validated here. A component that is wrong for all its users is reported once.
    """
    validator = ResponseValidator(contract)
    of_schema: dict[Breach, ContractFault] = {}
    for kind in (*FRAMEWORK.values(), *CATALOGUE):
        breach = validator.breach(_outgoing(kind, None, "/"))
        if breach is not None and breach not in of_schema:
            path = (*_PROBLEM, "properties", breach.pointer.removeprefix("/"))
            of_schema[breach] = ContractFault(path, _sentence("the service", kind, breach))
    if of_schema:  # a breach of the Problem schema itself is reported once, not for each operation
        yield from of_schema.values()
        return
    users = Counter(
        canonical_path(contract.document, (*_responses(declared), str(status)))
        for declared in contract.operations.values()
        for status in declared.responses
    )
    names: dict[tuple[Path, RefusalKind, Breach], list[str]] = {}
    for name, declared in contract.operations.items():
        if name not in operations:
            continue
        undeclared: set[int] = set()  # each status is reported once, not for each of its codes
        for kind in dict.fromkeys(_refusals(declared, operations[name])):
            breach = validator.breach(_outgoing(kind, name, declared.path))
            if breach is not None and kind.status not in undeclared:
                place = canonical_path(contract.document, _place(declared, kind, breach))
                names.setdefault((place, kind, breach), []).append(name)
                undeclared |= {kind.status} - declared.responses.keys()
    for (place, kind, breach), failing in names.items():
        if "headers" in place or len(failing) == users[place] > 1:
            more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
            yield ContractFault(place, _sentence(f"{failing[0]}{more}", kind, breach))
            continue
        for name in failing:  # another response is right where another operation refers to it
            at = _place(contract.operations[name], kind, breach)
            yield ContractFault(at, _sentence(name, kind, breach))


def _refusals(declared: OperationContract, operation: AnyOperation) -> Iterator[RefusalKind]:
    """Every refusal of an operation, and of every code that the contract declares for it."""
    yield INTERNAL
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
    """The Problem as ``reply_of_refusal`` and the doorkeeper send it."""
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


def _responses(declared: OperationContract) -> Path:
    return ("paths", declared.path, declared.method.lower(), "responses")


def _place(declared: OperationContract, kind: RefusalKind, breach: Breach) -> Path:
    path = _responses(declared)
    response = declared.responses.get(kind.status)
    if response is None:
        return path
    header = breach.part.removeprefix("header ")
    if header in {declared_header.name for declared_header in response.headers}:
        return (*path, str(kind.status), "headers", header)
    return (*path, str(kind.status))


def _sentence(subject: str, kind: RefusalKind, breach: Breach) -> str:
    answer = f"{subject} can answer {kind.status} {kind.code or 'without a code'}"
    reason = " ".join(part for part in (breach.part, breach.pointer, breach.rule) if part)
    return f"{answer}, which the contract does not allow: {reason}"
