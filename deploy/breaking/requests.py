"""Parameters and bodies of requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deploy.breaking.content import Pair, compare_content, plain
from deploy.breaking.documents import Document, Place
from deploy.breaking.schemas import ACCEPTED
from server.contract.document import BODY_MAX, DEFAULT_BODY_MAX
from server.contract.parameters import STYLES
from server.contract.schemas import Direction

Key = tuple[str, str]  # the location and the name
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
            at.breaking(after[elsewhere[0]].pointer, change, "a request that has it is misread")
        else:
            why = "clients send it, and it is now refused or has no meaning"
            at.breaking(place.pointer, f"the {kind} parameter is gone", why)
    for key in [key for key in after if key not in before and key not in moved]:
        at = pair.within(f"parameter {_name(pair.new.document, after[key])}")
        _new_parameter(at, key[0], after[key])


def compare_body(pair: Pair, old: Place | None, new: Place | None) -> None:
    """The request body."""
    if old is None and new is None:
        return
    at = pair.within("body")
    before, after = pair.members(old, new)
    required = plain(after, "required") is True
    if old is None and new is not None:
        if required:
            at.breaking(new.pointer, "a required body is new", _REFUSED_WITHOUT)
        else:
            at.harmless(new.pointer, "an optional body is new", ACCEPTED)
        return
    if new is None and old is not None:
        why = "clients send it, and it is now refused or has no meaning"
        at.breaking(old.pointer, "the body is gone", why)
        return
    was = plain(before, "required") is True
    pointer = at.new.document.follow(new).pointer if new else ""
    if required and not was:
        at.breaking(pointer, "the body is now required", _REFUSED_WITHOUT)
    elif was and not required:
        at.harmless(pointer, "the body is no longer required", ACCEPTED)
    _compare_size(at, pointer, before, after)
    compare_content(at, Direction.REQUEST, before.get("content"), after.get("content"))


def _compare_size(
    pair: Pair, pointer: str, before: Mapping[str, Place], after: Mapping[str, Place]
) -> None:
    """``x-max-body-bytes``, which has a default."""
    old, new = (
        members[BODY_MAX].value if BODY_MAX in members else DEFAULT_BODY_MAX
        for members in (before, after)
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
    by_key: dict[Key, Place] = {}
    for place in map(document.follow, places):
        members = document.mapping(place)
        kind, name = str(plain(members, "in")), str(plain(members, "name"))
        if kind == "path":
            name = renamed.get(name, name)
        # Header names have no case. An operation's own parameter replaces that of its path.
        by_key[kind, name.lower() if kind == "header" else name] = place
    return by_key


def _name(document: Document, place: Place) -> object:
    return plain(document.mapping(place), "name")


def _new_parameter(pair: Pair, kind: str, place: Place) -> None:
    if plain(pair.new.document.mapping(place), "required") is True:
        pair.breaking(place.pointer, f"a required {kind} parameter is new", _REFUSED_WITHOUT)
    else:
        pair.harmless(place.pointer, f"an optional {kind} parameter is new", ACCEPTED)


def _compare_parameter(pair: Pair, kind: str, old: Place, new: Place) -> None:
    before, after = pair.members(old, new)
    was, now = (plain(members, "required") is True for members in (before, after))
    if now and not was:
        pair.breaking(new.pointer, "it is now required", _REFUSED_WITHOUT)
    elif was and not now:
        pair.harmless(new.pointer, "it is no longer required", ACCEPTED)
    if kind == "path" and plain(before, "name") != plain(after, "name"):
        change = f"it is now called {plain(after, 'name')}"
        pair.breaking(new.pointer, change, "generated clients have a parameter of that name")
    old_form, new_form = _serialised(before, kind), _serialised(after, kind)
    if old_form != new_form:
        change = f"style and explode {old_form} -> {new_form}"
        pair.breaking(new.pointer, change, "a request made the old way is misread")
    if plain(before, "allowEmptyValue") is True and plain(after, "allowEmptyValue") is not True:
        pair.breaking(new.pointer, "it may no longer be empty", "an empty one is now refused")
    pair.schemas(Direction.REQUEST, before.get("schema"), after.get("schema"))
    if "content" in before or "content" in after:
        compare_content(pair, Direction.REQUEST, before.get("content"), after.get("content"))


def _serialised(members: Mapping[str, Place], kind: str) -> tuple[object, bool, bool]:
    style = plain(members, "style") or STYLES.get(kind, "simple")
    explode = plain(members, "explode")
    exploded = style == "form" if explode is None else explode is True
    return style, exploded, plain(members, "allowReserved") is True
