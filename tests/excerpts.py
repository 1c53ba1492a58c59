"""Excerpts of the contract: some of its operations, and the components that they refer to.

What a check of the file costs, or the docs page, grows with the number of operations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import yaml

from server.contract.yaml_file import find, mappings, read_yaml

_REFERENCE = re.compile(r"#/components/(\w+)/(\w+)")
# Used by their names, and not by references.
_KEPT_WHOLE = ("securitySchemes",)

# Of a key with its value: the first line, and the first line behind it.
Lines = tuple[int, int]


def excerpt(text: str, operation_ids: Collection[str]) -> str:
    """The file without other operations, links to them, and components without a use.

    What remains stands as it stands in the file, with its comments and in its order.
    """
    root, _ = read_yaml(text.encode())
    text = _without(text, _operations(root, operation_ids))
    root, _ = read_yaml(text.encode())
    return _without(text, _unused_components(root, text))


def with_few_responses(document: Mapping[str, Any], statuses: Collection[str]) -> str:
    """Every operation with its responses of these statuses alone."""

    def few(responses: Mapping[str, Any]) -> dict[str, Any]:
        return {status: part for status, part in responses.items() if status in statuses}

    return _with_responses(document, few)


def without_responses(document: Mapping[str, Any]) -> str:
    """Every operation with its parameters and its body, and one response that says nothing."""
    return _with_responses(document, lambda _: {"200": {"description": "An answer."}})


def _with_responses(
    document: Mapping[str, Any], change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> str:
    paths = {
        path: {
            key: value | {"responses": change(value["responses"])}
            if isinstance(value, dict) and "responses" in value
            else value
            for key, value in item.items()
        }
        for path, item in document["paths"].items()
    }
    return json.dumps({**document, "paths": paths})


def _without(text: str, cut: Iterator[Lines]) -> str:
    lines = text.splitlines(keepends=True)
    for first, end in cut:
        lines[first:end] = [""] * (end - first)
    return "".join(lines)


def _operations(root: yaml.Node, operation_ids: Collection[str]) -> Iterator[Lines]:
    """Of the other operations, and of the links to them."""
    for _, path, lines in _entries(find(root, ("paths",))[0]):
        operations = [(_operation_id(value), place) for _, value, place in _entries(path)]
        others = [place for name, place in operations if name and name not in operation_ids]
        yield from [lines] if len(others) == sum(bool(name) for name, _ in operations) else others
    for mapping in mappings(root):
        for name, links, lines in _entries(mapping):
            if name == "links":
                targets = [(_operation_id(link), place) for _, link, place in _entries(links)]
                others = [place for name, place in targets if name not in operation_ids]
                yield from [lines] if len(others) == len(targets) else others


def _unused_components(root: yaml.Node, text: str) -> Iterator[Lines]:
    lines = text.splitlines()
    components = {
        (kind, name): place
        for kind, section, _ in _entries(find(root, ("components",))[0])
        if kind not in _KEPT_WHOLE
        for name, _, place in _entries(section)
    }
    behind = {
        component: set(_REFERENCE.findall("\n".join(lines[first:end])))
        for component, (first, end) in components.items()
    }
    begin = find(root, ("components",))[0].start_mark.line
    used: set[tuple[str, str]] = set()
    waiting = set(_REFERENCE.findall("\n".join(lines[:begin])))
    while waiting:
        used |= waiting
        waiting = set().union(*(behind.get(component, ()) for component in waiting)) - used
    yield from (place for component, place in components.items() if component not in used)


def _entries(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, Lines]]:
    if not isinstance(node, yaml.MappingNode):
        return
    starts = [key.start_mark.line for key, _ in node.value]
    ends = [*starts, node.end_mark.line][1:]
    for (key, value), start, end in zip(node.value, starts, ends, strict=True):
        yield key.value, value, (start, end)


def _operation_id(node: yaml.Node) -> str:
    found, depth = find(node, ("operationId",))
    return str(found.value) if depth else ""
