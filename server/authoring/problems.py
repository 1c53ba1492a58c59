"""Compares every refusal, as the Problem that it would leave as, with the contract.

At run time a 500 replaces a Problem that breaks the contract, and is not validated itself. So every
Problem is validated here, before the service starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from handlers.answers import PROBLEM
from handlers.operation import AnyOperation, Operation
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
from server.contract.errors import ContractFault
from server.contract.pointers import Path, canonical_path, part_at
from server.http.problems import FRAMEWORK, METHOD_NOT_ALLOWED, problem_answer
from server.http.requests import negotiates, parameter_refusals
from server.http.response_validation import CORRELATION, Breach, Outgoing, ResponseValidator

_PROBLEM = ("components", "schemas", "Problem")
_CORRELATION_ID = "0" * 32
# The rule of a breach by a header that is not sent.
_REQUIRED = "/required"

# A breach in one response, with the code where the code is wrong.
_Place = tuple[Path, Breach, str]


def problem_faults(
    contract: Contract, operations: Mapping[str, AnyOperation]
) -> Iterator[ContractFault]:
    """Refusals whose Problem would break the contract.

    What is wrong for all its users is told once: in the Problem schema, in a header, in a response.
    """
    validator = ResponseValidator(contract)
    of_schema = list(_schema_faults(contract, validator))
    if of_schema:
        yield from of_schema
        return
    breaches = _breaches(contract, operations, validator)
    headers = Counter(_header(contract, place, breach) for place, breach, _ in breaches)
    users = Counter(
        canonical_path(contract.document, (*_responses(declared), str(status)))
        for declared in contract.operations.values()
        for status in declared.responses
    )
    told: set[Path] = set()
    for (place, breach, _), kinds in breaches.items():
        name, kind = next(iter(kinds.items()))
        more = f" and {len(kinds) - 1} more" if len(kinds) > 1 else ""
        sentence = _sentence(f"{name}{more}", kind, breach)
        header = _header(contract, place, breach)
        if header is not None and (breach.rule != _REQUIRED or headers[header] > 1):
            if header not in told:
                yield ContractFault(header, sentence)
            told.add(header)
        elif len(kinds) == 1 < users[place]:
            # the response is right where another operation refers to it
            yield ContractFault(_response(contract.operations[name], kind.status), sentence)
        else:
            at, is_key = _wrong_part(contract, place, breach)
            yield ContractFault(at, sentence, is_key)


def _schema_faults(contract: Contract, validator: ResponseValidator) -> Iterator[ContractFault]:
    """Breaches of the Problem schema itself, which no operation causes."""
    told: set[Breach] = set()
    for kind in (*FRAMEWORK.values(), *CATALOGUE):
        breach = validator.breach(_outgoing(kind, None, "/"))
        if breach is None or breach in told:
            continue
        told.add(breach)
        path = contract.path_of_rule(breach.rule, _PROBLEM)
        sentence = _sentence("the service", kind, breach)
        fault = contract.problem.fault(problem_answer(kind, "/", _CORRELATION_ID).body)
        if fault is not None and fault.absent_or_undeclared is not None:
            sentence += f" {fault.absent_or_undeclared}"
            if path[-1] == "required":
                names = part_at(contract.document, path)
                path = (*path, names.index(fault.absent_or_undeclared))
            else:
                path = (*_PROBLEM, "properties")
        yield ContractFault(path, sentence)


def _breaches(
    contract: Contract, operations: Mapping[str, AnyOperation], validator: ResponseValidator
) -> dict[_Place, dict[str, RefusalKind]]:
    """The operations that refer to each place, with the first refusal of each that is wrong."""
    found: dict[_Place, dict[str, RefusalKind]] = {}
    for name, declared in contract.operations.items():
        if name not in operations:
            continue
        undeclared: set[int] = set()  # each status is told once, not for each of its codes
        for kind in dict.fromkeys(refusals(declared, operations[name])):
            breach = validator.breach(_outgoing(kind, name, declared.path))
            if breach is not None and kind.status not in undeclared:
                place = canonical_path(contract.document, _response(declared, kind.status))
                code = (kind.code or "") if breach.pointer == "/code" else ""
                found.setdefault((place, breach, code), {}).setdefault(name, kind)
                undeclared |= {kind.status} - declared.responses.keys()
    return found


def refusals(declared: OperationContract, operation: AnyOperation) -> Iterator[RefusalKind]:
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


def _response(declared: OperationContract, status: int) -> Path:
    """The response of a status, or the place where it should be."""
    path = _responses(declared)
    return (*path, str(status)) if status in declared.responses else path


def _header(contract: Contract, place: Path, breach: Breach) -> Path | None:
    """The header that is wrong, or the word of its schema; None where no header is wrong."""
    if not breach.part.startswith("header"):
        return None
    path = canonical_path(contract.document, (*place, "headers", _header_name(breach)))
    if breach.rule == _REQUIRED:
        return path
    return contract.path_of_rule(breach.rule, (*path, "schema"))


def _header_name(breach: Breach) -> str:
    return breach.part.removeprefix("header").strip() or breach.pointer


def _wrong_part(contract: Contract, place: Path, breach: Breach) -> tuple[Path, bool]:
    """The part of a response that an author must look at, and whether it is a key."""
    response = part_at(contract.document, place)
    if breach.part == "header":
        return (*place, "headers", breach.pointer), True
    if breach.part == "media type" and "content" in response:
        return (*place, "content", next(iter(response["content"]))), True
    if breach.pointer == "/code" and "x-problem-codes" in response:
        return (*place, "x-problem-codes"), False
    if breach.rule.startswith("/"):
        return (*place, "content", PROBLEM, "schema"), False
    return place, place[-1] != "responses"  # a status that is not there has no key


def _sentence(subject: str, kind: RefusalKind, breach: Breach) -> str:
    answer = f"{subject} can answer {kind.status} {kind.code or 'without a code'}"
    rule = breach.rule.rpartition("/")[2]
    reason = " ".join(part for part in (breach.part, breach.pointer, rule) if part)
    return f"{answer}, which the contract does not allow: {reason}"
