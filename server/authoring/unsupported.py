"""Finds what OpenAPI allows and this service does not support.

Such a file would load, but the service would not behave as the file says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from server.authoring.shape import ShapeFault
from server.contract.document import METHODS
from server.contract.errors import Path

Document = Mapping[str, Any]
_ROOT_URL = re.compile(r"((\S*:)?//[^/?#]*)?/?")
# The service finds the schema of a body by this part of its Content-Type, in lower case.
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", re.ASCII)


def unsupported_faults(document: Document) -> Iterator[ShapeFault]:
    """Every fault of a valid OpenAPI document whose references exist."""
    yield from _servers(document)
    yield from _security(document)
    yield from _media_types(document)
    yield from _links(document)


def _servers(document: Document) -> Iterator[ShapeFault]:
    for place, parent in [((), document), *_paths(document), *_operations(document)]:
        for number, server in enumerate(parent.get("servers", ())):
            if not _ROOT_URL.fullmatch(server["url"]):
                sentence = "the service serves at the root; only a proxy can add a path"
                yield ShapeFault((*place, "servers", number, "url"), sentence)


def _security(document: Document) -> Iterator[ShapeFault]:
    for name, scheme in _components(document, "securitySchemes"):
        if (scheme["type"], str(scheme.get("scheme")).lower()) != ("http", "bearer"):
            sentence = f"{name}: the service supports only the bearer scheme"
            yield ShapeFault(("components", "securitySchemes", name), sentence, is_key=True)
    for place, parent in [((), document), *_operations(document)]:
        for number, requirement in enumerate(parent.get("security", ())):
            if len(requirement) != 1:
                sentence = "a security requirement must name one scheme"
                yield ShapeFault((*place, "security", number), sentence)


def _media_types(document: Document) -> Iterator[ShapeFault]:
    bodies = [
        (("components", "requestBodies", name), body)
        for name, body in _components(document, "requestBodies")
    ]
    bodies += [
        ((*place, "requestBody"), operation["requestBody"])
        for place, operation in _operations(document)
        if "requestBody" in operation
    ]
    for place, parent in [*bodies, *_responses(document)]:
        for media in parent.get("content", ()):
            if not _MEDIA_TYPE.fullmatch(media):
                sentence = f"{media}: a media type must be in lower case and without parameters"
                yield ShapeFault((*place, "content", media), sentence, is_key=True)


def _links(document: Document) -> Iterator[ShapeFault]:
    operations = list(_operations(document))
    names = {operation["operationId"] for _, operation in operations}
    pointers = {"#/" + "/".join(map(_escaped, place)) for place, _ in operations}
    for place, link in _declared_links(document):
        for key, known in (("operationId", names), ("operationRef", pointers)):
            if key in link and link[key] not in known:
                sentence = f"the link names {link[key]}, no operation of this file"
                yield ShapeFault((*place, key), sentence)
        if not {"operationId", "operationRef", "$ref"} & link.keys():
            yield ShapeFault(place, "the link names no operation", is_key=True)


def _declared_links(document: Document) -> Iterator[tuple[Path, Document]]:
    for name, link in _components(document, "links"):
        yield ("components", "links", name), link
    for place, response in _responses(document):
        for name, link in response.get("links", {}).items():
            yield (*place, "links", name), link


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _operations(document: Document) -> Iterator[tuple[Path, Document]]:
    for place, item in _paths(document):
        yield from (((*place, key), item[key]) for key in item if key in METHODS)


def _paths(document: Document) -> Iterator[tuple[Path, Document]]:
    yield from ((("paths", path), item) for path, item in document["paths"].items())


def _responses(document: Document) -> Iterator[tuple[Path, Document]]:
    """Every response at its definition; references are skipped by their lack of keys."""
    for place, operation in _operations(document):
        for status, response in operation["responses"].items():
            if isinstance(response, Mapping):  # an extension may have any value
                yield (*place, "responses", status), response
    for name, response in _components(document, "responses"):
        yield ("components", "responses", name), response


def _components(document: Document, kind: str) -> Iterator[tuple[str, Document]]:
    yield from document.get("components", {}).get(kind, {}).items()
