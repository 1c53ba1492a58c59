"""Requests against the contract: parameters, decided before the handler and after authentication.

Connexion's own validator does not check ``format: uuid`` and puts the offending value into its
answer; this one takes its place in ``validator_map`` and refuses with our Problems.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import flask
from flask import Response

from handlers.refusals import INVALID_NODE_ID, RefusalKind, Refused
from server import request_context
from server.contract import Contract, ParameterContract
from server.problems import BAD_REQUEST

# Which refusal a broken parameter becomes; what is not named here is a 400 without a code.
PARAMETER_REFUSALS: Mapping[str, RefusalKind] = {"id": INVALID_NODE_ID}
# As many digits as an int64 has: Python refuses to read thousands of them.
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def parameter_validator(contract: Contract) -> type:
    """The class Connexion instantiates for each operation that has parameters."""

    class ContractParameters:
        def __init__(self, parameters: object, api: object, strict_validation: bool) -> None:
            del parameters, api, strict_validation  # the contract knows better

        def __call__(self, function: Callable[..., Response]) -> Callable[..., Response]:
            @functools.wraps(function)
            def checked(request: Any) -> Response:
                operation = contract.operations[request_context.operation_id() or ""]
                for parameter in operation.parameters:
                    check_parameter(parameter, request.path_params)
                return function(request)

            return checked

    return ContractParameters


def check_parameter(parameter: ParameterContract, path: Mapping[str, Any]) -> None:
    """Refuse a missing or invalid parameter; the value itself goes nowhere."""
    value = _given(parameter, path)
    if value is None:
        if not parameter.required:
            return
        rule = "required"
    else:
        fault = parameter.validator.fault(_typed(value, parameter.schema_type))
        if fault is None:
            return
        rule = fault.rule
    kind = PARAMETER_REFUSALS.get(parameter.name, BAD_REQUEST)
    raise Refused(kind, f"parameter {parameter.name} breaks {rule}")


def _given(parameter: ParameterContract, path: Mapping[str, Any]) -> str | None:
    if parameter.kind == "path":
        return str(path[parameter.name])
    if parameter.kind == "query":
        return flask.request.args.get(parameter.name)
    if parameter.kind == "header":
        return flask.request.headers.get(parameter.name)
    return flask.request.cookies.get(parameter.name)


def _typed(text: str, schema_type: str) -> object:
    """A parameter's text as the value its schema speaks of; the text where it is none."""
    if schema_type == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if schema_type == "boolean" and text in ("true", "false"):
        return text == "true"
    return text
