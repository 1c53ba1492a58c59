"""What a request carries: parameters and a body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deploy.breaking.documents import Document, Place
from deploy.breaking.media import Pair, compare_content, said
from deploy.breaking.verdicts import ACCEPTED, Way
from server.contract.document import BODY_MAX, DEFAULT_BODY_MAX

Key = tuple[str, str]  # where it stands, and its name
_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_REFUSED_WITHOUT = "a request without it is now refused"


def compare_parameters(
    pair: Pair, old: Iterable[Place], new: Iterable[Place], renamed: Mapping[str, str]
) -> None:
    """Parameters by location and name. ``renamed`` holds path parameters, new name to old one."""
    before = _by_key(pair.old.document, old, {})
    after = _by_key(pair.new.document, new, renamed)
    moved: set[Key] = set()
    for (kind, name), place in before.items():
        at = pair.within(f"parameter {_name(pair.old.document, place)}")
        if (kind, name) in after:
            _compare_parameter(at, kind, place, after[kind, name])
            continue
        elsewhere = [key for key in after if key[1].lower() == name.lower() and key not in before]
        if elsewhere:
            moved.update(elsewhere)
            change = f"it has moved from {kind} to {elsewhere[0][0]}"
            at.breaking(after[elsewhere[0]].pointer, change, "a request that gives it is misread")
        else:
            why = "clients give it, and it is now refused or means nothing"
            at.breaking(place.pointer, f"the {kind} parameter is gone", why)
    for key in [one for one in after if one not in before and one not in moved]:
        at = pair.within(f"parameter {_name(pair.new.document, after[key])}")
        _new_parameter(at, key[0], after[key])


def compare_body(pair: Pair, old: Place | None, new: Place | None) -> None:
    """The request body."""
    if old is None and new is None:
        return
    at = pair.within("body")
    before, after = pair.members(old, new)
    required = said(after, "required") is True
    if old is None and new is not None:
        if required:
            at.breaking(new.pointer, "a required body is new", _REFUSED_WITHOUT)
        else:
            at.harmless(new.pointer, "an optional body is new", ACCEPTED)
        return
    if new is None and old is not None:
        why = "clients give it, and it is now refused or means nothing"
        at.breaking(old.pointer, "the body is gone", why)
        return
    was = said(before, "required") is True
    pointer = at.new.document.follow(new).pointer if new else ""
    if required and not was:
        at.breaking(pointer, "the body is now required", _REFUSED_WITHOUT)
    elif was and not required:
        at.harmless(pointer, "the body is no longer required", ACCEPTED)
    _compare_size(at, pointer, before, after)
    compare_content(at, Way.TAKEN, before.get("content"), after.get("content"))


def _compare_size(
    pair: Pair, pointer: str, before: Mapping[str, Place], after: Mapping[str, Place]
) -> None:
    """``x-max-body-bytes``, which says something where it is not written, too."""
    old, new = (
        one[BODY_MAX].value if BODY_MAX in one else DEFAULT_BODY_MAX for one in (before, after)
    )
    if BODY_MAX in after:
        pointer = after[BODY_MAX].pointer
    if old == new:
        return
    change = f"{BODY_MAX} {old} -> {new}"
    if isinstance(old, int) and isinstance(new, int) and old < new:
        pair.harmless(pointer, change, ACCEPTED)
    else:
        pair.breaking(pointer, change, "a longer body that was right is now refused")


def _by_key(
    document: Document, places: Iterable[Place], renamed: Mapping[str, str]
) -> dict[Key, Place]:
    found: dict[Key, Place] = {}
    for place in map(document.follow, places):
        members = document.mapping(place)
        kind, name = str(said(members, "in")), str(said(members, "name"))
        if kind == "path":
            name = renamed.get(name, name)
        # The names of headers know no case. An operation's own parameter replaces its path's.
        found[kind, name.lower() if kind == "header" else name] = place
    return found


def _name(document: Document, place: Place) -> object:
    return said(document.mapping(place), "name")


def _new_parameter(pair: Pair, kind: str, place: Place) -> None:
    if said(pair.new.document.mapping(place), "required") is True:
        pair.breaking(place.pointer, f"a required {kind} parameter is new", _REFUSED_WITHOUT)
    else:
        pair.harmless(place.pointer, f"an optional {kind} parameter is new", ACCEPTED)


def _compare_parameter(pair: Pair, kind: str, old: Place, new: Place) -> None:
    before, after = pair.members(old, new)
    was, now = (said(one, "required") is True for one in (before, after))
    if now and not was:
        pair.breaking(new.pointer, "it is now required", _REFUSED_WITHOUT)
    elif was and not now:
        pair.harmless(new.pointer, "it is no longer required", ACCEPTED)
    if kind == "path" and said(before, "name") != said(after, "name"):
        change = f"it is now called {said(after, 'name')}"
        pair.breaking(new.pointer, change, "generated clients take it under its name")
    written = _serialised(before, kind), _serialised(after, kind)
    if written[0] != written[1]:
        change = f"style and explode {written[0]} -> {written[1]}"
        pair.breaking(new.pointer, change, "a request made the old way is misread")
    if said(before, "allowEmptyValue") is True and said(after, "allowEmptyValue") is not True:
        pair.breaking(new.pointer, "it may no longer be empty", "an empty one is now refused")
    pair.schemas(Way.TAKEN, before.get("schema"), after.get("schema"))
    if "content" in before or "content" in after:
        compare_content(pair, Way.TAKEN, before.get("content"), after.get("content"))


def _serialised(members: Mapping[str, Place], kind: str) -> tuple[object, bool, bool]:
    style = said(members, "style") or _STYLES.get(kind, "simple")
    explode = said(members, "explode")
    exploded = style == "form" if explode is None else explode is True
    return style, exploded, said(members, "allowReserved") is True
