"""What a schema admits, and what two admit together: the meeting that ``allOf`` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from deploy.breaking.documents import Place

NULL = "null"
ANY = frozenset({"string", "number", "integer", "boolean", "array", "object", NULL})
LOWER = ("minimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")

Bound = tuple[float, bool]  # the limit, and whether it is itself left out


@dataclass(frozen=True, slots=True)
class Shape:
    """``additional`` is a schema, or whether unlisted keys may be, or None: nothing is said."""

    pointer: str = "#"
    types: frozenset[str] = ANY
    enum: frozenset[str] | None = None  # as JSON texts: true is not 1
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    patterns: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    multiples: frozenset[float] = frozenset()
    unique: bool = False
    properties: Mapping[str, Place] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    additional: Place | bool | None = None
    items: Place | None = None
    negated: tuple[Place, ...] = ()
    alternatives: tuple[Place, ...] = ()
    discriminator: str | None = None
    default: str | None = None
    read_only: bool = False
    write_only: bool = False


def meet(one: Shape, other: Shape) -> Shape:
    """What both admit: types and enums intersect, the stricter bound holds, patterns pile up."""
    enums = [shape.enum for shape in (one, other) if shape.enum is not None]
    properties = {
        name: together([s.properties[name] for s in (one, other) if name in s.properties])
        for name in {**one.properties, **other.properties}
    }
    items = [shape.items for shape in (one, other) if shape.items is not None]
    return Shape(
        pointer=one.pointer,
        types=one.types & other.types,
        enum=frozenset.intersection(*enums) if enums else None,
        bounds=_stricter(one.bounds, other.bounds),
        patterns=one.patterns | other.patterns,
        formats=one.formats | other.formats,
        multiples=one.multiples | other.multiples,
        unique=one.unique or other.unique,
        properties=properties,
        required=one.required | other.required,
        additional=_closer(one.additional, other.additional),
        items=together(items) if items else None,
        negated=one.negated + other.negated,
        alternatives=one_of_each([one.alternatives, other.alternatives]),
        discriminator=one.discriminator or other.discriminator,
        default=one.default if one.default is not None else other.default,
        read_only=one.read_only or other.read_only,
        write_only=one.write_only or other.write_only,
    )


def together(places: Sequence[Place]) -> Place:
    """One schema for several that hold at once."""
    if len(places) == 1:
        return places[0]
    return Place({"allOf": [one.value for one in places]}, places[0].pointer)


def one_of_each(groups: Sequence[Sequence[Place]]) -> tuple[Place, ...]:
    """One list of alternatives: with several groups, one of each has to hold."""
    chosen = [group for group in groups if group]
    return tuple(map(together, product(*chosen))) if chosen else ()


def _stricter(one: Mapping[str, Bound], other: Mapping[str, Bound]) -> dict[str, Bound]:
    met = {**one, **other}
    for key in one.keys() & other.keys():
        if key in LOWER:
            met[key] = max(one[key], other[key])
        else:
            met[key] = min(one[key], other[key], key=lambda bound: (bound[0], not bound[1]))
    return met


def _closer(one: Place | bool | None, other: Place | bool | None) -> Place | bool | None:
    if one is False or other is False:
        return False
    schemas = [each for each in (one, other) if isinstance(each, Place)]
    if schemas:
        return together(schemas)
    return one if one is not None else other
