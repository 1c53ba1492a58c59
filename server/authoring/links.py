"""Finds links that name what the file does not have: operations, parameters, headers, members."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from server.authoring.unsupported import Document, declared_operations, declared_responses
from server.contract.errors import ContractFault
from server.contract.pointers import Path, canonical_path, parse_pointer, part_at
from server.contract.schemas import combined, follow

# A runtime expression of OpenAPI: what it is of, the place in it, and a name or a pointer.
_EXPRESSION = re.compile(
    r"\$(?:(?:url|method|statusCode)|"
    r"(request|response)\.(?:(path|query|header)\.(.+)|(body)(?:#(/.*))?))"
)


def link_faults(document: Document) -> Iterator[ContractFault]:
    """Each link, or word of a link, that leads to nothing."""
    operations = dict(declared_operations(document))
    by_name = {operation.get("operationId"): path for path, operation in operations.items()}
    for response, path, link in _declared_links(document):
        key = next((key for key in ("operationId", "operationRef") if key in link), None)
        if key is None:
            yield ContractFault(path, "the link names no operation", is_key=True)
            continue
        target = by_name.get(link[key]) if key == "operationId" else _target(link[key])
        known: set[str] | None = None
        if target in operations:
            known = {name for _, name in _parameters(document, target)}
        else:
            sentence = f"the link names {link[key]}, no operation of this file"
            yield ContractFault((*path, key), sentence)
        for name, value in link.get("parameters", {}).items():
            at = (*path, "parameters", name)
            if known is not None and re.sub(r"^(path|query|header)\.", "", name) not in known:
                yield ContractFault(at, f"{link[key]} has no parameter {name}", is_key=True)
            elif isinstance(value, str) and value.startswith("$"):
                yield from _expression_faults(document, response, at, value)


def _expression_faults(
    document: Document, response: Path, at: Path, expression: str
) -> Iterator[ContractFault]:
    found = _EXPRESSION.fullmatch(expression)
    if found is None:
        yield ContractFault(at, f"{expression} is no runtime expression")
        return
    side, kind, name, _, pointer = found.groups()
    declared = part_at(document, response)
    if side == "response" and kind == "header":
        if name.lower() not in map(str.lower, declared.get("headers", {})):
            yield ContractFault(at, f"the response declares no header {name}")
    elif side == "request" and kind is not None:
        for path, operation in declared_operations(document):
            paths = ((*path, "responses", status) for status in operation["responses"])
            is_user = response in (canonical_path(document, path) for path in paths)
            if is_user and (kind, name) not in _parameters(document, path):
                user = operation.get("operationId")
                yield ContractFault(at, f"{user} has no parameter {name} in its {kind}")
                return
    elif side == "response" and pointer is not None:
        schemas = [media.get("schema", {}) for media in declared.get("content", {}).values()]
        for key in parse_pointer(f"#{pointer}"):
            parts = [
                part for schema in schemas for part in combined(schema, partial(follow, document))
            ]
            schemas = [
                part["properties"][key] for part in parts if key in part.get("properties", ())
            ]
            schemas += [part["items"] for part in parts if "items" in part and key.isdecimal()]
        if not schemas:
            yield ContractFault(at, f"the response has no {pointer}")


def _parameters(document: Document, operation: Path) -> set[tuple[str, str]]:
    """The place and the name of each parameter of an operation."""
    holders = (part_at(document, operation[:-1]), part_at(document, operation))
    found = (follow(document, part) for item in holders for part in item.get("parameters", ()))
    return {(parameter["in"], parameter["name"]) for parameter in found}


def _target(reference: str) -> Path:
    try:
        return parse_pointer(reference)
    except ValueError:
        return ()


def _declared_links(document: Document) -> Iterator[tuple[Path, Path, Mapping[str, Any]]]:
    """Each link where it is written, with its response."""
    for response, declared in declared_responses(document):
        for name in declared.get("links", {}):
            path = canonical_path(document, (*response, "links", name))
            yield response, path, part_at(document, path)
