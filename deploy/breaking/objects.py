"""The keys of two object schemas.

One rule here is the contract's own and no schema's: a client ignores keys it does not know, so a
key more in an answer breaks nobody, although a closed object did not admit it before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.breaking.documents import Place
from deploy.breaking.facets import Change, Width
from deploy.breaking.findings import Finding, Severity
from deploy.breaking.resolved import Shapes
from deploy.breaking.shapes import Shape
from deploy.breaking.verdicts import ACCEPTED, Way

if TYPE_CHECKING:
    from deploy.breaking.schemas import SchemaWalk

BREAKING, HARMLESS = Severity.BREAKING, Severity.HARMLESS
_REFUSED_WITHOUT = "a request without it is now refused"


def compare_objects(walk: SchemaWalk, before: Shape, after: Shape, at: str) -> None:
    """Properties, which of them are required, their order, and the keys that are not listed."""
    old, new = _visible(walk.old, before, walk.way), _visible(walk.new, after, walk.way)
    names = dict.fromkeys([*old, *new, *sorted(before.required | after.required)])
    for name in names:
        inside = f"{at}.{name}" if at else name
        if name in old and name not in new:
            _removed(walk, after, old[name].pointer, name, inside)
        elif name in new and name not in old:
            _added(walk, before, after, name, new[name], inside)
        else:
            pointer = new[name].pointer if name in new else after.pointer
            _required(walk, name in before.required, name in after.required, pointer, name, inside)
            walk.compare(old.get(name), new.get(name), inside)
    _order(walk, [one for one in old if one in new], list(new), after, at)
    _unlisted(walk, before, after, f"{at}.*" if at else "*")


def _visible(shapes: Shapes, shape: Shape, way: Way) -> dict[str, Place]:
    """The properties that travel this way."""
    found: dict[str, Place] = {}
    for name, place in shape.properties.items():
        inner = shapes.of(place)
        if not (inner.write_only if way is Way.SENT else inner.read_only):
            found[name] = place
    return found


def _removed(walk: SchemaWalk, after: Shape, pointer: str, name: str, at: str) -> None:
    if walk.way is Way.SENT:
        why = "a client reads it, and an agent applies what is missing as a removal"
    elif after.additional is False:
        why = "a request that gives it is now refused"
    else:
        why = "what a client asks for by it is no longer done"
    walk.add(Finding(BREAKING, pointer, f"property {name} is gone", why), at)


def _added(walk: SchemaWalk, before: Shape, after: Shape, name: str, place: Place, at: str) -> None:
    if walk.way is Way.SENT:
        found = Finding(
            HARMLESS,
            place.pointer,
            f"property {name} is new",
            "agents ignore keys they do not know",
        )
    elif name in after.required - before.required:
        text = f"property {name} is new and required"
        found = Finding(BREAKING, place.pointer, text, _REFUSED_WITHOUT)
    else:
        text, why = f"property {name} is new", "a request without it is accepted as before"
        found = Finding(HARMLESS, place.pointer, text, why)
    walk.add(found, at)
    if before.additional is True or isinstance(before.additional, Place):
        # The key was free until now: what it may hold has changed for those who used it.
        free = before.additional if isinstance(before.additional, Place) else None
        walk.compare(free, place, at)


def _required(walk: SchemaWalk, was: bool, now: bool, pointer: str, name: str, at: str) -> None:
    if was == now:
        return
    text = f"{name} is {'now' if now else 'no longer'} required"
    if walk.way is Way.SENT and now:
        found = Finding(HARMLESS, pointer, text, "a client that copes without it still does")
    elif walk.way is Way.SENT:
        why = "agents may ignore unknown keys, not missing ones"
        found = Finding(BREAKING, pointer, text, why)
    elif now:
        found = Finding(BREAKING, pointer, text, _REFUSED_WITHOUT)
    else:
        found = Finding(HARMLESS, pointer, text, ACCEPTED)
    walk.add(found, at)


def _order(walk: SchemaWalk, kept: list[str], now: list[str], after: Shape, at: str) -> None:
    if walk.way is Way.SENT and kept != [name for name in now if name in kept]:
        text = f"the keys are now in the order {', '.join(now)}"
        why = "keys travel in this order, so the bytes and the ETag change, and no meaning does"
        walk.add(Finding(Severity.BYTES, f"{after.pointer}/properties", text, why), at)


def _unlisted(walk: SchemaWalk, before: Shape, after: Shape, at: str) -> None:
    was, now = before.additional, after.additional
    if was is False and now is not False:
        text, why = "unlisted keys are now allowed", "agents ignore keys they do not know"
        found = Finding(HARMLESS, after.pointer, text, why if walk.way is Way.SENT else ACCEPTED)
        walk.add(found, at)
    elif now is False and was is not False:
        if was is not None and walk.way is Way.SENT:
            # Allowed in so many words, they were part of the answer.
            text, why = "unlisted keys are no longer sent", "a client may read them"
            walk.add(Finding(BREAKING, after.pointer, text, why), at)
        else:
            text = "unlisted keys are no longer allowed"
            walk.tell(Change(Width.NARROWER, text), after.pointer, at)
    else:
        schemas = [one if isinstance(one, Place) else None for one in (was, now)]
        walk.compare(schemas[0], schemas[1], at)
