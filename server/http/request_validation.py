"""Requests against the contract, decided before the handler and after authentication.

Connexion's own validator does not check ``format: uuid`` and puts the offending value into its
answer; ours take their places in ``validator_map`` and refuse with our Problems. Parameters come
before the body: what is refused by its path alone is not read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flask
from flask import Response

from handlers.refusals import (
    PAYLOAD_TOO_LARGE,
    RefusalKind,
    Refused,
)
from server.contract.document import (
    BodyContract,
    Contract,
    OperationContract,
)
from server.contract.errors import ContractError
from server.contract.parameters import ParameterContract, value_of
from server.http import request_context
from server.http.operations import check_accept, check_query
from server.http.problems import BAD_REQUEST
from server.http.request_bodies import read_object
from server.http.request_refusals import (
    BODY_REFUSALS,
    OPERATION_REFUSALS,
    PARAMETER_REFUSALS,
    BodyRefusals,
)

# Texts that only a schema without a rule takes both of.
ANY_TEXT = ("", "\N{SNOWMAN}" * 8_190)


def parameter_validator(contract: Contract) -> type:
    """The class Connexion instantiates for each operation that has parameters."""

    class ContractParameters:
        def __init__(self, parameters: object, api: object, strict_validation: bool) -> None:
            del parameters, api, strict_validation  # the contract knows better

        def __call__(self, function: Callable[..., Response]) -> Callable[..., Response]:
            @functools.wraps(function)
            def checked(request: Any) -> Response:
                operation = contract.operations[request_context.operation_id() or ""]
                if operation.body is None:  # else the body's validator, further out, has done it
                    _check_parameters(operation, request.path_params)
                return function(request)

            return checked

    return ContractParameters


def missing_body_refusals(contract: Contract) -> list[str]:
    """Operations that declare a body which nobody has said how to refuse."""
    declared = [name for name, one in contract.operations.items() if one.body is not None]
    return [name for name in declared if name not in BODY_REFUSALS]


def body_validator(contract: Contract) -> type:
    """The class Connexion instantiates for each operation that declares a body.

    Raises ContractError naming the operations whose bodies have no refusals.
    """
    missing = missing_body_refusals(contract)
    if missing:
        raise ContractError(f"no refusals for the bodies of {', '.join(missing)}")

    class ContractBody:
        def __init__(self, *args: object, **options: object) -> None:
            del args, options  # the contract knows better

        def __call__(self, function: Callable[..., Response]) -> Callable[..., Response]:
            @functools.wraps(function)
            def checked(request: Any) -> Response:
                operation = contract.operations[request_context.operation_id() or ""]
                assert operation.body is not None
                _check_parameters(operation, request.path_params)
                check_query(operation)
                check_accept(operation)
                refusals = BODY_REFUSALS[operation.operation_id]
                request_context.hold_body(checked_body(operation.body, refusals))
                return function(request)

            return checked

    return ContractBody


def checked_body(body: BodyContract, refusals: BodyRefusals) -> dict[str, Any]:
    """The current request's body as its schema declares it; its content goes into no log."""
    value, media_type = read_object(body, refusals)
    for name, limit in refusals.max_bytes.items():
        text = value.get(name)
        if isinstance(text, str) and len(text.encode("utf-8")) > limit:
            raise Refused(PAYLOAD_TOO_LARGE, f"body/{name} is longer than {limit} bytes")
    faults = body.media[media_type].faults(value)
    if not faults:
        return value
    empty = [name for name in refusals.empty if value.get(name) == ""]
    others = [one for one in faults if one.pointer not in {f"/{name}" for name in empty}]
    if others:
        fault = min(others, key=lambda one: refusals.kinds.index(refusals.kind_of(one)))
        raise Refused(refusals.kind_of(fault), f"body{fault.pointer} breaks {fault.rule}")
    raise Refused(refusals.empty[empty[0]], f"body/{empty[0]} is empty")


def _check_parameters(operation: OperationContract, path: Mapping[str, Any]) -> None:
    for parameter in operation.parameters:
        check_parameter(operation.operation_id, parameter, path)


def parameter_refusals(operation_id: str, parameter: ParameterContract) -> Iterator[RefusalKind]:
    """What a parameter can be refused with; nothing where any text will do."""
    if parameter.kind == "query" and not parameter.repeatable:  # it might be repeated
        yield PARAMETER_REFUSALS.get(parameter.name, BAD_REQUEST)
    if parameter.required or not all(map(parameter.validator.is_valid, ANY_TEXT)):
        yield _refusal_of(operation_id, parameter)


def _refusal_of(operation_id: str, parameter: ParameterContract) -> RefusalKind:
    usual = PARAMETER_REFUSALS.get(parameter.name, BAD_REQUEST)
    return OPERATION_REFUSALS.get((operation_id, parameter.name), usual)


def check_parameter(asked: str, parameter: ParameterContract, path: Mapping[str, Any]) -> None:
    """Refuse a missing or invalid parameter; the value itself goes nowhere."""
    texts = _texts(parameter, path)
    if not texts:
        if not parameter.required:
            return
        rule = "required"
    else:
        fault = parameter.validator.fault(value_of(parameter, texts))
        if fault is None:
            return
        rule = fault.rule
    raise Refused(_refusal_of(asked, parameter), f"parameter {parameter.name} breaks {rule}")


def _texts(parameter: ParameterContract, path: Mapping[str, Any]) -> list[str]:
    if parameter.kind == "path":
        return [str(path[parameter.name])]
    if parameter.kind == "query":
        given = flask.request.args.getlist(parameter.name)
        if len(given) > 1 and not parameter.repeatable:
            # one would be checked and another handed on
            kind = PARAMETER_REFUSALS.get(parameter.name, BAD_REQUEST)
            raise Refused(kind, f"parameter {parameter.name} is repeated")
        return given
    source = flask.request.headers if parameter.kind == "header" else flask.request.cookies
    found = source.get(parameter.name)
    return [] if found is None else [found]
