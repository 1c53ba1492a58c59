"""Finds what OpenAPI allows and this service does not support.

Such a file would load, but the service would not behave as the file says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any

from server.contract.document import METHODS
from server.contract.errors import ContractFault
from server.contract.parameters import possible_types
from server.contract.pointers import Path, parse_pointer, part_at
from server.contract.schemas import follow

Document = Mapping[str, Any]
Part = tuple[Path, Mapping[str, Any]]
_ROOT_URL = re.compile(r"((\S*:)?//[^/?#]*)?/?")
# The service finds the schema of a body by this part of its Content-Type, in lower case.
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", re.ASCII)
_JSON = ("/json", "+json")
# The keys beyond OpenAPI that the service reads.
EXTENSIONS = ("x-strict-query", "x-problem-codes", "x-max-body-bytes", "x-free-keys", "x-unserved")
# The kinds of components where a part is the value of a key, or is in a list or a mapping.
_KIND_OF_KEY: Mapping[str | int, str] = {
    "requestBody": "requestBodies",
    "schema": "schemas",
    "items": "schemas",
}
_KINDS_OF_LISTS = {"parameters", "responses", "headers", "examples", "links"}


def unsupported_faults(document: Document) -> Iterator[ContractFault]:
    """Every fault of a valid OpenAPI document whose references exist."""
    yield from _servers(document)
    yield from _security(document)
    yield from _media_types(document)
    yield from _request_bodies(document)
    yield from _names(document)
    yield from _extensions(document)


def declared_operations(document: Document) -> Iterator[Part]:
    for path, item in _paths(document):
        yield from (((*path, method), item[method]) for method in item if method in METHODS)


def reference_faults(document: Document) -> Iterator[ContractFault]:
    """Each path that is a reference, and references to another kind of component or to themselves.

    Nothing else of such a document can be checked.
    """
    for path, item in _paths(document):
        if "$ref" in item:
            yield ContractFault((*path, "$ref"), "a path needs operations of its own")
    for path, part in _parts(document):
        kind, target = _kind_at(path), parse_pointer(part["$ref"]) if "$ref" in part else ()
        if kind is not None and target[:1] == ("components",) and target[1:2] != (kind,):
            sentence = f"$ref {part['$ref']} leads to no component in {kind}"
            yield ContractFault((*path, "$ref"), sentence)
    yield from _rings(document)


def _rings(document: Document) -> Iterator[ContractFault]:
    """The first reference of each ring."""
    told: set[Path] = set()
    for path, part in _parts(document):
        chain, at = [tuple(map(str, path))], part
        while isinstance(at, Mapping) and "$ref" in at:
            target = parse_pointer(at["$ref"])
            if target in chain:
                if target == chain[0] and target not in told:
                    yield ContractFault((*path, "$ref"), f"$ref {part['$ref']} leads to itself")
                    told.update(chain)
                break
            chain.append(target)
            at = part_at(document, target)


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
    unknown: dict[str, list[Path]] = {}
    for path, holder in [((), document), *declared_operations(document)]:
        for index, requirement in enumerate(holder.get("security", ())):
            at = (*path, "security", index)
            if len(requirement) != 1:
                yield ContractFault(at, "a security requirement must name one scheme")
            for name, scopes in requirement.items():
                if name not in known:
                    unknown.setdefault(name, []).append((*at, name))
                elif scopes:
                    yield ContractFault((*at, name), f"{name} has no scopes")
    for name, (first, *others) in unknown.items():
        more = f"; {len(others)} more use it" if others else ""
        sentence = f"{name} is not in components/securitySchemes{more}"
        yield ContractFault(first, sentence, is_key=True)


def _media_types(document: Document) -> Iterator[ContractFault]:
    for path, holder in [*_bodies(document), *declared_responses(document)]:
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


def _names(document: Document) -> Iterator[ContractFault]:
    """Generators make a type of each such component, and refuse a name that two of them have."""
    kinds: dict[str, str] = {}
    for kind in ("schemas", "parameters", "headers", "requestBodies", "responses"):
        for name, _ in _components(document, kind):
            if name in kinds:
                sentence = f"{name} is also the name of a component in {kinds[name]}"
                yield ContractFault(("components", kind, name), sentence, is_key=True)
            kinds.setdefault(name, kind)


def _extensions(document: Document) -> Iterator[ContractFault]:
    """A key that is nearly one of the service's own is ignored, like every unknown ``x-`` key."""
    for path, part in _parts(document):
        for key in () if path[-1:] == ("properties",) else part:
            meant = get_close_matches(key, EXTENSIONS, n=1, cutoff=0.8)
            if meant and key not in EXTENSIONS and key.startswith("x-"):
                sentence = f"the key {key} is unknown here; it may be {meant[0]}"
                yield ContractFault((*path, key), sentence, is_key=True)


def _paths(document: Document) -> Iterator[Part]:
    yield from ((("paths", path), item) for path, item in document["paths"].items())


def _bodies(document: Document) -> Iterator[Part]:
    """Each where it is written: a reference to a body has no content of its own."""
    for name, body in _components(document, "requestBodies"):
        yield ("components", "requestBodies", name), body
    for path, operation in declared_operations(document):
        if "requestBody" in operation:
            yield (*path, "requestBody"), operation["requestBody"]


def declared_responses(document: Document) -> Iterator[Part]:
    """Every response at its definition; a reference to a response has no keys to check."""
    for path, operation in declared_operations(document):
        for status, response in operation["responses"].items():
            if isinstance(response, Mapping):  # an extension may have any value
                yield (*path, "responses", status), response
    for name, response in _components(document, "responses"):
        yield ("components", "responses", name), response


def _components(document: Document, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from document.get("components", {}).get(kind, {}).items()
