"""Paths, operations and credentials, and every part of an operation that has a schema."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deploy.breaking.content import Pair, plain
from deploy.breaking.documents import Document, Place
from deploy.breaking.findings import Report
from deploy.breaking.requests import compare_body, compare_parameters
from deploy.breaking.responses import compare_responses
from deploy.breaking.schemas import ACCEPTED
from deploy.breaking.shapes import Shapes
from server.contract.document import METHODS
from server.contract.pointers import parse_pointer
from server.contract.unserved import UNSERVED

STRICT = "x-strict-query"
_TEMPLATE = re.compile(r"\{([^}]*)\}")


def compare(old: Document, new: Document) -> Report:
    """The findings about the edits from ``old`` to ``new``. Raises Unreadable."""
    report = Report()
    pair = Pair(Shapes(old), Shapes(new), report)
    before, after = _paths(old), _paths(new)
    for shape, place in before.items():
        if shape in after:
            _compare_path(pair, place, after[shape])
        else:
            pair.within(_template(place)).breaking(
                place.pointer, "the path is gone", "clients use it"
            )
    for shape in [path for path in after if path not in before]:
        place = after[shape]
        pair.within(_template(place)).harmless(
            place.pointer, "the path is new", "no client uses it yet"
        )
    _compare_unserved(pair, after)
    return report


def _compare_unserved(pair: Pair, paths: Mapping[str, Place]) -> None:
    """Requests that are answered 501: an agent that gets a 404 instead sends them for ever."""
    was, now = _unserved(pair.old.document), _unserved(pair.new.document)
    for (method, path), entry in was.items():
        served = paths.get(path)
        is_served = served is not None and method in pair.new.document.mapping(served)
        known = now.get((method, path))
        at = pair.within(f"{method.upper()} {plain(pair.old.document.mapping(entry), 'path')}")
        if known is None and not is_served:
            why = "it is now 404, and agents send it again for ever"
            at.breaking(entry.pointer, "the request is no longer answered 501", why)
        elif known is not None and _code(pair.old, entry) != _code(pair.new, known):
            change = f"code {_code(pair.old, entry)} -> {_code(pair.new, known)}"
            at.breaking(known.pointer, change, "agents branch on the code")


def _unserved(document: Document) -> dict[tuple[str, str], Place]:
    """The table by method in lower case and shape of the path, as they are on the wire."""
    found = {}
    for entry in document.listing(document.mapping(document.root).get(UNSERVED)):
        members = document.mapping(entry)
        method, path = str(plain(members, "method")), str(plain(members, "path"))
        found[method.lower(), _TEMPLATE.sub("{}", path)] = entry
    return found


def _code(shapes: Shapes, entry: Place) -> str:
    return str(plain(shapes.document.mapping(entry), "code"))


def _paths(document: Document) -> dict[str, Place]:
    """Compare paths by shape: the name of a path parameter is not on the wire."""
    paths = document.mapping(document.root.child("paths"))
    return {_TEMPLATE.sub("{}", path): place for path, place in paths.items()}


def _template(place: Place) -> str:
    return parse_pointer(place.pointer)[-1]


def _compare_path(pair: Pair, old: Place, new: Place) -> None:
    before, after = pair.members(old, new)
    names = [_TEMPLATE.findall(_template(place)) for place in (new, old)]
    renamed = dict(zip(*names, strict=True))
    for method in METHODS:
        label = f"{method.upper()} {_template(old)}"
        if method in before and method in after:
            _compare_operation(
                pair, label, (before, before[method]), (after, after[method]), renamed
            )
        elif method in before:
            change, why = "the operation is gone", "clients call it"
            pair.within(label).breaking(before[method].pointer, change, why)
        elif method in after:
            change, why = "the operation is new", "no client calls it yet"
            pair.within(label).harmless(after[method].pointer, change, why)


def _compare_operation(
    pair: Pair,
    label: str,
    old: tuple[Mapping[str, Place], Place],
    new: tuple[Mapping[str, Place], Place],
    renamed: Mapping[str, str],
) -> None:
    before, after = pair.members(old[1], new[1])
    name = plain(before, "operationId")
    at = pair.within(str(name or label))
    if name is not None and name != plain(after, "operationId"):
        change = f"operationId {name} -> {plain(after, 'operationId') or 'none'}"
        pointer = after["operationId"].pointer if "operationId" in after else new[1].pointer
        at.breaking(pointer, change, "generated clients call it by this name")
    _servers(at, (old[0], before), (new[0], after))
    compare_security(at, before, after)
    parameters = [
        [*doc.listing(item.get("parameters")), *doc.listing(members.get("parameters"))]
        for doc, item, members in (
            (pair.old.document, old[0], before),
            (pair.new.document, new[0], after),
        )
    ]
    compare_parameters(at, parameters[0], parameters[1], renamed)
    _query(at, before, after)
    compare_body(at, before.get("requestBody"), after.get("requestBody"))
    compare_responses(at, before.get("responses"), after.get("responses"))


def _query(at: Pair, before: Mapping[str, Place], after: Mapping[str, Place]) -> None:
    """``x-strict-query``: undeclared parameters are refused now, or no longer."""
    was, now = (plain(members, STRICT) is True for members in (before, after))
    if now and not was:
        why = "a request with another parameter is now refused"
        at.breaking(after[STRICT].pointer, "undeclared query parameters are refused", why)
    elif was and not now:
        at.harmless(before[STRICT].pointer, "undeclared query parameters are passed over", ACCEPTED)


def _servers(
    pair: Pair,
    old: tuple[Mapping[str, Place], Mapping[str, Place]],
    new: tuple[Mapping[str, Place], Mapping[str, Place]],
) -> None:
    before = _urls(pair.old.document, *old)
    after = _urls(pair.new.document, *new)
    for url in [url for url in before if url not in after]:
        pair.breaking("#/servers", f"server {url} is gone", "clients use it")
    for url in [url for url in after if url not in before]:
        pair.harmless("#/servers", f"server {url} is new", "no client uses it yet")


def _urls(
    document: Document, item: Mapping[str, Place], operation: Mapping[str, Place]
) -> list[str]:
    place = operation.get("servers") or item.get("servers") or document.root.child("servers")
    servers = map(document.mapping, document.listing(place))
    urls = [str(plain(server, "url")).rstrip("/") for server in servers]
    return [url or "/" for url in urls] or ["/"]


# A scheme with the required scopes, as a client sees it: its name in the file is not on the wire.
Scheme = tuple[str, frozenset[str]]
Requirement = frozenset[Scheme]
# Two bearer tokens differ by their format.
_ON_THE_WIRE = ("type", "scheme", "bearerFormat", "in", "name", "openIdConnectUrl")


def compare_security(pair: Pair, old: Mapping[str, Place], new: Mapping[str, Place]) -> None:
    """A credential that was enough before must still be enough."""
    before = _requirements(pair.old.document, old)
    after = _requirements(pair.new.document, new)
    pointer = new["security"].pointer if "security" in new else "#/security"
    for requirement in sorted(before - after, key=_text):
        if not any(_requires_no_more(other, requirement) for other in after):
            if requirement:
                why = "a request with the old one is now refused"
                change = f"credential {_text(requirement)} is no longer enough"
                pair.breaking(pointer, change, why)
            else:
                why = "a request without one is now refused"
                pair.breaking(pointer, "a credential is now asked for", why)
    for requirement in sorted(after - before, key=_text):
        change = "no credential is asked for"
        if requirement:
            change = f"credential {_text(requirement)} is now enough"
        if not any(_requires_no_more(other, requirement) for other in before):
            pair.harmless(pointer, change, "one more credential is accepted")


def _requirements(document: Document, operation: Mapping[str, Place]) -> frozenset[Requirement]:
    place = operation.get("security") or document.root.child("security")
    schemes = document.mapping(
        document.mapping(document.root.child("components")).get("securitySchemes")
    )
    requirements = frozenset(
        frozenset(
            (_identity(document, schemes.get(name), name), frozenset(map(str, scopes.value or ())))
            for name, scopes in document.mapping(requirement).items()
        )
        for requirement in document.listing(place)
    )
    return requirements or frozenset({frozenset()})  # an empty list requires nothing


def _identity(document: Document, scheme: Place | None, name: str) -> str:
    if scheme is None:
        return name
    members = document.mapping(scheme)
    return " ".join(str(plain(members, key)) for key in _ON_THE_WIRE if key in members)


def _requires_no_more(new: Requirement, old: Requirement) -> bool:
    """Whether every credential that satisfies ``old`` satisfies ``new``."""
    scopes_of = dict(old)
    return all(name in scopes_of and scopes <= scopes_of[name] for name, scopes in new)


def _text(requirement: Requirement) -> str:
    return " and ".join(
        f"{name} ({', '.join(sorted(scopes))})" if scopes else name
        for name, scopes in sorted(requirement, key=lambda scheme: scheme[0])
    )
