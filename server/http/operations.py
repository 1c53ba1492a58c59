"""Operations bound to their ports, and the way from an Answer to a Flask response.

Handlers arrive with their ports inside: Connexion is given plain functions of the declared
parameters, and nothing is global.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import flask
from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver
from flask import Response

from handlers import UNPROVISIONED
from handlers.answers import JSON, PROBLEM, Answer
from handlers.node_state import refuse_pull
from handlers.refusals import NOT_ACCEPTABLE, PAYLOAD_TOO_LARGE, UNKNOWN_QUERY_PARAMETER, Refused
from handlers.service import ServicePorts
from handlers.wire import SnapshotBody, json_bytes
from server.authoring.signatures import python_name
from server.contract.document import Contract, OperationContract
from server.contract.errors import ContractError
from server.http import request_context
from server.http.problems import problem_answer

Handler = Callable[..., Answer]
IGNORED_BODY_MAX = 65_536  # bytes of a body nobody asked for that are read past without complaint


def coverage_complaints(contract: Contract, handlers: Mapping[str, Handler]) -> list[str]:
    """Operations without a handler and handlers without an operation, each by name."""
    missing = sorted(contract.operations.keys() - handlers.keys())
    stray = sorted(handlers.keys() - contract.operations.keys())
    return [f"operation {name} of the contract has no handler" for name in missing] + [
        f"handler {name} has no operation in the contract" for name in stray
    ]


def bind(handlers: Mapping[str, Handler], ports: Mapping[type, object]) -> dict[str, Handler]:
    """Put each handler's ports inside. A handler whose ports do not exist is refused."""
    bound: dict[str, Handler] = {}
    for name, handler in handlers.items():
        wanted = _ports_of(handler)
        if wanted is None:
            bound[name] = handler
        elif wanted in ports:
            bound[name] = _with_ports(handler, ports[wanted])
        else:
            bound[name] = _refusal_without(wanted)
    return bound


def is_unprovisioned(handler: Handler) -> bool:
    """Whether what stands behind an operation is gate 0 alone."""
    return handler in UNPROVISIONED.values()


def is_refused(handler: Handler, ports: Mapping[type, object]) -> bool:
    """Whether an operation answers 501 where only these ports and the service's own exist."""
    gate = gate_of(handler)
    return gate is not None and (gate is handler or _ports_of(handler) not in ports)


def gate_of(handler: Handler) -> Callable[[], Answer] | None:
    """Gate 0 of a handler; None where the ports it needs are always there."""
    if is_unprovisioned(handler):
        return handler
    wanted = _ports_of(handler)
    return None if wanted in (None, ServicePorts) else _refusal_without(wanted)


def _refusal_without(wanted: type) -> Callable[[], Answer]:
    """Of ports that nobody has made a gate for, the pull's: they may not be wired anywhere."""
    return UNPROVISIONED.get(wanted, refuse_pull)


def _ports_of(handler: Handler) -> type | None:
    found: type | None = get_type_hints(handler).get("ports")
    return found


def _with_ports(handler: Handler, ports: object) -> Handler:
    def operate(**parameters: Any) -> Answer:
        return handler(ports, request_context.current_call(), **parameters)

    return operate


class OperationResolver(Resolver):
    """Gives Connexion our functions by operationId."""

    def __init__(self, contract: Contract, bound: Mapping[str, Handler]) -> None:
        super().__init__()
        self._contract = contract
        self._bound = bound

    def resolve(self, operation: AbstractOperation) -> Resolution:
        """The function behind one operation of the file."""
        name = operation.operation_id
        if name not in self._bound:  # coverage_complaints named it; this is the second line
            raise ContractError(f"operation {name} of the contract has no handler")
        return Resolution(_view(self._contract.operations[name], self._bound[name]), name)


def _view(operation: OperationContract, handler: Handler) -> Callable[..., Response]:
    names = {one.name for one in operation.parameters if one.kind in ("path", "query")}

    def view(**parameters: Any) -> Response:
        given = {python_name(k): v for k, v in parameters.items() if k in names}
        if operation.body is None:
            check_query(operation)
            check_body_size()
            check_accept(operation)
        else:  # its validator has done both, before it read the body
            given["body"] = request_context.body()
        return respond(handler(**given))

    return view


def check_query(operation: OperationContract) -> None:
    """400 for an undeclared query parameter, where the file says so; its name goes nowhere.

    Asked of every operation: Connexion's own check passes over those without parameters.
    """
    if not operation.strict_query:
        return
    declared = {one.name for one in operation.parameters if one.kind == "query"}
    strange = flask.request.args.keys() - declared
    if strange:
        raise Refused(UNKNOWN_QUERY_PARAMETER, f"{len(strange)} undeclared query parameters")


def check_body_size() -> None:
    """413 for a body that is larger than what we are willing to read past."""
    length = flask.request.content_length
    if length is not None and length > IGNORED_BODY_MAX:
        raise Refused(PAYLOAD_TOO_LARGE, f"content length {length}")


def check_accept(operation: OperationContract) -> None:
    """406 where the operation's one JSON form is ruled out by ``Accept``."""
    if not negotiates(operation):
        return
    accepted = list(flask.request.accept_mimetypes)
    if accepted and not any(_quality(accepted, media) > 0 for media in operation.produces):
        raise Refused(NOT_ACCEPTABLE, "Accept rules out every declared media type")


def negotiates(operation: OperationContract) -> bool:
    """Whether ``Accept`` is looked at: for JSON always, for other forms where the file says so."""
    return JSON in operation.produces or NOT_ACCEPTABLE.status in operation.responses


def _quality(accepted: list[tuple[str, float]], media: str) -> float:
    """The most specific range decides; parameters (``charset=utf-8``) make no difference."""
    ranges = (media, f"{media.partition('/')[0]}/*", "*/*")
    return next((q for one, q in accepted if one.partition(";")[0].rstrip().lower() in ranges), 0)


def respond(answer: Answer) -> Response:
    """An Answer as a Flask response; a snapshot stays in reach of the response validation."""
    body = answer.body
    if isinstance(body, SnapshotBody):
        data = body.to_bytes()
        request_context.keep_snapshot(body, data)
    elif body is None:
        data = b""
        if answer.stands_for is not None:
            request_context.keep_snapshot(answer.stands_for, data)
    else:
        data = body if isinstance(body, bytes) else json_bytes(body)
    response = Response(data, status=answer.status, headers=dict(answer.headers))
    if answer.media_type is None:
        del response.headers["Content-Type"]
    else:
        response.headers["Content-Type"] = answer.media_type
    return response


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
