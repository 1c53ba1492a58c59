"""The docs page's coverage: every operation and declared status has an example that fits it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from server.contract.document import METHODS, Contract

Table = Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]]


def documented(document: Mapping[str, Any]) -> Table:
    """(operation, status or "body") -> media type -> examples by name, references followed."""
    return {
        (operation["operationId"], part): {
            media: dict(_examples(document, content))
            for media, content in _resolved(document, holder).get("content", {}).items()
        }
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in METHODS
        for part, holder in _parts(operation)
    }


def parameter_examples(document: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Operation -> its parameters, by name, each with the first of its examples."""
    return {
        operation["operationId"]: {
            parameter["name"]: next((value for _, value in _examples(document, parameter)), None)
            for parameter in (
                _resolved(document, each)
                for each in (*item.get("parameters", ()), *operation.get("parameters", ()))
            )
        }
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    }


def example_complaints(contract: Contract, table: Table) -> list[str]:
    """Parts without an example, except of a 304 or 204, and examples that their schema refuses."""
    complaints: list[str] = []
    for name, operation in contract.operations.items():
        parts = [str(status) for status in operation.responses]
        for part in [*parts, *(["body"] if operation.body else [])]:
            shown = table.get((name, part), {})
            if not shown and part not in ("204", "304"):
                complaints.append(f"{name} {part}: nothing is documented")
            for media, examples in shown.items():
                complaints += _unfit(contract, name, part, media, examples)
    return complaints


def _unfit(
    contract: Contract, name: str, part: str, media: str, examples: Mapping[str, Any]
) -> Iterator[str]:
    operation = contract.operations[name]
    if part == "body":
        assert operation.body is not None
        validator = operation.body.media[media]
    else:
        validator = operation.responses[int(part)].media[media].validator
    if not examples:
        yield f"{name} {part}: no example of {media}"
    for title, value in examples.items():
        if not validator.is_valid(value):
            yield f"{name} {part}: the example {title} is not what is declared"


def _parts(operation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from operation["responses"].items()
    if "requestBody" in operation:
        yield "body", operation["requestBody"]


def _examples(document: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if "example" in content:
        yield "example", content["example"]
    for title, example in content.get("examples", {}).items():
        yield title, _resolved(document, example)["value"]


def _resolved(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node
