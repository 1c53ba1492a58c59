"""Handlers take what the contract declares: parameter names, order and annotations.

Asked before a start and a reload, because a handler that is called with a parameter it does not
know is a 500 for every request.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from keyword import iskeyword
from typing import Any

from handlers.node_state import refuse_pull
from server.contract.document import OperationContract
from server.contract.parameters import ParameterContract

# What a handler is given before its declared parameters.
GIVEN = ("ports", "call")
# What a declared request body arrives as, after the declared parameters.
BODY = ("body", "Mapping[str, Any]")
PYTHON_TYPE = {"string": "str", "integer": "int", "boolean": "bool", "number": "float"}


def signature_complaints(
    operations: Mapping[str, OperationContract], handlers: Mapping[str, Callable[..., Any]]
) -> list[str]:
    """One sentence, beginning with the operation, for each handler that takes something else."""
    complaints = []
    for name, operation in operations.items():
        in_path = [one.name for one in operation.parameters if one.kind == "path"]
        if sorted(in_path) != sorted(re.findall(r"{([^}]+)}", operation.path)):
            complaints.append(f"{name}: {operation.path} does not name the parameters {in_path}")
        declared, found = _declared(operation), _taken(handlers[name])
        # a refusal needs to know nothing
        if found != declared and handlers[name] is not refuse_pull:
            complaints.append(
                f"{name}: the handler takes {found}, the contract declares {declared}"
            )
    return complaints


def annotation(parameter: ParameterContract) -> str:
    """What a handler's parameter is annotated with; ``| None`` where it may get no value."""
    known = PYTHON_TYPE.get(parameter.item_type or parameter.schema_type)
    if known is None:
        return f"no type for {parameter.item_type or parameter.schema_type}"
    bare = known if parameter.item_type is None else f"list[{known}]"
    return bare if parameter.given else f"{bare} | None"


def _declared(operation: OperationContract) -> list[tuple[str, str]]:
    parameters = [
        (python_name(one.name), annotation(one) + ("" if one.given else " = None"))
        for one in operation.parameters
        if one.kind in ("path", "query")
    ]
    return parameters + ([BODY] if operation.body is not None else [])


def _taken(handler: Callable[..., Any]) -> list[tuple[str, str]]:
    """As they would have to be written; a default is only for what may not be given."""
    return [
        (one.name, f"{one.annotation}{'' if one.default is one.empty else f' = {one.default}'}")
        for one in inspect.signature(handler).parameters.values()
        if one.name not in GIVEN
    ]


def python_name(name: str) -> str:
    """What a handler calls a parameter: ``from`` is no name in Python."""
    return f"{name}_" if iskeyword(name) else name
