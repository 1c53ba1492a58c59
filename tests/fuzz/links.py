"""The links that the file declares, spelled as Schemathesis names the steps that follow them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.contract.document import METHODS


@dataclass(frozen=True, slots=True)
class Link:
    """From an answer of one operation to a request of another."""

    source: str
    status: int
    target: str
    parameters: Mapping[str, str]
    label: str


def declared_links(document: Mapping[str, Any]) -> list[Link]:
    """In the file's order; each says where it leads by `operationId`."""
    labels = {operation["operationId"]: label for label, operation in _operations(document)}
    return [
        Link(
            source=operation["operationId"],
            status=int(status),
            target=link["operationId"],
            parameters=link.get("parameters", {}),
            label=f"{label} -> [{status}] {name} -> {labels[link['operationId']]}",
        )
        for label, operation in _operations(document)
        for status, response in operation["responses"].items()
        for name, link in _resolved(document, response).get("links", {}).items()
    ]


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for method in (key for key in item if key in METHODS):
            yield f"{method.upper()} {path}", item[method]


def _resolved(document: Mapping[str, Any], response: Mapping[str, Any]) -> Mapping[str, Any]:
    name = response.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = document["components"]["responses"][name] if name else response
    return found
