"""Finds what OpenAPI allows and this service does not support.

Such a file would load, but the service would not behave as the file says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from server.contract.document import METHODS
from server.contract.errors import ContractFault
from server.contract.parameters import possible_types
from server.contract.pointers import Path, parse_pointer
from server.contract.schemas import follow

Document = Mapping[str, Any]
Part = tuple[Path, Mapping[str, Any]]
_ROOT_URL = re.compile(r"((\S*:)?//[^/?#]*)?/?")
# The service finds the schema of a body by this part of its Content-Type, in lower case.
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", re.ASCII)
_JSON = ("/json", "+json")
# The kinds of components where a part is the value of a key, or is in a list or a mapping.
_KIND_OF_KEY: Mapping[str | int, str] = {
    "requestBody": "requestBodies",
    "schema": "schemas",
    "items": "schemas",
}
_KINDS_OF_LISTS = {"parameters", "responses", "headers", "examples", "links"}


def unsupported_faults(document: Document) -> Iterator[ContractFault]:
    """Every fault of a valid OpenAPI document whose references exist."""
    yield from _component_kinds(document)
    yield from _servers(document)
    yield from _security(document)
    yield from _media_types(document)
    yield from _request_bodies(document)
    yield from _links(document)
    yield from _names(document)


def declared_operations(document: Document) -> Iterator[Part]:
    for path, item in _paths(document):
        yield from (((*path, method), item[method]) for method in item if method in METHODS)


def path_reference_faults(document: Document) -> Iterator[ContractFault]:
    """Each path that is a reference. Nothing else of such a document can be checked."""
    for path, item in _paths(document):
        if "$ref" in item:
            yield ContractFault((*path, "$ref"), "a path needs operations of its own")


def _component_kinds(document: Document) -> Iterator[ContractFault]:
    """A reference to a component of another kind."""
    for path, part in _parts(document):
        kind, target = _kind_at(path), parse_pointer(part["$ref"]) if "$ref" in part else ()
        if kind is not None and target[:1] == ("components",) and target[1:2] != (kind,):
            sentence = f"$ref {part['$ref']} leads to no component in {kind}"
            yield ContractFault((*path, "$ref"), sentence)


def _kind_at(path: Path) -> str | None:
    """The kind of component that a part of the document may be; None where it may be anything."""
    if not path or "properties" in path[-3:-1]:
        return None
    if path[-1] in _KIND_OF_KEY:
        return _KIND_OF_KEY[path[-1]]
    return str(path[-2]) if len(path) > 1 and path[-2] in _KINDS_OF_LISTS else None


def _parts(part: Any, path: Path = ()) -> Iterator[Part]:
    """Every mapping of the document but the values of examples."""
    if isinstance(part, Mapping):
        yield path, part
        inner: Iterable[tuple[str | int, Any]] = part.items()
    else:
        inner = enumerate(part) if isinstance(part, list) else ()
    for key, value in inner:
        if key not in ("example", "value", "default", "enum") or path[-1:] == ("properties",):
            yield from _parts(value, (*path, key))


def _servers(document: Document) -> Iterator[ContractFault]:
    for path, holder in [((), document), *_paths(document), *declared_operations(document)]:
        for index, server in enumerate(holder.get("servers", ())):
            if not _ROOT_URL.fullmatch(server["url"]):
                sentence = "the service serves at the root; only a proxy can add a path"
                yield ContractFault((*path, "servers", index, "url"), sentence)


def _security(document: Document) -> Iterator[ContractFault]:
    for name, scheme in _components(document, "securitySchemes"):
        if (scheme["type"], str(scheme.get("scheme")).lower()) != ("http", "bearer"):
            sentence = f"{name}: the service supports only the bearer scheme"
            yield ContractFault(("components", "securitySchemes", name), sentence, is_key=True)
    known = dict(_components(document, "securitySchemes"))
    for path, holder in [((), document), *declared_operations(document)]:
        for index, requirement in enumerate(holder.get("security", ())):
            at = (*path, "security", index)
            if len(requirement) != 1:
                yield ContractFault(at, "a security requirement must name one scheme")
            for name in requirement.keys() - known.keys():
                sentence = f"{name} is not in components/securitySchemes"
                yield ContractFault((*at, name), sentence, is_key=True)


def _media_types(document: Document) -> Iterator[ContractFault]:
    for path, holder in [*_bodies(document), *_responses(document)]:
        for media in holder.get("content", ()):
            if not MEDIA_TYPE.fullmatch(media):
                sentence = f"{media}: a media type must be in lower case and without parameters"
                yield ContractFault((*path, "content", media), sentence, is_key=True)


def _request_bodies(document: Document) -> Iterator[ContractFault]:
    """A body that the service never accepts would be a 415 or a 400 to every request."""
    for path, body in _bodies(document):
        for media, content in body.get("content", {}).items():
            at = (*path, "content", media)
            if not media.lower().partition(";")[0].endswith(_JSON):
                sentence = f"{media}: the service reads JSON bodies only"
                yield ContractFault(at, sentence, is_key=True)
            elif "schema" in content:
                types = possible_types(content["schema"], partial(follow, document))
                if types is not None and "object" not in types:
                    names = " or ".join(sorted(types)) or "nothing"
                    sentence = f"{media}: a body must be an object, and the schema admits {names}"
                    yield ContractFault(at, sentence, is_key=True)


def _links(document: Document) -> Iterator[ContractFault]:
    operations = list(declared_operations(document))
    names = {operation.get("operationId") for _, operation in operations}
    paths = {tuple(map(str, path)) for path, _ in operations}
    for path, link in _declared_links(document):
        if "operationId" in link and link["operationId"] not in names:
            sentence = f"the link names {link['operationId']}, no operation of this file"
            yield ContractFault((*path, "operationId"), sentence)
        if "operationRef" in link and _target(link["operationRef"]) not in paths:
            sentence = f"the link names {link['operationRef']}, no operation of this file"
            yield ContractFault((*path, "operationRef"), sentence)
        if not {"operationId", "operationRef", "$ref"} & link.keys():
            yield ContractFault(path, "the link names no operation", is_key=True)


def _names(document: Document) -> Iterator[ContractFault]:
    """Generators make a type of each such component, and refuse a name that two of them have."""
    kinds: dict[str, str] = {}
    for kind in ("schemas", "parameters", "headers", "requestBodies", "responses"):
        for name, _ in _components(document, kind):
            if name in kinds:
                sentence = f"{name} is also the name of a component in {kinds[name]}"
                yield ContractFault(("components", kind, name), sentence, is_key=True)
            kinds.setdefault(name, kind)


def _target(reference: str) -> tuple[str, ...]:
    try:
        return parse_pointer(reference)
    except ValueError:
        return ()


def _declared_links(document: Document) -> Iterator[Part]:
    for name, link in _components(document, "links"):
        yield ("components", "links", name), link
    for path, response in _responses(document):
        for name, link in response.get("links", {}).items():
            yield (*path, "links", name), link


def _paths(document: Document) -> Iterator[Part]:
    yield from ((("paths", path), item) for path, item in document["paths"].items())


def _bodies(document: Document) -> Iterator[Part]:
    """Each where it is written: a reference to a body has no content of its own."""
    for name, body in _components(document, "requestBodies"):
        yield ("components", "requestBodies", name), body
    for path, operation in declared_operations(document):
        if "requestBody" in operation:
            yield (*path, "requestBody"), operation["requestBody"]


def _responses(document: Document) -> Iterator[Part]:
    """Every response at its definition; a reference to a response has no keys to check."""
    for path, operation in declared_operations(document):
        for status, response in operation["responses"].items():
            if isinstance(response, Mapping):  # an extension may have any value
                yield (*path, "responses", status), response
    for name, response in _components(document, "responses"):
        yield ("components", "responses", name), response


def _components(document: Document, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from document.get("components", {}).get(kind, {}).items()
