"""Handlers take what the contract declares: parameter names, order and annotations.

Asked before a start and a reload, because a handler that is called with a parameter it does not
know is a 500 for every request.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from handlers.node_state import refuse_pull
from server.contract import OperationContract

# What a handler is given before its declared parameters.
GIVEN = ("ports", "call")
# What a declared request body arrives as, after the declared parameters.
BODY = ("body", "Mapping[str, Any]")
PYTHON_TYPE = {"string": "str", "integer": "int", "boolean": "bool"}


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


def _declared(operation: OperationContract) -> list[tuple[str, str]]:
    parameters = [
        (one.name, PYTHON_TYPE.get(one.schema_type, f"no type for {one.schema_type}"))
        for one in operation.parameters
        if one.kind in ("path", "query")
    ]
    return parameters + ([BODY] if operation.body is not None else [])


def _taken(handler: Callable[..., Any]) -> list[tuple[str, str]]:
    return [
        (one.name, str(one.annotation))
        for one in inspect.signature(handler).parameters.values()
        if one.name not in GIVEN
    ]
