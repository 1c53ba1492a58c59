"""Paths, operations, and everything of them that has a schema."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deploy.breaking.documents import Document, Place
from deploy.breaking.findings import Report
from deploy.breaking.media import Pair, said
from deploy.breaking.parameters import compare_body, compare_parameters
from deploy.breaking.resolved import Shapes
from deploy.breaking.responses import compare_responses
from deploy.breaking.security import compare_security
from deploy.breaking.verdicts import ACCEPTED
from server.contract.document import METHODS

STRICT = "x-strict-query"
_TEMPLATE = re.compile(r"\{([^}]*)\}")


def compare(old: Document, new: Document) -> Report:
    """What the way from ``old`` to ``new`` does to a client. Raises Unreadable."""
    report = Report()
    pair = Pair(Shapes(old), Shapes(new), report)
    before, after = _paths(old), _paths(new)
    for shape, place in before.items():
        if shape in after:
            _compare_path(pair, place, after[shape])
        else:
            pair.within(_template(place)).breaking(
                place.pointer, "the path is gone", "clients ask for it"
            )
    for shape in [one for one in after if one not in before]:
        place = after[shape]
        pair.within(_template(place)).harmless(
            place.pointer, "the path is new", "nobody asked for it"
        )
    return report


def _paths(document: Document) -> dict[str, Place]:
    """By shape: what a path parameter is called does not travel."""
    found = document.mapping(document.root.child("paths"))
    return {_TEMPLATE.sub("{}", path): place for path, place in found.items()}


def _template(place: Place) -> str:
    return place.pointer.rsplit("/", 1)[1].replace("~1", "/").replace("~0", "~")


def _compare_path(pair: Pair, old: Place, new: Place) -> None:
    before, after = pair.members(old, new)
    names = [_TEMPLATE.findall(_template(one)) for one in (new, old)]
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
            change, why = "the operation is new", "nobody called it"
            pair.within(label).harmless(after[method].pointer, change, why)


def _compare_operation(
    pair: Pair,
    label: str,
    old: tuple[Mapping[str, Place], Place],
    new: tuple[Mapping[str, Place], Place],
    renamed: Mapping[str, str],
) -> None:
    before, after = pair.members(old[1], new[1])
    name = said(before, "operationId")
    at = pair.within(str(name or label))
    if name is not None and name != said(after, "operationId"):
        change = f"operationId {name} -> {said(after, 'operationId') or 'none'}"
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
    """``x-strict-query``: what was passed over is refused, or the other way round."""
    was, now = (said(one, STRICT) is True for one in (before, after))
    if now and not was:
        why = "a request that names another one is now refused"
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
    for url in [one for one in before if one not in after]:
        pair.breaking("#/servers", f"server {url} is gone", "clients ask there")
    for url in [one for one in after if one not in before]:
        pair.harmless("#/servers", f"server {url} is new", "nobody asked there")


def _urls(
    document: Document, item: Mapping[str, Place], operation: Mapping[str, Place]
) -> list[str]:
    place = operation.get("servers") or item.get("servers") or document.root.child("servers")
    found = [str(said(document.mapping(one), "url")).rstrip("/") for one in document.listing(place)]
    return [url or "/" for url in found] or ["/"]
