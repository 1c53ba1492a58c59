"""What a handler can answer, read off the functions it calls, held against the contract.

Nobody writes it down a second time: a handler that passes a gate can be refused by it, and where an
Answer is made, the statuses and the names of its headers stand beside it.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import FunctionType
from typing import Any

from handlers.answers import PROBLEM, Answer
from handlers.domain_gates import canonical_domain_id
from handlers.gates import canonical_node_id, insufficient, known_principal
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    DOMAIN_NOT_FOUND,
    INSUFFICIENT_RELATION,
    INVALID_DOMAIN_ID,
    INVALID_NODE_ID,
    NODE_NOT_FOUND,
    UNAUTHORIZED,
    RefusalKind,
)
from server.contract.document import Contract, OperationContract
from server.contract.errors import Path
from server.http.operations import is_unprovisioned
from server.http.response_validation import CORRELATION

Handler = Callable[..., Any]
# What whoever calls a gate can be refused with. An object that is addressed may not be there, and
# a relation is asked of SpiceDB and again where the ledger knows of a later one.
GATES: Mapping[Handler, tuple[RefusalKind, ...]] = {
    known_principal: (UNAUTHORIZED,),
    canonical_node_id: (INVALID_NODE_ID, NODE_NOT_FOUND),
    canonical_domain_id: (INVALID_DOMAIN_ID, DOMAIN_NOT_FOUND),
    insufficient: (INSUFFICIENT_RELATION, AUTHZ_UNAVAILABLE, DATASTORE_UNAVAILABLE),
}
# The statuses that a handler names itself: any other number in its code may be a limit or a size.
OWN_STATUSES = {200, 201, 202, 204, 304, 503}
# What every answer has (server/http/doorkeeper.py, server/http/operations.py).
ALWAYS_SENT = {CORRELATION.lower(), "content-type", "content-length"}


def gate_refusals(handler: Handler) -> Iterator[RefusalKind]:
    """What the gates refuse with that a handler passes."""
    called = _called(handler)
    for gate, kinds in GATES.items():
        if gate in called:
            yield from kinds


def handler_complaints(
    contract: Contract, handlers: Mapping[str, Handler]
) -> Iterator[tuple[Path, str]]:
    """Where the file takes away what a handler asks for, or wants of it what it does not send."""
    for name, operation in contract.operations.items():
        handler = handlers[name]
        place: Path = ("paths", operation.path, operation.method.lower())
        if is_unprovisioned(handler):
            continue
        if not operation.secured and UNAUTHORIZED in gate_refusals(handler):
            yield (*place, "security"), f"{name} asks who calls: without security all would be 401"
        for status in sorted(_statuses(handler) - operation.responses.keys()):
            yield (*place, "responses"), f"{name} can answer {status}, which is not declared"
        for status, header in _unsent(operation, handler):
            where: Path = (*place, "responses", str(status), "headers", header)
            yield where, f"{name} {status}: {header} is required, and nobody sends it"


def _called(handler: Handler) -> set[Handler]:
    """A handler and every function of its room that it reaches by name."""
    found: set[Handler] = set()
    left: list[object] = [handler]
    while left:
        one = left.pop()
        if isinstance(one, FunctionType) and one not in found:
            found.add(one)
            left += [value for value in _globals(one) if _is_of_handlers(value)]
    return found


def _is_of_handlers(value: object) -> bool:
    return isinstance(value, FunctionType) and value.__module__.partition(".")[0] == "handlers"


def _globals(function: FunctionType) -> list[object]:
    names = _loaded(function, "LOAD_GLOBAL")
    return [function.__globals__[name] for name in names if name in function.__globals__]


def _statuses(handler: Handler) -> set[int]:
    """Of the answers that it makes."""
    makers = [one for one in _called(handler) if Answer in _globals(one)]
    return OWN_STATUSES & {one for maker in makers for one in _constants(maker) if type(one) is int}


def _unsent(operation: OperationContract, handler: Handler) -> Iterator[tuple[int, str]]:
    """Required headers that no text of the handler names; those of Problems are checked as sent."""
    sent = ALWAYS_SENT | {text.lower() for one in _called(handler) for text in _texts(one)}
    for status, response in operation.responses.items():
        for header in () if PROBLEM in response.media else response.headers:
            if header.required and header.name.lower() not in sent:
                yield status, header.name


def _texts(function: FunctionType) -> Iterator[str]:
    """The texts in a function, and the keys of the mappings that it takes from its module."""
    keys = [key for one in _globals(function) if isinstance(one, Mapping) for key in one]
    yield from (one for one in [*_constants(function), *keys] if isinstance(one, str))


def _constants(function: FunctionType) -> tuple[object, ...]:
    loaded = _loaded(function, "LOAD_CONST", "LOAD_SMALL_INT")  # Python 3.14 has the second one
    return tuple(part for one in loaded for part in (one if isinstance(one, tuple) else (one,)))


@cache
def _loaded(function: FunctionType, *instructions: str) -> tuple[Any, ...]:
    found = [one.argval for one in dis.get_instructions(function) if one.opname in instructions]
    return tuple(dict.fromkeys(found))
