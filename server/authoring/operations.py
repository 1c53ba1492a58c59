"""Compares the facts of each operation in code with the contract, before the service starts.

Four lists of faults: ``coverage_faults`` (operations without a handler), ``signature_faults`` (the
parameters of a function), ``answer_faults`` (statuses and headers), and ``unserved_faults``
(``x-unserved``). Their refusals are compared in server/authoring/problems.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import Parameter, signature
from typing import Any

from handlers.operation import AnyOperation, Operation
from handlers.refusals import (
    NOT_PROVISIONED_KINDS,
)
from server.authoring.problems import refusals
from server.contract.document import METHODS, Contract, OperationContract
from server.contract.errors import ContractFault
from server.contract.parameters import ParameterContract
from server.contract.pointers import Path, canonical_path, deepest_path, part_at
from server.contract.unserved import UNSERVED
from server.http.requests import python_name
from server.http.response_validation import CORRELATION

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


def coverage_faults(paths: Mapping[str, Path], operations: Operations) -> Iterator[ContractFault]:
    """Operations of the file without a handler; ``paths`` are those of the operationIds."""
    for name in paths.keys() - operations.keys():
        yield ContractFault(paths[name], f"operation {name} of the contract has no handler")


def signature_faults(contract: Contract, operations: Operations) -> Iterator[ContractFault]:
    """Functions whose parameters differ from the contract: every request would be a 500."""
    different: dict[tuple[Path, str], list[str]] = {}
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
            at, taken, expected = _difference(contract, declared, taken, expected)
            sentence = (
                f"the handler takes {_shown(taken)}, the contract declares {_shown(expected)}"
            )
            different.setdefault((at or place, sentence), []).append(name)
        address = operation.way.address if isinstance(operation, Operation) else None
        in_path = [parameter.name for parameter in declared.parameters if parameter.kind == "path"]
        if sorted(in_path) != sorted(re.findall(r"{([^}]+)}", declared.path)):
            sentence = f"the path does not name the parameters {in_path}"
            yield ContractFault(place[:2], sentence, is_key=True)
        if address is not None and address.parameter not in in_path:
            sentence = f"{name}: the path has no parameter {address.parameter}, which gate 1a reads"
            yield ContractFault(place, sentence)
        body = operation.body_refusals if isinstance(operation, Operation) else None
        if declared.body is not None and body is None:
            sentence = f"{name}: the contract declares a body, the operation no refusals of it"
            yield ContractFault(place, sentence)
    for (at, sentence), (first, *others) in different.items():
        more = f" and {len(others)} more" if others else ""
        yield ContractFault(at, f"{first}{more}: {sentence}")


def takes_its_parameters(declared: OperationContract, operation: AnyOperation) -> bool:
    """Whether a function has the parameters that the contract declares."""
    try:
        return _taken_parameters(operation) == _declared_parameters(declared, operation)
    except NameError:  # told by signature_faults
        return False


def _difference(
    contract: Contract,
    declared: OperationContract,
    taken: list[Parameter],
    expected: list[Parameter],
) -> tuple[Path | None, list[Parameter], list[Parameter]]:
    """The word of the only declared parameter that differs, with both forms of the parameter.

    None and all parameters where several differ, or where one is absent.
    """
    differing = [pair for pair in zip(taken, expected, strict=False) if pair[0] != pair[1]]
    if len(taken) != len(expected) or len(differing) != 1 or differing[0][1] == BODY:
        return None, taken, expected
    ((takes, declares),) = differing
    document, place = contract.document, ("paths", declared.path, declared.method.lower())
    for holder in (place, place[:-1]):
        for index in range(len(part_at(document, holder).get("parameters", ()))):
            path = canonical_path(document, (*holder, "parameters", index))
            part = part_at(document, path)
            if part["in"] in ("path", "query") and python_name(part["name"]) == declares.name:
                word = ("name",) if takes.name != declares.name else ("schema", "type")
                return deepest_path(document, (*path, *word)), [takes], [declares]
    return None, taken, expected


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
    absent: dict[tuple[Path, str], list[str]] = {}
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
        refused = {kind.status for kind in refusals(declared, operation)}
        sent = ALWAYS_SENT | {
            header.lower() for header in (*operation.headers, *operation.sent_headers)
        }
        for status, response in declared.responses.items():
            for header in () if status in refused else response.headers:
                if header.required and header.name.lower() not in sent:
                    path = canonical_path(contract.document, (*place, "responses", str(status)))
                    absent.setdefault((path, header.name), []).append(f"{name} {status}")
    for (path, header_name), (first, *others) in absent.items():
        more = f" and {len(others)} more" if others else ""
        sentence = f"{first}{more}: {header_name} is required, and is never sent"
        yield ContractFault((*path, "headers", header_name), sentence, is_key=True)


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
