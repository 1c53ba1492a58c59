"""What OpenAPI has words for and this service does not do, at the place that says it.

Each of these loads, and then means something else to a reader of the file than to the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from server.authoring.shape import ShapeFault
from server.contract.document import METHODS
from server.contract.errors import Path

Document = Mapping[str, Any]
_AT_THE_ROOT = re.compile(r"((\S*:)?//[^/?#]*)?/?")
# Answers and bodies are looked up by this much of their Content-Type, in lower case.
_ESSENCE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", re.ASCII)


def limit_faults(document: Document) -> Iterator[ShapeFault]:
    """All of them; the shape is right, and references lead somewhere."""
    yield from _servers(document)
    yield from _security(document)
    yield from _media_types(document)
    yield from _links(document)


def _servers(document: Document) -> Iterator[ShapeFault]:
    for place, holder in [((), document), *_paths(document), *_operations(document)]:
        for number, server in enumerate(holder.get("servers", ())):
            if not _AT_THE_ROOT.fullmatch(server["url"]):
                sentence = "the service serves at the root: a path in front of it is a proxy's"
                yield ShapeFault((*place, "servers", number, "url"), sentence)


def _security(document: Document) -> Iterator[ShapeFault]:
    for name, scheme in _components(document, "securitySchemes"):
        if (scheme["type"], str(scheme.get("scheme")).lower()) != ("http", "bearer"):
            sentence = f"{name}: no way of being let in but bearer is there"
            yield ShapeFault(("components", "securitySchemes", name), sentence, key=True)
    for place, holder in [((), document), *_operations(document)]:
        for number, demand in enumerate(holder.get("security", ())):
            if len(demand) != 1:
                sentence = "a demand names one scheme: whoever is not let in by it, is not let in"
                yield ShapeFault((*place, "security", number), sentence)


def _media_types(document: Document) -> Iterator[ShapeFault]:
    bodies = [
        (("components", "requestBodies", name), one)
        for name, one in _components(document, "requestBodies")
    ]
    bodies += [
        ((*place, "requestBody"), operation["requestBody"])
        for place, operation in _operations(document)
        if "requestBody" in operation
    ]
    for place, holder in [*bodies, *_responses(document)]:
        for media in holder.get("content", ()):
            if not _ESSENCE.fullmatch(media):
                sentence = f"{media}: a media type stands in lower case and without parameters"
                yield ShapeFault((*place, "content", media), sentence, key=True)


def _links(document: Document) -> Iterator[ShapeFault]:
    operations = list(_operations(document))
    names = {operation["operationId"] for _, operation in operations}
    pointers = {"#/" + "/".join(map(_escaped, place)) for place, _ in operations}
    for place, link in _declared_links(document):
        for key, known in (("operationId", names), ("operationRef", pointers)):
            if key in link and link[key] not in known:
                sentence = f"the link leads to {link[key]}, no operation of this file"
                yield ShapeFault((*place, key), sentence)
        if not {"operationId", "operationRef", "$ref"} & link.keys():
            yield ShapeFault(place, "the link leads to no operation", key=True)


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
        yield from (((*place, one), item[one]) for one in item if one in METHODS)


def _paths(document: Document) -> Iterator[tuple[Path, Document]]:
    yield from ((("paths", path), item) for path, item in document["paths"].items())


def _responses(document: Document) -> Iterator[tuple[Path, Document]]:
    """Each where it is written: a reference to one has none of its keys."""
    for place, operation in _operations(document):
        for status, response in operation["responses"].items():
            if isinstance(response, Mapping):  # and no extension
                yield (*place, "responses", status), response
    for name, response in _components(document, "responses"):
        yield ("components", "responses", name), response


def _components(document: Document, kind: str) -> Iterator[tuple[str, Document]]:
    yield from document.get("components", {}).get(kind, {}).items()
